// Several who are told how calls end, as one. Where there is only one it is told directly. Runs: once per call.

import type { Stream } from "../../shared/http2/stream.js";
import type { Call } from "../call/call.js";
import type { CallWatcher } from "../call/call-end.js";
import type { Plan } from "../call/plan.js";

/** Two at a time, not a list: with one kind in each place the compiler can write both calls out. */
class Pair implements CallWatcher {
  private readonly first: CallWatcher;
  private readonly second: CallWatcher;

  constructor(first: CallWatcher, second: CallWatcher) {
    this.first = first;
    this.second = second;
  }

  ended(call: Call, origin: number, status: number, reason: string): void {
    this.first.ended(call, origin, status, reason);
    this.second.ended(call, origin, status, reason);
  }

  answered(plan: Plan, down: Stream): void {
    this.first.answered(plan, down);
    this.second.answered(plan, down);
  }
}

/** Null for nobody. */
export function together(watchers: readonly (CallWatcher | null)[]): CallWatcher | null {
  return watchers
    .filter((each) => each !== null)
    .reduceRight<CallWatcher | null>((others, each) => (others === null ? each : new Pair(each, others)), null);
}
