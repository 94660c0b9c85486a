/**
 * The limits that hold for one session on one API: all of them admit a call, or none counts it.
 * Must not know: stores, where the limits come from. Governed by: the contract at the top of `limit.ts`.
 * Runs: `take` once per call.
 */

import { ADMIT, DENY, type Limit, QUOTA, WAIT } from "./limit.js";
import { type Caller, Waiting } from "./waiting.js";

/** Ask the store about every call: a sliding log (`exact`) or a window that begins with its first call (`fixed`). */
export class Counted {
  /** What the last answer said, for the headers. */
  left = 0;
  /** When a unit is free again, on the worker's clock. */
  freeAt = 0;

  constructor(
    readonly key: string,
    readonly kind: number,
    readonly limit: number,
    readonly perMs: number,
    readonly fixed: boolean,
  ) {
    this.left = limit;
  }
}

/** Tyk's throttling: a call over the rate waits so long and tries again, so often. */
export interface Throttle {
  readonly intervalMs: number;
  readonly tries: number;
}

export const NO_THROTTLE: Throttle = { intervalMs: 0, tries: 0 };

/** What a set needs of its engine. */
export interface Queue {
  wait(waiting: Waiting, now: number): void;
}

export class LimitSet {
  /** Counted by leases, in the order in which they are to refuse. An evicted one is replaced by the engine. */
  readonly leases: Limit[];
  readonly counted: readonly Counted[];
  readonly throttle: Throttle;
  /** After DENY: which limit refused. */
  denied: Limit | Counted | undefined = undefined;
  /** After WAIT: which lease has to be asked for. */
  blocked: Limit | undefined = undefined;
  readonly #queue: Queue;

  constructor(leases: Limit[], counted: readonly Counted[], throttle: Throttle, queue: Queue) {
    this.leases = leases;
    this.counted = counted;
    this.throttle = throttle;
    this.#queue = queue;
  }

  take(now: number): number {
    if (this.counted.length > 0) return this.#isRefused(now) ? DENY : WAIT;
    const verdict = this.takeLeases(now);
    if (verdict === DENY && this.throttle.tries > 0 && this.denied?.kind !== QUOTA) return WAIT;
    return verdict;
  }

  /** The leased part alone; for the engine, which has asked about the counted part before. */
  takeLeases(now: number): number {
    const leases = this.leases;
    for (let i = 0; i < leases.length; i++) {
      const verdict = leases[i]!.take(now);
      if (verdict === ADMIT) continue;
      this.#undo(i);
      if (verdict === WAIT) this.blocked = leases[i];
      else this.denied = leases[i];
      return verdict;
    }
    return ADMIT;
  }

  /** After WAIT. The answer may come before this returns. */
  wait(caller: Caller, now: number): Waiting {
    const waiting = new Waiting(caller, this, now);
    this.#queue.wait(waiting, now);
    return waiting;
  }

  /** A call that waited was admitted. For onlookers. */
  admitted(_waiting: Waiting | undefined): void {}

  /** After DENY: milliseconds until the limit that refused may admit again; -1 when nobody knows or it never does. */
  retryMs(now: number): number {
    const denied = this.denied;
    if (denied === undefined) return -1;
    const at = denied instanceof Counted ? denied.freeAt : Math.max(denied.until, denied.insuredUntil);
    return Number.isFinite(at) ? Math.max(1, Math.ceil(at - now)) : -1;
  }

  #undo(count: number): void {
    for (let i = 0; i < count; i++) this.leases[i]!.giveBack();
  }

  /** A lease that is known to refuse: the counted limits need not be asked. */
  #isRefused(now: number): boolean {
    for (const lease of this.leases) {
      if (now >= lease.deniedUntil || lease.units > 0) continue;
      this.denied = lease;
      return lease.kind === QUOTA || this.throttle.tries === 0;
    }
    return false;
  }
}
