// Several who are told how calls end, as one. Where there is only one it is told directly. Runs: once per call.

import type { Stream } from "../../shared/http2/stream.js";
import type { Call } from "../call/call.js";
import type { CallWatcher } from "../call/call-end.js";
import type { Plan } from "../call/plan.js";

class Watchers implements CallWatcher {
  private readonly all: readonly CallWatcher[];

  constructor(all: readonly CallWatcher[]) {
    this.all = all;
  }

  ended(call: Call, origin: number, status: number, reason: string): void {
    for (let i = 0; i < this.all.length; i++) this.all[i]!.ended(call, origin, status, reason);
  }

  answered(plan: Plan, down: Stream): void {
    for (let i = 0; i < this.all.length; i++) this.all[i]!.answered(plan, down);
  }
}

/** Null for nobody. */
export function together(watchers: readonly (CallWatcher | null)[]): CallWatcher | null {
  const all = watchers.filter((each) => each !== null);
  return all.length > 1 ? new Watchers(all) : (all[0] ?? null);
}
