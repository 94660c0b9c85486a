/**
 * Values of credential fields, interned: what decisions about keys hang on. A table of their own, because keys in use may be a
 * hundred thousand where all other fields together are a few hundred, and because anybody can make up new ones.
 *
 * Bounded: eight ways with a second chance, `entries` slots and `bytes` octets. It starts small and doubles while what it holds
 * was met at least twice: a value enters at its second sight only, so that a flood of made-up keys, each sent once, keeps
 * nothing and pushes nobody out.
 *
 * Must not know: what a credential is worth. Runs for each credential literal that is decoded.
 */
import type { Field, FieldName } from "./field-record.js";
import { sameOctets, sameText } from "./wire-hash.js";

/** The hashes of one row lie in half a line of the processor's cache, its slots in a line. */
const WAYS = 8;
const FIRST_ENTRIES = 4_096;
/** So many times as many slots as values: then a row is too short for its values in less than one of a thousand cases. */
const ROOM = 3;
/** The lowest bit of a kept hash: its value was asked for since the hand came by. */
const MET = 1;

export interface CredentialLimits {
  /** Slots at most; a power of two. Half of them can be used before many values push each other out. */
  readonly entries: number;
  /** Octets of all values kept, by Field.size. */
  readonly bytes: number;
}

export class CredentialStore {
  /** Slots in use. */
  size = 0;
  /** Sum of Field.size over the slots in use. */
  bytes = 0;

  readonly #limits: CredentialLimits;
  #entries = 0;
  #hashes = new Int32Array(0);
  #slots: (Field | null)[] = [];
  /** Values seen once, by their hashes: as many as there can be slots from the first, or keys that take turns pass unseen. */
  #seen = new Int32Array(0);
  #turn = 0;
  #hand = 0;

  constructor(limits: CredentialLimits) {
    this.#limits = limits;
  }

  /** Slots there are by now: nothing is taken before the first credential comes. */
  get capacity(): number {
    return this.#entries;
  }

  find(
    hash: number,
    name: FieldName,
    never: boolean,
    buf: Uint8Array,
    start: number,
    end: number,
    huffman: boolean,
  ): Field | null {
    const base = hash & (this.#entries - WAYS);
    for (let i = base; i < base + WAYS; i++) {
      const kept = this.#hashes[i]!;
      if ((kept | MET) !== (hash | MET)) continue;
      const field = this.#slots[i]!;
      if (field === null || field.name !== name || field.neverIndexed !== never) continue;
      if (huffman ? sameOctets(field.wire, buf, start, end) : sameText(field.value, buf, start, end)) {
        if ((kept & MET) === 0) this.#hashes[i] = kept | MET;
        return field;
      }
    }
    return null;
  }

  findText(hash: number, name: FieldName, never: boolean, value: string): Field | null {
    const base = hash & (this.#entries - WAYS);
    for (let i = base; i < base + WAYS; i++) {
      if ((this.#hashes[i]! | MET) !== (hash | MET)) continue;
      const field = this.#slots[i]!;
      if (field !== null && field.name === name && field.neverIndexed === never && field.value === value) {
        this.#hashes[i]! |= MET;
        return field;
      }
    }
    return null;
  }

  /** True when a value of this hash was asked about lately: then it is worth keeping. */
  metBefore(hash: number): boolean {
    if (this.#seen.length === 0) this.#seen = new Int32Array(this.#limits.entries);
    const base = hash & (this.#seen.length - WAYS);
    for (let i = base; i < base + WAYS; i++) if (this.#seen[i] === hash) return true;
    this.#seen[base + (this.#turn++ & (WAYS - 1))] = hash;
    return false;
  }

  keep(hash: number, field: Field): Field {
    if (this.#entries === 0) this.#grow(FIRST_ENTRIES);
    else if (this.size * ROOM >= this.#entries && this.#entries < this.#limits.entries) this.#grow(this.#entries * 2);
    this.#place(hash & ~MET, field);
    while (this.bytes > this.#limits.bytes) this.#sweep();
    return field;
  }

  #place(hash: number, field: Field): void {
    const base = hash & (this.#entries - WAYS);
    let slot = -1;
    for (let i = base; i < base + WAYS; i++) {
      if (this.#slots[i] === null) {
        slot = i;
        break;
      }
      if ((this.#hashes[i]! & MET) === 0) slot = i;
    }
    if (slot < 0) {
      for (let i = base; i < base + WAYS; i++) this.#hashes[i]! &= ~MET;
      slot = base + (this.#hand++ & (WAYS - 1));
    }
    this.#drop(slot);
    this.#slots[slot] = field;
    this.#hashes[slot] = hash;
    this.size++;
    this.bytes += field.size;
  }

  #drop(slot: number): void {
    const field = this.#slots[slot]!;
    if (field === null) return;
    this.#slots[slot] = null;
    this.#hashes[slot]! &= ~MET;
    this.size--;
    this.bytes -= field.size;
  }

  #sweep(): void {
    this.#hand = (this.#hand + 1) & (this.#entries - 1);
    if ((this.#hashes[this.#hand]! & MET) !== 0) this.#hashes[this.#hand]! &= ~MET;
    else this.#drop(this.#hand);
  }

  #grow(entries: number): void {
    const [hashes, slots] = [this.#hashes, this.#slots];
    this.#entries = Math.min(entries, this.#limits.entries);
    this.#hashes = new Int32Array(this.#entries);
    this.#slots = new Array<Field | null>(this.#entries).fill(null);
    this.size = 0;
    this.bytes = 0;
    for (let i = 0; i < slots.length; i++) if (slots[i] !== null) this.#place(hashes[i]!, slots[i]!);
  }
}
