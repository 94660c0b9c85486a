/**
 * The limits that hold for one session on one API: all of them admit a call, or none counts it.
 * Must not know: stores, where the limits come from. Governed by: the contract at the top of `limit.ts`.
 * Runs: `take` once per call.
 */

import { END, isLent, LEFT, type Ledger, LIFE, LIMIT, UNITS, use } from "./ledger.js";
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
  readonly ledger: Ledger;
  wait(waiting: Waiting, now: number): void;
}

/** The values of a limit for the X-RateLimit-* fields. */
export interface RateHeaders {
  limit: number;
  remaining: number;
  /** The window's end, unix seconds; 0: never, or no limit. */
  reset: number;
}

const NO_ROW = -1;

export class LimitSet {
  // First what every call reads: in a cache line or two, among thousands of sets.
  readonly #queue: Queue;
  readonly counted: readonly Counted[];
  #quotas: readonly boolean[] = NONE;
  /** The rows of the only two leases, and their lives; without a first row the leases are asked one by one. */
  #first = NO_ROW;
  #firstLife = 0;
  #second = NO_ROW;
  #secondLife = 0;
  readonly throttle: Throttle;
  #leases: readonly Limit[] = [];
  /** After DENY: which limit refused. */
  denied: Limit | Counted | undefined = undefined;
  /** After WAIT: which lease has to be asked for. */
  blocked: Limit | undefined = undefined;

  constructor(leases: readonly Limit[], counted: readonly Counted[], throttle: Throttle, queue: Queue) {
    this.counted = counted.length === 0 ? NOT_COUNTED : counted;
    this.throttle = throttle;
    this.#queue = queue;
    this.replace(leases);
  }

  /** Counted by leases, in the order in which they are to refuse. One that was evicted refuses until it is replaced. */
  get leases(): readonly Limit[] {
    return this.#leases;
  }

  replace(leases: readonly Limit[]): void {
    this.#leases = leases;
    this.#quotas = kindsOf(leases);
    const { ints } = this.#queue.ledger;
    const few = leases.length === 1 || leases.length === 2;
    this.#first = few && !leases[0]!.evicted ? leases[0]!.row : NO_ROW;
    if (this.#first !== NO_ROW) this.#firstLife = ints[2 * this.#first + LIFE]!;
    // A second row that is the first again stands for none.
    this.#second = leases.length === 2 ? leases[1]!.row : this.#first;
    if (leases.length === 2 && (leases[1]!.evicted || leases[1] === leases[0])) this.#first = NO_ROW;
    if (this.#second !== NO_ROW) this.#secondLife = ints[2 * this.#second + LIFE]!;
  }

  take(now: number): number {
    if (this.counted !== NOT_COUNTED) return this.#isRefused(now) ? DENY : WAIT;
    const verdict = this.takeLeases(now);
    if (verdict === DENY && this.throttle.tries > 0 && this.denied?.kind !== QUOTA) return WAIT;
    return verdict;
  }

  /** The leased part alone; for the engine, which has asked about the counted part before. */
  takeLeases(now: number): number {
    const { doubles, ints } = this.#queue.ledger;
    const [first, second] = [this.#first, this.#second];
    if (first === NO_ROW || !holds(doubles, ints, first, this.#firstLife, now)) return this.#takeEach(now);
    if (second !== first) {
      if (!holds(doubles, ints, second, this.#secondLife, now)) return this.#takeEach(now);
      if (use(doubles, ints, second, now)) this.#leases[1]!.renewAhead(now);
    }
    if (use(doubles, ints, first, now)) this.#leases[0]!.renewAhead(now);
    return ADMIT;
  }

  #takeEach(now: number): number {
    const leases = this.#leases;
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

  /**
   * Of the first lease that is a quota, or is none. `remaining` is what was left at the last answer of the store plus what this worker
   * holds: what other workers used since then is not in it. Without such a lease `out` stays as it is.
   */
  read(quota: boolean, storeNow: number, out: RateHeaders): void {
    const at = this.#quotas.indexOf(quota);
    if (at < 0) return;
    const { doubles, ints } = this.#queue.ledger;
    const [row, life] = at === 0 ? [this.#first, this.#firstLife] : [this.#second, this.#secondLife];
    if (this.#first === NO_ROW || ints[2 * row + LIFE] !== life) fill(out, this.#leases[at]!, storeNow);
    else {
      const end = doubles[row + END]!;
      const limit = doubles[row + LIMIT]!;
      out.limit = limit;
      out.reset = Math.ceil(end / 1_000);
      out.remaining = goes(end, storeNow) ? Math.max(0, doubles[row + LEFT]! + doubles[row + UNITS]!) : limit;
    }
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
    for (let i = 0; i < count; i++) this.#leases[i]!.giveBack();
  }

  /** A lease that is known to refuse: the counted limits need not be asked. */
  #isRefused(now: number): boolean {
    for (const lease of this.#leases) {
      if (now >= lease.deniedUntil || lease.units > 0) continue;
      this.denied = lease;
      return lease.kind === QUOTA || this.throttle.tries === 0;
    }
    return false;
  }
}

const NOT_COUNTED: readonly Counted[] = [];
const NONE: readonly boolean[] = [];
/** Which leases are quotas, as one of a few lists that all sets share. */
const KINDS: readonly (readonly boolean[])[] = [
  NONE,
  [false],
  [true],
  [false, false],
  [false, true],
  [true, false],
  [true, true],
];

function kindsOf(leases: readonly Limit[]): readonly boolean[] {
  const kinds = leases.map((lease) => lease.kind === QUOTA);
  const known = KINDS.find((each) => each.length === kinds.length && each.every((kind, n) => kind === kinds[n]));
  return known ?? kinds;
}

function goes(end: number, storeNow: number): boolean {
  return end === 0 || end > storeNow;
}

function fill(out: RateHeaders, lease: Limit, storeNow: number): void {
  out.limit = lease.limit;
  out.reset = Math.ceil(lease.end / 1_000);
  out.remaining = goes(lease.end, storeNow) ? Math.max(0, lease.left + lease.units) : lease.limit;
}

/** The row is still the one that was meant, and has a unit. */
function holds(doubles: Float64Array, ints: Int32Array, row: number, life: number, now: number): boolean {
  return ints[2 * row + LIFE] === life && isLent(doubles, row, now);
}
