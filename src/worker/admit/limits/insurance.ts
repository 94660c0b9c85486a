/**
 * What a worker admits while the store is away: its share of each limit, so that all workers together stay within it.
 * Must not know: stores, calls. Governed by: issue "The gate", item 7. Runs: once per lease without the store.
 */

import { ADMIT, DENY, type Limit, QUOTA, UNAVAILABLE, WAIT } from "./limit.js";
import type { Members } from "./members.js";

export class Insurance {
  readonly #members: Members;
  /** The store's clock minus the worker's. */
  readonly #offset: () => number;
  /** Quota passes uncounted. */
  readonly #uncounted: boolean;
  #downSince = 0;
  /** Has this worker gone on alone and come back? Then others may still be alone. */
  #returning = false;

  constructor(members: Members, offset: () => number, uncounted: boolean) {
    this.#members = members;
    this.#offset = offset;
    this.#uncounted = uncounted;
  }

  /** The store is away from now on. */
  begin(now: number): void {
    this.#downSince = now;
    this.#returning = true;
    this.#members.lost();
  }

  /**
   * A share of the limit in each window; where windows turn is known from the store's clock. In the window of the loss this
   * worker goes on with its part of what was left when it last heard, up to its share in all: so the sum stays within the
   * limit unless others had taken more than their shares before.
   */
  lend(limit: Limit, now: number): number {
    // Another limit of the same key may have the share: the set has to find it.
    if (limit.evicted) return WAIT;
    if (limit.kind === QUOTA) return this.#lendQuota(limit, now);
    const share = this.#members.share(limit.limit, now);
    if (share < 0) return UNAVAILABLE;
    const storeNow = now + this.#offset();
    const end = (Math.floor(storeNow / limit.perMs) + 1) * limit.perMs;
    const isLast = end === limit.end;
    limit.mine = isLast ? limit.mine - limit.units : 0;
    let units = share;
    if (isLast) units = Math.max(0, Math.min(share - limit.mine, Math.floor(limit.left / this.#members.count)));
    else if (this.#isBroken(end, limit.perMs)) units = Math.floor((share * (end - storeNow)) / limit.perMs);
    limit.left = 0;
    limit.end = end;
    limit.units = units;
    limit.mine += units;
    limit.ahead = -1;
    limit.until = limit.insuredUntil = now + end - storeNow;
    // The share is what there is until the window ends, and `insuredUntil` refuses the rest.
    return units > 0 ? limit.take(now) : DENY;
  }

  /** What this worker may take out of one window at most: no bound but after an outage. */
  cap(limit: Limit, now: number): number {
    if (limit.kind === QUOTA || this.#members.complete) return Number.POSITIVE_INFINITY;
    const share = this.#returning ? this.#members.share(limit.limit, now) : -1;
    return share < 0 ? Number.POSITIVE_INFINITY : share;
  }

  #lendQuota(limit: Limit, now: number): number {
    if (!this.#uncounted) return UNAVAILABLE;
    // Counted here, so that the counter is raised when the store is back.
    limit.mine += 1;
    limit.used += 1;
    limit.lastUse = now;
    return ADMIT;
  }

  /** Is this the window in which the store was lost? Others may have used up most of it. */
  #isBroken(end: number, perMs: number): boolean {
    return this.#downSince + this.#offset() >= end - perMs;
  }
}
