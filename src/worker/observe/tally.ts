// Counting of calls for the metrics: which numbers a call is added to is found once per plan and hangs there.
// Responsible for finding them and for taking them all. Must not know: how figures are shown, what else a worker tells.
// Contract: call/call-end.ts says each end once. Runs: `ended` once per call, the rest once per plan or collection.

import type { Clock } from "../../shared/base/clock.js";
import type { EndFigures, MethodFigures } from "../../shared/observe/figures.js";
import type { Call } from "../call/call.js";
import { type CallWatcher, Origin } from "../call/call-end.js";
import type { Plan } from "../call/plan.js";
import { ApiTally } from "./api-tally.js";
import { MethodTally } from "./method-tally.js";

/** Names of methods in one worker, all APIs together: each is some forty numbers. */
export const MOST_METHODS = 10_000;

export class Tally implements CallWatcher {
  /** Names of methods of one API. */
  most: number;
  private readonly clock: Clock;
  /** Ids of the APIs that are served. */
  served: ReadonlySet<string> = new Set();
  private readonly apis = new Map<string, ApiTally>();
  /** Of methods, all APIs together. */
  private names = 0;
  /** Requests that no API was asked for, by what they were answered with. */
  private unrouted = new Map<string, number>();

  constructor(clock: Clock, most: number) {
    this.clock = clock;
    this.most = most;
  }

  ended(call: Call, origin: number, status: number, reason: string): void {
    const tally = this.of(call.plan);
    tally.count(call, origin, status, this.clock.now - call.down.born);
    if (origin !== Origin.SERVICE || reason !== "") tally.api.note(origin, reason);
  }

  answered(plan: Plan): void {
    const id = plan.answer === null ? "health" : plan.answer.id;
    this.unrouted.set(id, (this.unrouted.get(id) ?? 0) + 1);
  }

  /** What calls of the plan are counted in. */
  of(plan: Plan): MethodTally {
    const { tally } = plan;
    if (tally instanceof MethodTally && !tally.gone) return tally;
    const found = this.find(plan);
    plan.tally = found;
    return found;
  }

  private find(plan: Plan): MethodTally {
    const id = plan.route!.api_id;
    let api = this.apis.get(id);
    if (api === undefined) {
      api = new ApiTally(id);
      this.apis.set(id, api);
    }
    const before = api.size;
    const tally = api.tallyOf(plan.path, plan.grpc, Math.min(this.most, before + MOST_METHODS - this.names));
    this.names += api.size - before;
    return tally;
  }

  /**
   * Increments since the last time. Open calls were counted just before. What an API that is no longer served has counted
   * is told a last time; calls of it that still run begin anew.
   */
  take(): { methods: MethodFigures[]; ends: EndFigures[]; unrouted: ReadonlyMap<string, number> } {
    const methods: MethodFigures[] = [];
    const ends: EndFigures[] = [];
    this.names = 0;
    for (const [id, api] of this.apis) {
      api.takeMethods(methods);
      api.takeEnds(ends);
      if (this.served.has(id)) this.names += api.size;
      else {
        api.forget();
        this.apis.delete(id);
      }
    }
    const { unrouted } = this;
    this.unrouted = new Map();
    return { methods, ends, unrouted };
  }
}
