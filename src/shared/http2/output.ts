// What one connection is about to write: small frames gathered in output blocks, large payloads as slices of the blocks
// they were read into, in order. Everything appended during a turn leaves in one write. An idle connection holds no
// output block. Must not know frames or sockets. Runs for every frame sent.

import type { ReadBlock } from "../base/read-block.js";

export const OUTPUT_BLOCK = 16_384;
const MAX_SPARE_BLOCKS = 256;
/** Up to this many octets a loop is cheaper than a call into the runtime (bench/micro/output). */
const LOOP_COPY = 48;

/** Blocks for output, shared by all connections of a worker. */
export class OutputBlocks {
  private readonly spare: Buffer[] = [];

  take(): Buffer {
    return this.spare.pop() ?? Buffer.allocUnsafeSlow(OUTPUT_BLOCK);
  }

  give(block: Buffer): void {
    if (this.spare.length < MAX_SPARE_BLOCKS) this.spare.push(block);
  }
}

/** What is being written: freed as a whole once the socket took it. */
export class Flight {
  parts: Buffer[] = [];
  readonly holds: ReadBlock[] = [];
  readonly blocks: Buffer[] = [];
  bytes = 0;
}

export class Output {
  private readonly pool: OutputBlocks;
  /** The block small frames go to; valid after `reserve`. */
  block: Buffer;
  /** Where the next octet goes. */
  at = 0;
  /** Where the octets begin that are in no part yet. */
  base = 0;
  private room = 0;
  private sliceOf: ReadBlock | null = null;
  private sliceStart = 0;
  private sliceEnd = 0;
  /** Octets sealed in the current flight or being written; without the open ends. */
  private sealed = 0;
  private filling = new Flight();
  private flying = new Flight();
  /** True while the socket has not taken the last flight. */
  inFlight = false;

  constructor(pool: OutputBlocks) {
    this.pool = pool;
    this.block = EMPTY;
  }

  /** Octets appended and not yet taken by the socket. */
  get waiting(): number {
    return this.sealed + (this.at - this.base) + (this.sliceEnd - this.sliceStart);
  }

  /** True when nothing waits to be flushed (a flight may still be under way). */
  get empty(): boolean {
    return this.at === this.base && this.sliceEnd === this.sliceStart && this.filling.parts.length === 0;
  }

  /** Makes room for `n` (at most OUTPUT_BLOCK) octets at `block[at]`. */
  reserve(n: number): void {
    if (this.sliceEnd !== this.sliceStart) this.sealSlice();
    if (this.room - this.at >= n) return;
    this.sealBlock();
    if (this.room !== 0) this.filling.blocks.push(this.block);
    this.block = this.pool.take();
    this.room = OUTPUT_BLOCK;
    this.at = 0;
    this.base = 0;
  }

  /** Appends a copy of `src[start, end)`. */
  copy(src: Uint8Array, start: number, end: number): void {
    let from = start;
    while (from < end) {
      const n = Math.min(end - from, OUTPUT_BLOCK);
      this.reserve(n);
      this.place(src, from, from + n);
      from += n;
    }
  }

  /** As `copy`, into room already reserved. */
  place(src: Uint8Array, start: number, end: number): void {
    const block = this.block;
    let at = this.at;
    if (end - start <= LOOP_COPY) {
      for (let i = start; i < end; i++) block[at++] = src[i]!;
      this.at = at;
      return;
    }
    block.set(start === 0 && end === src.length ? src : src.subarray(start, end), at);
    this.at = at + end - start;
  }

  /** Appends `of.buf[start, end)` without copying; the block stays held until it is written. */
  slice(of: ReadBlock, start: number, end: number): void {
    if (this.sliceOf === of && this.sliceEnd === start && this.sliceEnd !== this.sliceStart) {
      this.sliceEnd = end;
      return;
    }
    if (this.sliceEnd !== this.sliceStart) this.sealSlice();
    this.sealBlock();
    of.holds++;
    this.sliceOf = of;
    this.sliceStart = start;
    this.sliceEnd = end;
  }

  private sealSlice(): void {
    const of = this.sliceOf!;
    this.filling.parts.push(of.buf.subarray(this.sliceStart, this.sliceEnd));
    this.filling.holds.push(of);
    this.sealed += this.sliceEnd - this.sliceStart;
    this.filling.bytes += this.sliceEnd - this.sliceStart;
    this.sliceStart = this.sliceEnd = 0;
    this.sliceOf = null;
  }

  private sealBlock(): void {
    if (this.at === this.base) return;
    this.filling.parts.push(this.block.subarray(this.base, this.at));
    this.sealed += this.at - this.base;
    this.filling.bytes += this.at - this.base;
    this.base = this.at;
  }

  /**
   * How many octets wait, if they lie in `block` from `base` on and there is nothing else; 0 otherwise. Most flights are so: they can be
   * written where they lie, without a view of them and without a flight. Only while not `inFlight`; `took` must follow.
   */
  get sole(): number {
    return this.sealed === 0 && this.sliceEnd === this.sliceStart ? this.at - this.base : 0;
  }

  /** The socket has taken the first `n` octets of those that `sole` counted. */
  took(n: number): void {
    this.base += n;
    if (this.base !== this.at) return;
    this.pool.give(this.block);
    this.block = EMPTY;
    this.at = this.base = this.room = 0;
  }

  /** Everything gathered so far, to be written now; `landed` must follow. Only while not `inFlight`. */
  takeFlight(): Flight {
    if (this.sliceEnd !== this.sliceStart) this.sealSlice();
    this.sealBlock();
    if (this.room !== 0) this.filling.blocks.push(this.block);
    this.block = EMPTY;
    this.at = this.base = this.room = 0;
    const flight = this.filling;
    this.filling = this.flying;
    this.flying = flight;
    this.inFlight = true;
    return flight;
  }

  /** The socket has taken the flight (or will never): blocks go back, slices are let go. */
  landed(): void {
    const flight = this.flying;
    for (let i = 0; i < flight.blocks.length; i++) this.pool.give(flight.blocks[i]!);
    for (let i = 0; i < flight.holds.length; i++) flight.holds[i]!.release();
    this.sealed -= flight.bytes;
    flight.bytes = 0;
    flight.blocks.length = 0;
    flight.holds.length = 0;
    flight.parts.length = 0;
    this.inFlight = false;
  }

  /** Lets everything go that will never be written. A flight under way is left to `landed`. */
  discard(): void {
    if (this.inFlight) return;
    this.takeFlight();
    this.landed();
  }
}

const EMPTY = Buffer.alloc(0);
