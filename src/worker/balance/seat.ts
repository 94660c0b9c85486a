// One endpoint as one route sees it: its share of the calls, and what the route's calls have shown about it. Holds facts;
// decisions are in balancer.ts and ejection.ts. Made when a route or a name's addresses change, never per call.

import type { Call } from "../call/call.js";
import type { Endpoint } from "../upstream/endpoint.js";
import type { Balancer } from "./balancer.js";

/** After a time out a seat gets one call; what becomes of it decides about the next ones. */
export const Trial = { NONE: 0, OPEN: 1, TAKEN: 2 } as const;

export class Seat {
  readonly balancer: Balancer;
  readonly endpoint: Endpoint;
  /** Which of the route's targets the endpoint belongs to: what is sent hangs on it. */
  readonly target: number;
  /** The operator's share of the target, divided among its addresses. */
  weight: number;
  /** Its place among the route's seats. */
  index = 0;
  /** It takes calls: neither out nor unhealthy, or there are too few of such. */
  eligible = true;
  /** Slow start began then; -1 outside of it. */
  rampFrom = -1;
  /** The endpoint was unhealthy when last looked at. */
  wasDown = false;

  // What calls have shown.
  failuresInRow = 0;
  /** Within the interval under way. */
  calls = 0;
  failures = 0;
  /** Times it was put out in a row, which is what the back-off grows with. */
  ejections = 0;
  /** Out until then; 0 = not out. */
  outUntil = 0;
  trial: number = Trial.NONE;
  trialCall: Call | null = null;
  /** A trial that is not decided by then was passed; 0 = not known yet. */
  trialUntil = 0;

  constructor(balancer: Balancer, endpoint: Endpoint, target: number, weight: number) {
    this.balancer = balancer;
    this.endpoint = endpoint;
    this.target = target;
    this.weight = weight;
  }

  /** A call given now begins at once. */
  get ready(): boolean {
    return this.trial !== Trial.TAKEN && this.endpoint.ready;
  }

  get hopeful(): boolean {
    return this.trial !== Trial.TAKEN && this.endpoint.hopeful;
  }
}
