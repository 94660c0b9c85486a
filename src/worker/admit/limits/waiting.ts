/**
 * One call that waits for its limits, and the queue of those behind one limit.
 * Must not know: stores, leases' sizes, what the call is. Governed by: the contract at the top of `limit.ts`.
 * Runs: for calls at the edge of a lease only.
 */

import type { Limit } from "./limit.js";
import type { LimitSet } from "./set.js";

/** The call itself: told once. */
export interface Caller {
  decided(verdict: number, now: number): void;
}

export class Waiting {
  readonly caller: Caller;
  readonly set: LimitSet;
  /** When the present attempt began, on the worker's clock. */
  since: number;
  next: Waiting | undefined = undefined;
  /** How often it was sent to wait. */
  rounds = 0;
  /** Attempts that throttling still allows. */
  tries: number;
  /** When a throttled call comes back. */
  due = 0;
  /** How many of the set's counted limits have admitted it, and the moments they logged. */
  step = 0;
  readonly logged: number[] = [];
  done = false;
  cancelled = false;

  constructor(caller: Caller, set: LimitSet, now: number) {
    this.caller = caller;
    this.set = set;
    this.since = now;
    this.tries = set.throttle.tries;
  }

  /** The call is gone: it will not be told, and uses nothing. */
  cancel(): void {
    this.cancelled = true;
  }
}

export function enqueue(limit: Limit, waiting: Waiting): void {
  waiting.next = undefined;
  if (limit.last === undefined) limit.first = waiting;
  else limit.last.next = waiting;
  limit.last = waiting;
  limit.waiting += 1;
}

/** Takes the whole queue off the limit. */
export function detach(limit: Limit): Waiting | undefined {
  const first = limit.first;
  limit.first = undefined;
  limit.last = undefined;
  limit.waiting = 0;
  return first;
}
