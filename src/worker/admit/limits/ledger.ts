/**
 * The numbers of leases that every call reads: one row of 64 octets for each limit, in one array, so that among thousands of keys a call
 * fetches one line of the processor's cache per limit and not a dozen, and a review of all of them is a walk through an array.
 * Must not know: keys, stores, what a limit is for, who waits. Governed by: the contract at the top of `limit.ts`.
 * Runs: `take` of a set reads and writes rows once per call; `surplus` once per limit in a quarter of a second or more.
 *
 * A row is named by the index of its first double. Rows are used again, so that whoever keeps a row's name keeps its `life` beside it: a
 * row that lives another life is somebody else's.
 */

// Doubles of a row.
export const UNITS = 0;
/** The moment on the worker's clock from which the units are void. */
export const UNTIL = 1;
export const LAST_USE = 2;
/** What the last answer of the store said: units nobody has, and the end of the window on the store's clock, 0 never. */
export const LEFT = 3;
export const END = 4;
export const LIMIT = 5;

// Integers of a row, counted from its first double in steps of four octets.
/** At this many units left the next lease is asked for; -1 never. */
export const AHEAD = 12;
/** Calls admitted, modulo 2^32. */
export const USED = 13;
export const LIFE = 14;

const WIDTH = 8;
/** What only reviews read. */
const SEEN_WIDTH = 4;
const REVIEWED_AT = 0;
const INSURED_UNTIL = 1;
/** Units the store believes to be held here unused. */
const TOLD = 2;
const USED_AT_REVIEW = 3;

const FIRST_ROWS = 2_048;
/** Large blocks begin 16 octets behind a boundary of 64 in the system's allocator: so many doubles later rows begin on one. */
export const FIRST_ROW = 6;

/** A lease of a large limit is at least so large, whatever the demand, but only this part of the limit. */
const LEAST = 1_024;
const LEAST_PART = 4_096;
/** Leases are sized for the demand of this long, as far as the rest allows it. */
export const HORIZON_MS = 8_000;
/** Leases smaller than this are not renewed ahead: their calls stand at the edge of the limit anyway. */
export const AHEAD_FROM = 8;
/** With a review behind it: back within a second. */
const IDLE_MS = 750;

export class Ledger {
  doubles = new Float64Array(0);
  /** The same memory. */
  ints = new Int32Array(0);
  #seen = new Float64Array(0);
  #rows = 0;
  #used = 0;
  readonly #free: number[] = [];

  constructor(rows = FIRST_ROWS) {
    this.#grow(rows);
  }

  /** @returns a row of zeros */
  open(limit: number): number {
    if (this.#free.length === 0 && this.#used === this.#rows) this.#grow(this.#rows * 2);
    const row = this.#free.pop() ?? rowAt(this.#used++);
    const life = this.ints[2 * row + LIFE]!;
    this.doubles.fill(0, row, row + WIDTH);
    this.#seen.fill(0, seenOf(row), seenOf(row) + SEEN_WIDTH);
    this.doubles[row + LIMIT] = limit;
    this.ints[2 * row + AHEAD] = -1;
    this.ints[2 * row + LIFE] = life + 1;
    return row;
  }

  /** Another may have the row now; whoever still names it by its life finds that it is over. */
  close(row: number): void {
    this.ints[2 * row + LIFE]! += 1;
    this.#free.push(row);
  }

  /** A ledger that holds nothing but this row, as its first. */
  copy(row: number): Ledger {
    const own = new Ledger(1);
    const at = own.open(0);
    own.doubles.set(this.doubles.subarray(row, row + WIDTH), at);
    own.#seen.set(this.#seen.subarray(seenOf(row), seenOf(row) + SEEN_WIDTH));
    return own;
  }

  /** A lease without the store: no more than this share until then. */
  insuredUntil(row: number): number {
    return this.#seen[seenOf(row) + INSURED_UNTIL]!;
  }

  insure(row: number, until: number): void {
    this.#seen[seenOf(row) + INSURED_UNTIL] = until;
  }

  told(row: number): number {
    return this.#seen[seenOf(row) + TOLD]!;
  }

  tell(row: number, units: number): void {
    this.#seen[seenOf(row) + TOLD] = units;
  }

  /** The least that a lease of this limit is worth asking for: every other ask costs the store as much as a large one. */
  least(row: number): number {
    return Math.min(LEAST, Math.floor(this.doubles[row + LIMIT]! / LEAST_PART));
  }

  /**
   * A look at what is not needed here, by what was used since the last look. @returns units to give back; 0 for none; -1 when there is
   * nothing to give but the store should hear of it
   */
  surplus(row: number, now: number): number {
    const { doubles } = this;
    const at = seenOf(row);
    const used = this.ints[2 * row + USED]!;
    const recent = (used - this.#seen[at + USED_AT_REVIEW]!) | 0;
    const elapsed = now - this.#seen[at + REVIEWED_AT]!;
    this.#seen[at + USED_AT_REVIEW] = used;
    this.#seen[at + REVIEWED_AT] = now;
    if (now >= doubles[row + UNTIL]! || now < this.#seen[at + INSURED_UNTIL]!) return 0;
    const units = doubles[row + UNITS]!;
    const idles = recent === 0 && now - doubles[row + LAST_USE]! >= IDLE_MS;
    if (units === 0) return idles && this.#seen[at + TOLD]! > 0 ? -1 : 0;
    if (recent === 0) return idles ? units : 0;
    const expected = Math.ceil((recent * HORIZON_MS) / Math.max(1, elapsed));
    return units > 2 * expected + Math.max(AHEAD_FROM, this.least(row)) ? units - expected : 0;
  }

  #grow(rows: number): void {
    const [doubles, seen] = [this.doubles, this.#seen];
    this.#rows = rows;
    this.doubles = new Float64Array(FIRST_ROW + WIDTH * rows);
    this.doubles.set(doubles);
    this.ints = new Int32Array(this.doubles.buffer);
    this.#seen = new Float64Array(SEEN_WIDTH * rows);
    this.#seen.set(seen);
  }
}

/** There is a unit in the row. */
export function isLent(doubles: Float64Array, row: number, now: number): boolean {
  return doubles[row + UNITS]! > 0 && now < doubles[row + UNTIL]!;
}

/** Takes a unit that is there. @returns true when the next lease is to be asked for */
export function use(doubles: Float64Array, ints: Int32Array, row: number, now: number): boolean {
  const units = doubles[row + UNITS]! - 1;
  doubles[row + UNITS] = units;
  doubles[row + LAST_USE] = now;
  ints[2 * row + USED]! += 1;
  return units === ints[2 * row + AHEAD];
}

/** Rows by their number, from 0 on. */
export function rowAt(place: number): number {
  return FIRST_ROW + WIDTH * place;
}

export function placeOf(row: number): number {
  return (row - FIRST_ROW) / WIDTH;
}

function seenOf(row: number): number {
  return placeOf(row) * SEEN_WIDTH;
}
