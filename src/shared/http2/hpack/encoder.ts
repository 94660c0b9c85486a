/**
 * Interned fields into header blocks: RFC 7541, one encoder for each direction of a connection.
 *
 * What enters the table: interned fields that are no secrets. Secrets and fields that came never-indexed go out as
 * never-indexed literals (7.1.3); volatile fields as plain literals, so that the table, and with it every block
 * remembered, stays as it is; only the first of a name enters, for the name's sake. Once the table is full, new entries
 * are admitted only now and then.
 *
 * A block encoded with `lastInserted` false depends on nothing but the fields' identities and `generation`: as long
 * as that is unchanged, the same bytes may be sent again. A block with `lastInserted` true must be sent once.
 *
 * Must not know: frames, streams. Runs for each header block that was not remembered.
 */

import { type Field, type FieldName, fieldLiteral, nameLiteral } from "./field-record.js";
import { INTEGER_BOUND, writeInteger } from "./integer.js";
import { DEFAULT_TABLE_SIZE, STATIC_LENGTH } from "./static-table.js";

const FIRST_SLOTS = 16;
const FIRST_OUT = 1024;
/** Blocks that have to pass for each entry that pushes out another. */
const BLOCKS_PER_EVICTION = 32;
const MOST_CREDIT = 16 * BLOCKS_PER_EVICTION;
/** Up to here a loop is faster than a call that copies. */
const SHORT_COPY = 48;

/** Never wraps: an encoder that took over another's number would take its entries for its own. */
let lastEncoder = 0;

/** The block being written: one for the whole worker, so that an idle connection holds none. Grows to the largest. */
let scratch: Uint8Array = new Uint8Array(FIRST_OUT);

/** Octets that encodeLiteral writes at most for this field. */
export function literalBound(field: Field): number {
  return field.size + 3 * INTEGER_BOUND;
}

/**
 * Writes the field as a literal that touches no table, never indexed where it must be; returns the offset behind it.
 * The caller has made room: literalBound.
 */
export function encodeLiteral(field: Field, out: Uint8Array, at: number): number {
  const secret = field.neverIndexed || field.name.credential;
  if (!field.stable) return rawLiteral(field, secret ? 0x10 : 0, field.name.staticIndex, out, at);
  const literal = fieldLiteral(field);
  const end = copy(literal, 0, out, at);
  if (secret) out[at] = literal[0]! | 0x10;
  return end;
}

/**
 * The same with the name as an index that an encoder gave for it (nameIndexOf), of use only under that encoder's present
 * generation; 0 = the name is written out.
 */
export function encodeNamed(field: Field, nameIndex: number, out: Uint8Array, at: number): number {
  if (nameIndex === 0 || field.name.credential) return encodeLiteral(field, out, at);
  const first = field.neverIndexed ? 0x10 : 0;
  if (!field.stable) return rawLiteral(field, first, nameIndex, out, at);
  const literal = fieldLiteral(field);
  return copy(literal, field.literalValueAt, out, writeInteger(out, at, first, 4, nameIndex));
}

/** A literal whose value is written as it came or as it stands: for fields not worth keeping a coded form of. */
function rawLiteral(field: Field, first: number, nameIndex: number, out: Uint8Array, at: number): number {
  if (nameIndex === 0) {
    out[at] = first;
    at = copy(nameLiteral(field.name), 0, out, at + 1);
  } else {
    at = writeInteger(out, at, first, 4, nameIndex);
  }
  if (field.sent !== null) return copy(field.sent, 0, out, at);
  const value = field.value;
  const length = value.length;
  at = writeInteger(out, at, 0, 7, length);
  for (let i = 0; i < length; i++) out[at + i] = value.charCodeAt(i);
  return at + length;
}

function copy(from: Uint8Array, start: number, out: Uint8Array, at: number): number {
  const length = from.length - start;
  if (length <= SHORT_COPY) for (let i = 0; i < length; i++) out[at + i] = from[start + i]!;
  else out.set(start === 0 ? from : from.subarray(start), at);
  return at + length;
}

export class HpackEncoder {
  /** Changes whenever the table does, an entry put in or pushed out or another size, and when a size is told. */
  generation = 0;
  /** The last block changed the table or carried a size update: its bytes must not be sent again. */
  lastInserted = false;
  entries = 0;
  tableSize = 0;

  readonly #id: number;
  readonly #maxTable: number;
  #capacity: number;
  /** Sizes to announce before the next block: the smallest in between, and the last; -1 for none. */
  #smallest = -1;
  #final = -1;
  /** Insertions so far; an entry's number is the count at its insertion, the newest has #inserted. */
  #inserted = 0;
  readonly #numbers = new Map<Field, number>();
  readonly #nameNumbers = new Map<FieldName, number>();
  #ring: (Field | null)[] = [];
  #credit = MOST_CREDIT;
  #frozen = false;

  constructor(maxTable: number) {
    this.#id = ++lastEncoder;
    this.#maxTable = maxTable;
    this.#capacity = Math.min(maxTable, DEFAULT_TABLE_SIZE);
    // The peer takes the table to be as large as its default until told otherwise (4.2).
    if (this.#capacity < DEFAULT_TABLE_SIZE) this.#announce(this.#capacity);
    for (let i = 0; i < FIRST_SLOTS; i++) this.#ring.push(null);
  }

  /** The last block, from 0: shared by all encoders, so copy it before any of them encodes again. */
  get out(): Uint8Array {
    return scratch;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE, in force from its acknowledgement by us. */
  setPeerTableSize(size: number): void {
    const capacity = Math.min(size, this.#maxTable);
    if (capacity === this.#capacity) return;
    this.#announce(capacity);
    this.#capacity = capacity;
    this.#evict(0);
    this.#changed();
  }

  /** 4.2: between two blocks the smallest size and the last one are told. */
  #announce(size: number): void {
    if (this.#smallest < 0 || size < this.#smallest) this.#smallest = size;
    this.#final = size;
  }

  #changed(): void {
    this.generation = (this.generation + 1) & 0x3fffffff;
    this.lastInserted = true;
  }

  /** Encodes the first `count` fields into `out` from 0; returns the length. */
  encode(fields: readonly Field[], count: number, mayInsert = true): number {
    this.lastInserted = false;
    this.#frozen = !mayInsert;
    if (mayInsert && this.#credit < MOST_CREDIT) this.#credit++;
    let at = this.#final >= 0 ? this.#sizeUpdates() : 0;
    for (let i = 0; i < count; i++) {
      const field = fields[i]!;
      if (at + field.size + 3 * INTEGER_BOUND > scratch.length) growScratch(at + literalBound(field));
      const index = field.staticIndex;
      if (index !== 0 && !field.name.credential) {
        scratch[at++] = 0x80 | index;
      } else if (field.holder === this.#id && field.heldAs > this.#inserted - this.entries) {
        at = this.#writeIndexed(at, field.heldAs);
      } else {
        at = this.#encodeOther(field, at);
      }
    }
    return at;
  }

  /** The stateless way out, for callers that hold an encoder and not this module. */
  encodeLiteral(field: Field, out: Uint8Array, at: number): number {
    return encodeLiteral(field, out, at);
  }

  #writeIndexed(at: number, number: number): number {
    const index = STATIC_LENGTH + 1 + this.#inserted - number;
    if (index < 127) {
      scratch[at] = 0x80 | index;
      return at + 1;
    }
    return writeInteger(scratch, at, 0x80, 7, index);
  }

  /** A field whose place this encoder is not known to the field itself. */
  #encodeOther(field: Field, at: number): number {
    const name = field.name;
    if (name.credential || field.neverIndexed) return encodeLiteral(field, scratch, at);
    if (!field.stable) return this.#encodeFresh(field, at);
    const number = this.#numbers.get(field);
    if (number !== undefined) {
      field.holder = this.#id;
      field.heldAs = number;
      return this.#writeIndexed(at, number);
    }
    if (this.#admits(field)) return this.#encodeInserted(field, at);
    const index = this.#nameIndex(name);
    if (index === name.staticIndex) return encodeLiteral(field, scratch, at);
    at = writeInteger(scratch, at, 0, 4, index);
    return copy(fieldLiteral(field), field.literalValueAt, scratch, at);
  }

  #encodeFresh(field: Field, at: number): number {
    const index = this.#nameIndex(field.name);
    if (index !== 0 || !this.#admits(field)) return rawLiteral(field, 0, index, scratch, at);
    const end = rawLiteral(field, 0x40, 0, scratch, at);
    this.#insert(field);
    return end;
  }

  /** What stands for the name in a literal as long as the generation stays the same; 0 where it must be written out. */
  nameIndexOf(name: FieldName): number {
    return this.#nameIndex(name);
  }

  /** The static index of a name, or where an entry of the table has it, or 0. */
  #nameIndex(name: FieldName): number {
    if (name.staticIndex !== 0) return name.staticIndex;
    const number = this.#nameNumbers.get(name);
    return number === undefined ? 0 : STATIC_LENGTH + 1 + this.#inserted - number;
  }

  /** Whether a field may enter: at most half the table, and no more pushing out than credit allows. */
  #admits(field: Field): boolean {
    if (this.#frozen || field.size * 2 > this.#capacity) return false;
    if (this.tableSize + field.size <= this.#capacity) return true;
    if (this.#credit < BLOCKS_PER_EVICTION) return false;
    this.#credit -= BLOCKS_PER_EVICTION;
    return true;
  }

  #encodeInserted(field: Field, at: number): number {
    const index = this.#nameIndex(field.name);
    const literal = fieldLiteral(field);
    at = writeInteger(scratch, at, 0x40, 6, index);
    if (index === 0) at = copy(nameLiteral(field.name), 0, scratch, at);
    at = copy(literal, field.literalValueAt, scratch, at);
    this.#insert(field);
    return at;
  }

  #insert(field: Field): void {
    this.#evict(field.size);
    if (this.entries === this.#ring.length) this.#grow();
    const number = ++this.#inserted;
    this.#ring[number & (this.#ring.length - 1)] = field;
    this.#numbers.set(field, number);
    if (field.name.staticIndex === 0) this.#nameNumbers.set(field.name, number);
    field.holder = this.#id;
    field.heldAs = number;
    this.entries++;
    this.tableSize += field.size;
    this.#changed();
  }

  #evict(room: number): void {
    while (this.entries > 0 && this.tableSize + room > this.#capacity) {
      const number = this.#inserted - --this.entries;
      const slot = number & (this.#ring.length - 1);
      const field = this.#ring[slot]!;
      this.#ring[slot] = null;
      this.tableSize -= field.size;
      this.#numbers.delete(field);
      if (this.#nameNumbers.get(field.name) === number) this.#nameNumbers.delete(field.name);
    }
  }

  #grow(): void {
    const old = this.#ring;
    const ring: (Field | null)[] = [];
    for (let i = 0; i < old.length * 2; i++) ring.push(null);
    for (let number = this.#inserted - this.entries + 1; number <= this.#inserted; number++) {
      ring[number & (ring.length - 1)] = old[number & (old.length - 1)]!;
    }
    this.#ring = ring;
  }

  #sizeUpdates(): number {
    let at = 0;
    if (this.#smallest < this.#final) at = writeInteger(scratch, at, 0x20, 5, this.#smallest);
    at = writeInteger(scratch, at, 0x20, 5, this.#final);
    this.#smallest = -1;
    this.#final = -1;
    this.#changed();
    return at;
  }
}

function growScratch(needed: number): void {
  let length = scratch.length;
  while (length < needed) length *= 2;
  const larger = new Uint8Array(length);
  larger.set(scratch);
  scratch = larger;
}
