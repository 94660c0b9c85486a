/**
 * How many workers share the counters, and which part each may admit alone while the store is away.
 * Must not know: stores, limits' meaning. Governed by: issue "The gate", item 7: shares sum to at most the limit.
 * Runs: once a second, and when the store is lost.
 */

import { BEAT_LOST_MS } from "../../../shared/counters/counters.js";

/** All others have heard of a new worker after this long; before, it may admit nothing alone. */
const SETTLED_MS = 3_000;

export class Members {
  readonly #worker: string;
  #count = 0;
  #rank = 0;
  /** Do all workers of the last answer make up the count? Then the remainder of a division can be given by rank. */
  #agreed = false;
  #joinedAt = Number.POSITIVE_INFINITY;
  #fewerSince = Number.POSITIVE_INFINITY;
  /** Beats in a row that named everybody. */
  #complete = 0;

  constructor(worker: string) {
    this.#worker = worker;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * After an outage: are all workers back that were there before it, and have they had time to report what they used?
   * Until then some may still go on alone, and this worker must not take more than its share.
   */
  get complete(): boolean {
    return this.#complete >= 2;
  }

  lost(): void {
    this.#complete = 0;
  }

  /** More workers count at once, fewer only when they stay fewer: after an outage all of them come back one by one. */
  heard(names: readonly string[], now: number): void {
    if (this.#joinedAt === Number.POSITIVE_INFINITY) this.#joinedAt = now;
    if (names.length >= this.#count) this.#fewerSince = Number.POSITIVE_INFINITY;
    else if (this.#fewerSince === Number.POSITIVE_INFINITY) this.#fewerSince = now;
    this.#agreed = names.length >= this.#count || now - this.#fewerSince >= BEAT_LOST_MS;
    this.#complete = this.#agreed ? this.#complete + 1 : 0;
    if (!this.#agreed) return;
    this.#count = names.length;
    this.#rank = [...names].sort().indexOf(this.#worker);
    this.#fewerSince = Number.POSITIVE_INFINITY;
  }

  /** -1: this worker does not know the others yet. */
  share(limit: number, now: number): number {
    if (this.#count === 0 || now - this.#joinedAt < SETTLED_MS) return -1;
    const rest = this.#agreed && this.#rank >= 0 && this.#rank < limit % this.#count ? 1 : 0;
    return Math.floor(limit / this.#count) + rest;
  }
}
