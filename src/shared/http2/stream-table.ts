// Streams by number. Numbers rise by two, so a power-of-two ring indexed by the number finds nearly all of them; the few
// that collide with an older, longer-lived stream are in a map beside it. Runs several times per call.

import type { Stream } from "./stream.js";

const FIRST_SIZE = 8;
const LARGEST_SIZE = 4_096;

export class StreamTable {
  private slots: (Stream | null)[] = new Array<Stream | null>(FIRST_SIZE).fill(null);
  private mask = FIRST_SIZE - 1;
  private overflow: Map<number, Stream> | null = null;
  size = 0;

  get(id: number): Stream | null {
    const found = this.slots[(id >>> 1) & this.mask]!;
    if (found !== null && found.id === id) return found;
    return this.overflow === null ? null : (this.overflow.get(id) ?? null);
  }

  add(stream: Stream): void {
    this.size++;
    const slot = (stream.id >>> 1) & this.mask;
    if (this.slots[slot] === null) {
      this.slots[slot] = stream;
      return;
    }
    if (this.size * 2 > this.slots.length && this.slots.length < LARGEST_SIZE) {
      this.grow();
      this.size--;
      this.add(stream);
      return;
    }
    this.overflow ??= new Map();
    this.overflow.set(stream.id, stream);
  }

  remove(stream: Stream): void {
    const slot = (stream.id >>> 1) & this.mask;
    if (this.slots[slot] === stream) {
      this.slots[slot] = null;
      this.size--;
    } else if (this.overflow?.delete(stream.id)) {
      this.size--;
      if (this.overflow.size === 0) this.overflow = null;
    }
  }

  private grow(): void {
    const old = this.slots;
    const overflow = this.overflow;
    this.slots = new Array<Stream | null>(old.length * 2).fill(null);
    this.mask = this.slots.length - 1;
    this.overflow = null;
    for (const stream of old) if (stream !== null) this.place(stream);
    if (overflow !== null) for (const stream of overflow.values()) this.place(stream);
  }

  private place(stream: Stream): void {
    const slot = (stream.id >>> 1) & this.mask;
    if (this.slots[slot] === null) this.slots[slot] = stream;
    else {
      this.overflow ??= new Map();
      this.overflow.set(stream.id, stream);
    }
  }

  /** A copy of all streams, so that the caller may remove while it walks. Not for the hot path. */
  all(): Stream[] {
    const list: Stream[] = [];
    for (const stream of this.slots) if (stream !== null) list.push(stream);
    if (this.overflow !== null) list.push(...this.overflow.values());
    return list;
  }
}
