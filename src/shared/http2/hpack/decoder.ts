/**
 * Header blocks into interned fields: RFC 7541 sections 3, 4 and 6, one decoder for each direction of a connection.
 *
 * A fault is a small integer and means COMPRESSION_ERROR for the connection (RFC 9113 4.3): the table is out of step
 * and the decoder must not be used again. A list over its limits is no fault: the block is still worked through, so
 * that the table keeps step, and only the list ends early.
 *
 * Must not know: frames, streams, what a field means. A block is complete when it comes here. Runs for each header
 * block whose bytes were not remembered.
 */
import type { FieldList } from "./field-list.js";
import type { Field, FieldName } from "./field-record.js";
import type { FieldStore } from "./field-store.js";
import { DEFAULT_TABLE_SIZE, STATIC_LENGTH } from "./static-table.js";

/** Each is answered with COMPRESSION_ERROR; the table `hpackFaults` says which rule was broken. */
export const HpackFault = {
  NONE: 0,
  TRUNCATED: 1,
  INTEGER_TOO_LARGE: 2,
  INDEX_ZERO: 3,
  INDEX_UNKNOWN: 4,
  HUFFMAN: 5,
  SIZE_UPDATE_LATE: 6,
  SIZE_UPDATE_TOO_LARGE: 7,
  SIZE_UPDATE_MISSING: 8,
} as const;

export interface HpackFaultRow {
  readonly section: string;
  readonly sentence: string;
}

export const hpackFaults: readonly HpackFaultRow[] = [
  { section: "", sentence: "no fault" },
  { section: "RFC 7541 6", sentence: "the header block ends inside a representation" },
  { section: "RFC 7541 5.1", sentence: "an integer is larger or longer than this implementation takes" },
  { section: "RFC 7541 6.1", sentence: "the index 0 stands for no field" },
  { section: "RFC 7541 2.3.3", sentence: "an index lies behind the end of both tables" },
  { section: "RFC 7541 5.2", sentence: "a Huffman-coded string holds EOS or is padded wrongly" },
  { section: "RFC 7541 4.2", sentence: "a table size update stands behind a field" },
  { section: "RFC 7541 6.3", sentence: "a table size update is above the size we allow" },
  { section: "RFC 7541 4.2", sentence: "the block after our smaller table size lacks its size update" },
];

export interface HpackLimits {
  /** Fields a list takes. */
  readonly maxFields: number;
  /** Octets a list takes, each field counted as RFC 9113 10.5.1 says. */
  readonly maxListSize: number;
}

const FIRST_SLOTS = 16;

export class HpackDecoder {
  /**
   * Changes whenever the table's content does, with every size update, and when one becomes due. A block decoded without
   * changing it yields equal fields for equal bytes as long as it stays the same.
   */
  generation = 0;
  /** Entries in the dynamic table. */
  entries = 0;
  /** Their size, RFC 7541 4.1. */
  tableSize = 0;

  readonly #store: FieldStore;
  readonly #statics: Field[];
  readonly #maxFields: number;
  readonly #maxListSize: number;
  /** What we allow, what the peer last chose, and whether it has to choose anew. */
  #limit: number;
  #capacity: number;
  #updateDue = false;
  /** A ring: the newest entry at #newest, older ones behind it, modulo the length (a power of two). */
  #ring: (Field | null)[] = [];
  #newest = 0;
  /** Where the last integer or string ended, and the fault it met. */
  #at = 0;
  #fault = 0;

  /**
   * The table begins with the protocol's default size: the peer may use that until it acknowledges our SETTINGS, and
   * keeps to it where we allow more until it says otherwise (RFC 9113 4.3.1). On the acknowledgement the caller passes
   * what was advertised to setTableLimit.
   */
  constructor(store: FieldStore, tableLimit: number, limits: HpackLimits) {
    this.#store = store;
    this.#statics = store.statics;
    this.#maxFields = limits.maxFields;
    this.#maxListSize = limits.maxListSize;
    this.#limit = Math.max(tableLimit, DEFAULT_TABLE_SIZE);
    this.#capacity = DEFAULT_TABLE_SIZE;
    for (let i = 0; i < FIRST_SLOTS; i++) this.#ring.push(null);
  }

  /** The most the peer's table may hold, from the moment it has acknowledged the SETTINGS that say so. */
  setTableLimit(limit: number): void {
    this.#limit = limit;
    if (limit >= this.#capacity) return;
    // 4.2: the next block has to begin with an update down to the limit. Until then the entries stay.
    this.#updateDue = true;
    this.#changed();
  }

  /** Decodes the whole block into `out` (reset first). Returns 0 or an HpackFault. */
  decode(buf: Uint8Array, start: number, end: number, out: FieldList): number {
    out.reset();
    this.#fault = 0;
    let at = start;
    if (at < end && (buf[at]! & 0xe0) === 0x20) {
      at = this.#sizeUpdates(buf, at, end);
      if (at < 0) return this.#fault;
    }
    if (this.#updateDue) return HpackFault.SIZE_UPDATE_MISSING;
    const statics = this.#statics;
    while (at < end) {
      const first = buf[at]!;
      let field: Field | null;
      if (first > 0x80 && first <= 0x80 + STATIC_LENGTH) {
        at++;
        field = statics[first & 0x7f]!;
      } else if (first >= 0x80) {
        field = this.#indexed(buf, at, end);
        at = this.#at;
      } else if (first >= 0x40) {
        field = this.#literal(buf, at, end, 6, false);
        if (field !== null) this.#insert(field);
        at = this.#at;
      } else if (first < 0x20) {
        field = this.#literal(buf, at, end, 4, first >= 0x10);
        at = this.#at;
      } else {
        return HpackFault.SIZE_UPDATE_LATE;
      }
      if (field === null) return this.#fault;
      const size = out.size + field.size;
      out.size = size;
      if (out.length < this.#maxFields && size <= this.#maxListSize) out.fields[out.length++] = field;
      else out.overflow = true;
    }
    return 0;
  }

  #changed(): void {
    this.generation = (this.generation + 1) & 0x3fffffff;
  }

  #fail(fault: number): null {
    this.#fault = fault;
    return null;
  }

  /**
   * Reads an integer with a prefix of `bits` bits at `at` and leaves the offset behind it in #at; -1 for a fault.
   * Four octets behind the prefix reach 2^28, more than any block we take; longer forms are refused (5.1).
   */
  #integer(buf: Uint8Array, at: number, end: number, bits: number): number {
    const full = (1 << bits) - 1;
    let value = buf[at++]! & full;
    if (value === full) {
      let shift = 0;
      for (;;) {
        if (at >= end) {
          this.#fault = HpackFault.TRUNCATED;
          return -1;
        }
        const octet = buf[at++]!;
        value += (octet & 0x7f) << shift;
        if (octet < 0x80) break;
        shift += 7;
        if (shift > 21) {
          this.#fault = HpackFault.INTEGER_TOO_LARGE;
          return -1;
        }
      }
    }
    this.#at = at;
    return value;
  }

  /** Every update that begins the block; the offset behind them, or -1. */
  #sizeUpdates(buf: Uint8Array, at: number, end: number): number {
    while (at < end && (buf[at]! & 0xe0) === 0x20) {
      const size = this.#integer(buf, at, end, 5);
      if (size < 0) return -1;
      if (size > this.#limit) {
        this.#fault = HpackFault.SIZE_UPDATE_TOO_LARGE;
        return -1;
      }
      at = this.#at;
      this.#updateDue = false;
      this.#capacity = size;
      this.#evict(0);
      // Even where the size stays: a block with an update must not be remembered and stand in for one elsewhere.
      this.#changed();
    }
    return at;
  }

  #indexed(buf: Uint8Array, at: number, end: number): Field | null {
    const index = this.#integer(buf, at, end, 7);
    if (index < 0) return null;
    if (index === 0) return this.#fail(HpackFault.INDEX_ZERO);
    const back = index - STATIC_LENGTH - 1;
    if (back < 0) return this.#statics[index]!;
    if (back >= this.entries) return this.#fail(HpackFault.INDEX_UNKNOWN);
    const slot = (this.#newest + back) & (this.#ring.length - 1);
    const field = this.#ring[slot]!;
    if (field.stable) return field;
    // Fresh because its name is volatile, yet it repeats: from here on it is worth an identity.
    const settled = this.#store.settle(field);
    this.#ring[slot] = settled;
    return settled;
  }

  #nameAt(index: number): FieldName | null {
    const back = index - STATIC_LENGTH - 1;
    if (back < 0) return this.#statics[index]!.name;
    if (back >= this.entries) {
      this.#fault = HpackFault.INDEX_UNKNOWN;
      return null;
    }
    return this.#ring[(this.#newest + back) & (this.#ring.length - 1)]!.name;
  }

  #literal(buf: Uint8Array, at: number, end: number, bits: number, neverIndexed: boolean): Field | null {
    const index = this.#integer(buf, at, end, bits);
    if (index < 0) return null;
    const name = index !== 0 ? this.#nameAt(index) : this.#literalName(buf, this.#at, end);
    if (name === null) return null;
    at = this.#at;
    if (at >= end) return this.#fail(HpackFault.TRUNCATED);
    const huffman = buf[at]! >= 0x80;
    const length = this.#integer(buf, at, end, 7);
    if (length < 0) return null;
    at = this.#at;
    if (length > end - at) return this.#fail(HpackFault.TRUNCATED);
    this.#at = at + length;
    const field = this.#store.fieldFromWire(name, buf, at, at + length, huffman, neverIndexed);
    return field === null ? this.#fail(HpackFault.HUFFMAN) : field;
  }

  #literalName(buf: Uint8Array, at: number, end: number): FieldName | null {
    if (at >= end) return this.#fail(HpackFault.TRUNCATED);
    const huffman = buf[at]! >= 0x80;
    const length = this.#integer(buf, at, end, 7);
    if (length < 0) return null;
    at = this.#at;
    if (length > end - at) return this.#fail(HpackFault.TRUNCATED);
    this.#at = at + length;
    const name = this.#store.nameFromWire(buf, at, at + length, huffman);
    return name === null ? this.#fail(HpackFault.HUFFMAN) : name;
  }

  /** Drops the oldest entries until `room` octets fit (4.3, 4.4). */
  #evict(room: number): void {
    const ring = this.#ring;
    while (this.entries > 0 && this.tableSize + room > this.#capacity) {
      const slot = (this.#newest + --this.entries) & (ring.length - 1);
      this.tableSize -= ring[slot]!.size;
      ring[slot] = null;
    }
  }

  #insert(field: Field): void {
    this.#evict(field.size);
    this.#changed();
    // 4.4: an entry larger than the table empties it and is no error.
    if (field.size > this.#capacity) return;
    if (this.entries === this.#ring.length) this.#grow();
    this.#newest = (this.#newest - 1) & (this.#ring.length - 1);
    this.#ring[this.#newest] = field;
    this.entries++;
    this.tableSize += field.size;
  }

  #grow(): void {
    const old = this.#ring;
    const ring: (Field | null)[] = [];
    for (let i = 0; i < old.length; i++) ring.push(old[(this.#newest + i) & (old.length - 1)]!);
    for (let i = 0; i < old.length; i++) ring.push(null);
    this.#ring = ring;
    this.#newest = 0;
  }
}
