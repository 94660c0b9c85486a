/**
 * The limits that a worker remembers: found by key, bounded, the ones that were not asked for longest go first.
 * Must not know: stores, calls. Governed by: the contract at the top of `limit.ts`.
 * Runs: once per set of limits that is built; a part of the list once per tick.
 */

import { Ledger, placeOf, rowAt } from "./ledger.js";
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
  readonly ledger = new Ledger();
  /** By the places of their rows; a place may be empty. */
  readonly #limits: (Limit | undefined)[] = [];
  /** Limits made so far: each has a holder's name of its own. */
  #lives = 0;
  #hand = 0;
  #reviewed = 0;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byKey.size;
  }

  get all(): Iterable<Limit> {
    return this.#byKey.values();
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
    if (!set.leases.some((lease) => lease.evicted)) return;
    set.replace(set.leases.map((lease) => (lease.evicted ? this.get(lease) : lease)));
  }

  /** Looks at the part of the list whose turn it is; `visit` hears of those that have something to give back, or to say. */
  review(now: number, visit: (limit: Limit, surplus: number) => void): void {
    const part = Math.min(REVIEW_MAX, Math.ceil(this.#limits.length / REVIEW_PARTS));
    for (let i = 0; i < part; i++) {
      if (this.#reviewed >= this.#limits.length) this.#reviewed = 0;
      const place = this.#reviewed++;
      const surplus = this.ledger.surplus(rowAt(place), now);
      if (surplus === 0) continue;
      const limit = this.#limits[place];
      if (limit !== undefined) visit(limit, surplus);
    }
  }

  #make({ key, kind, limit: units, perMs }: Wanted): Limit {
    const { worker, max, clock, lender } = this.#options;
    if (this.#byKey.size >= max) this.#evict();
    this.#lives += 1;
    const limit = new Limit(key, `${worker}.${this.#lives}`, kind, { limit: units, perMs }, lender, this.ledger);
    limit.lastUse = clock();
    this.#limits[placeOf(limit.row)] = limit;
    this.#byKey.set(key, limit);
    return limit;
  }

  /** The longest unused of a sample. Limits that are under way or waited for are passed over: what bounds those holds. */
  #evict(): void {
    let victim: Limit | undefined;
    for (let i = 0, seen = 0; i < this.#limits.length && seen < EVICTION_SAMPLE; i++) {
      this.#hand = (this.#hand + 1) % this.#limits.length;
      const limit = this.#limits[this.#hand];
      if (limit === undefined || limit.inFlight || limit.queued || limit.waiting > 0) continue;
      seen += 1;
      if (victim === undefined || limit.lastUse < victim.lastUse) victim = limit;
    }
    if (victim === undefined) return;
    this.#limits[placeOf(victim.row)] = undefined;
    this.#byKey.delete(victim.key);
    victim.evict();
    if (victim.close(this.#options.clock())) this.#options.retired(victim);
  }
}
