/**
 * The limits that a worker remembers: found by key, bounded, the ones that were not asked for longest go first.
 * Must not know: stores, calls. Governed by: the contract at the top of `limit.ts`.
 * Runs: once per set of limits that is built; a part of the list once per tick.
 */

import { type Lender, Limit } from "./limit.js";
import type { LimitSet } from "./set.js";

const EVICTION_SAMPLE = 16;
/** A tick of 50 ms looks at a quarter of the list, but no more than so many: a long list takes longer to go round. */
const REVIEW_PARTS = 4;
const REVIEW_MAX = 4_096;

export interface Wanted {
  readonly key: string;
  readonly kind: number;
  readonly limit: number;
  readonly perMs: number;
}

export interface RegistryOptions {
  readonly worker: string;
  readonly max: number;
  readonly clock: () => number;
  readonly lender: Lender;
  /** A limit was forgotten and has something left to say to the store. */
  readonly retired: (limit: Limit) => void;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #byKey = new Map<string, Limit>();
  readonly #limits: Limit[] = [];
  /** Limits made so far: each has a holder's name of its own. */
  #lives = 0;
  #hand = 0;
  #reviewed = 0;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#limits.length;
  }

  get all(): readonly Limit[] {
    return this.#limits;
  }

  find(key: string): Limit | undefined {
    return this.#byKey.get(key);
  }

  /** A limit that is known takes over the new numbers, and asks again before it refuses. */
  get(wanted: Wanted): Limit {
    const known = this.#byKey.get(wanted.key);
    if (known === undefined) return this.#make(wanted);
    known.limit = wanted.limit;
    known.perMs = wanted.perMs;
    known.deniedUntil = 0;
    return known;
  }

  /** A set may be kept longer than its limits. */
  revive(set: LimitSet): void {
    for (const [index, lease] of set.leases.entries()) if (lease.evicted) set.leases[index] = this.get(lease);
  }

  /** The part of the list whose turn it is. */
  review(visit: (limit: Limit) => void): void {
    const part = Math.min(REVIEW_MAX, Math.ceil(this.#limits.length / REVIEW_PARTS));
    for (let i = 0; i < part; i++) {
      if (this.#reviewed >= this.#limits.length) this.#reviewed = 0;
      visit(this.#limits[this.#reviewed++]!);
    }
  }

  #make({ key, kind, limit: units, perMs }: Wanted): Limit {
    const { worker, max, clock, lender } = this.#options;
    if (this.#limits.length >= max) this.#evict();
    this.#lives += 1;
    const limit = new Limit(key, `${worker}.${this.#lives}`, kind, { limit: units, perMs }, lender);
    limit.lastUse = clock();
    limit.place = this.#limits.push(limit) - 1;
    this.#byKey.set(key, limit);
    return limit;
  }

  /** The longest unused of a sample. Limits that are under way or waited for are passed over: what bounds those holds. */
  #evict(): void {
    let victim: Limit | undefined;
    for (let i = 0, seen = 0; i < this.#limits.length && seen < EVICTION_SAMPLE; i++) {
      this.#hand = (this.#hand + 1) % this.#limits.length;
      const limit = this.#limits[this.#hand]!;
      if (limit.inFlight || limit.queued || limit.waiting > 0) continue;
      seen += 1;
      if (victim === undefined || limit.lastUse < victim.lastUse) victim = limit;
    }
    if (victim === undefined) return;
    const last = this.#limits.pop()!;
    if (last !== victim) {
      this.#limits[victim.place] = last;
      last.place = victim.place;
    }
    this.#byKey.delete(victim.key);
    victim.evicted = true;
    if (victim.close(this.#options.clock())) this.#options.retired(victim);
  }
}
