// When something is due, for any number of things: a hierarchical timing wheel. Putting in and taking out are a few
// assignments; nothing is allocated, the links are the entries' own. An entry is never due early: the time is rounded up
// to a tick. What lies far ahead waits in a coarser wheel and is dealt out again when its time comes near.
// Must not know: clocks, timers, what is due. Runs once or twice per call that has a deadline.

/** Resolution, ms. */
export const TICK_MS = 4;
const FINE_BITS = 8;
const COARSE_BITS = 6;
/** Ticks per slot of each wheel as a shift: 4 ms, 1 s, 65 s, 70 min; the last reaches over three days. */
const SHIFTS = [0, FINE_BITS, FINE_BITS + COARSE_BITS, FINE_BITS + 2 * COARSE_BITS] as const;
const SCALES = SHIFTS.map((shift) => 2 ** shift);
const SIZES = [1 << FINE_BITS, 1 << COARSE_BITS, 1 << COARSE_BITS, 1 << COARSE_BITS] as const;
const FIRSTS = [0, SIZES[0], SIZES[0] + SIZES[1], SIZES[0] + SIZES[1] + SIZES[2]] as const;
const SLOTS = FIRSTS[3] + SIZES[3];
/** What lies further ahead is looked at again after this many ticks. */
const REACH = (SIZES[3] - 1) * 2 ** SHIFTS[3];

export interface Timed {
  /** When it is due, ms; written by the wheel. */
  due: number;
  /** -1 while it is in no wheel. */
  slot: number;
  next: Timed | null;
  previous: Timed | null;
}

export class DeadlineWheel<T extends Timed> {
  size = 0;
  private readonly heads: (T | null)[] = new Array<T | null>(SLOTS).fill(null);
  /** Everything up to this tick has been handed out. */
  private tick: number;

  constructor(now: number) {
    this.tick = Math.floor(now / TICK_MS);
  }

  /** Puts the entry in, or moves it; past times are due at the next tick. */
  put(entry: T, due: number, now: number): void {
    if (entry.slot >= 0) this.remove(entry);
    // An empty wheel is not turned.
    if (this.size === 0) this.tick = Math.max(this.tick, Math.floor(now / TICK_MS));
    entry.due = due;
    this.place(entry, this.tick + 1);
    this.size++;
  }

  remove(entry: T): void {
    const { slot } = entry;
    if (slot < 0) return;
    const next = entry.next as T | null;
    const previous = entry.previous as T | null;
    if (previous === null) this.heads[slot] = next;
    else previous.next = next;
    if (next !== null) next.previous = previous;
    entry.next = entry.previous = null;
    entry.slot = -1;
    this.size--;
  }

  /** Hands out what is due at `now`, one by one, in the order of ticks. */
  expire(now: number, due: (entry: T) => void): void {
    const until = Math.floor(now / TICK_MS);
    while (this.tick < until) {
      if (this.size === 0) this.tick = until;
      else if (until - this.tick > SIZES[0]) this.tick = Math.min(until, this.nextTick() - 1);
      if (this.tick === until) return;
      const tick = ++this.tick;
      for (let level = 1; level < SHIFTS.length && tick % SCALES[level]! === 0; level++) this.dealOut(level);
      const fine = tick & (SIZES[0] - 1);
      for (let entry = this.heads[fine]!; entry !== null; entry = this.heads[fine]!) {
        this.remove(entry);
        due(entry);
      }
    }
  }

  /** The time, ms, before which `expire` finds nothing to do. */
  nextLook(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : this.nextTick() * TICK_MS;
  }

  /** The next tick at which something is due or to be dealt out. */
  private nextTick(): number {
    let best = Number.POSITIVE_INFINITY;
    for (let level = 0; level < SHIFTS.length; level++) {
      const scale = SCALES[level]!;
      const size = SIZES[level]!;
      const at = Math.floor(this.tick / scale);
      for (let ahead = 1; ahead <= size && (at + ahead) * scale < best; ahead++) {
        if (this.heads[FIRSTS[level]! + ((at + ahead) & (size - 1))] !== null) best = (at + ahead) * scale;
      }
    }
    return best;
  }

  private place(entry: T, earliest: number): void {
    const tick = Math.min(Math.max(earliest, Math.ceil(entry.due / TICK_MS)), this.tick + REACH);
    const slot = tick - this.tick < SIZES[0] ? tick & (SIZES[0] - 1) : this.coarse(tick);
    const head = this.heads[slot]!;
    entry.slot = slot;
    entry.previous = null;
    entry.next = head;
    if (head !== null) head.previous = entry;
    this.heads[slot] = entry;
  }

  /** The slot in the finest of the coarse wheels that reaches so far. */
  private coarse(tick: number): number {
    let level = 1;
    while (level < 3 && Math.floor(tick / SCALES[level]!) - Math.floor(this.tick / SCALES[level]!) >= SIZES[level]!)
      level++;
    return FIRSTS[level]! + (Math.floor(tick / SCALES[level]!) & (SIZES[level]! - 1));
  }

  /** A coarse slot's time has come: its entries move to finer wheels, the fine slot of this very tick included. */
  private dealOut(level: number): void {
    const slot = FIRSTS[level]! + (Math.floor(this.tick / SCALES[level]!) & (SIZES[level]! - 1));
    let entry = this.heads[slot]!;
    this.heads[slot] = null;
    while (entry !== null) {
      const next = entry.next as T;
      this.place(entry, this.tick);
      entry = next;
    }
  }
}
