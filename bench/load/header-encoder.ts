/**
 * Fields into header blocks, with the habits of nghttp2, which stands behind grpc-js and many others: everything goes into the dynamic table
 * except `:path` and, never indexed, `authorization`; Huffman where it is shorter. A value that changes on every call therefore pushes the
 * steady fields out of the table, again and again: that is what a proxy meets in real life. Governed by RFC 7541. Runs once per call.
 */
import { huffmanLength, huffmanWrite } from "./huffman.js";
import { type Field, STATIC_SIZE, STATIC_TABLE } from "./static-table.js";

const DEFAULT_LIMIT = 4096;

/** A field as this encoder keeps it; `serial` is the number of its last insertion, 0 = never inserted. */
export class SentField {
  readonly name: string;
  value: string;
  readonly indexed: boolean;
  /** Never indexed, by nobody on the way (RFC 7541 section 7.1.3). */
  readonly secret: boolean;
  readonly staticIndex: number;
  readonly staticName: number;
  serial = 0;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.secret = name === "authorization";
    this.indexed = name !== ":path" && !this.secret;
    // The static table knows an empty `authorization`; a value comes later.
    this.staticIndex = this.secret
      ? 0
      : Math.max(
          0,
          STATIC_TABLE.findIndex((field: Field) => field.name === name && field.value === value),
        );
    this.staticName = Math.max(
      0,
      STATIC_TABLE.findIndex((field: Field) => field.name === name),
    );
  }

  /** A new value is a new entry; its name may still be in the table from the last one. */
  change(value: string): void {
    this.value = value;
    this.changed = true;
  }
  changed = false;
}

export class HeaderEncoder {
  #limit = DEFAULT_LIMIT;
  #size = 0;
  /** Sizes of the living entries, oldest first from #oldest on. */
  readonly #sizes = new Map<number, number>();
  #oldest = 1;
  #next = 1;
  #announce = false;
  /** Counts insertions: a block of steady fields can be sent again while it stands still. */
  version = 0;

  allow(peerLimit: number): void {
    const limit = Math.min(DEFAULT_LIMIT, peerLimit);
    if (limit === this.#limit) return;
    this.#limit = limit;
    this.#announce = true;
    this.#evict(0);
    this.version++;
  }

  encode(fields: readonly SentField[], into: Buffer, at: number): number {
    if (this.#announce) at = writeInteger(into, at, 0x20, 5, this.#limit);
    this.#announce = false;
    for (const field of fields) at = this.#field(field, into, at);
    return at;
  }

  #field(field: SentField, into: Buffer, at: number): number {
    if (field.staticIndex > 0) return writeInteger(into, at, 0x80, 7, field.staticIndex);
    const living = field.serial >= this.#oldest;
    const index = living ? STATIC_SIZE + this.#next - field.serial : 0;
    if (living && !field.changed) return writeInteger(into, at, 0x80, 7, index);
    const name = field.staticName > 0 ? field.staticName : index;
    if (field.indexed) at = writeInteger(into, at, 0x40, 6, name);
    else at = writeInteger(into, at, field.secret ? 0x10 : 0, 4, name);
    if (name === 0) at = writeString(into, at, field.name);
    at = writeString(into, at, field.value);
    if (field.indexed) this.#insert(field);
    return at;
  }

  #insert(field: SentField): void {
    const size = 32 + field.name.length + field.value.length;
    this.version++;
    this.#evict(size);
    if (size > this.#limit) return;
    field.serial = this.#next;
    field.changed = false;
    this.#sizes.set(this.#next++, size);
    this.#size += size;
  }

  #evict(room: number): void {
    while (this.#size + room > this.#limit && this.#oldest < this.#next) {
      this.#size -= this.#sizes.get(this.#oldest)!;
      this.#sizes.delete(this.#oldest++);
    }
  }
}

const writeInteger = (into: Buffer, at: number, pattern: number, bits: number, value: number): number => {
  const mask = (1 << bits) - 1;
  if (value < mask) {
    into[at++] = pattern | value;
    return at;
  }
  into[at++] = pattern | mask;
  for (value -= mask; value >= 128; value >>>= 7) into[at++] = (value & 127) | 128;
  into[at++] = value;
  return at;
};

const writeString = (into: Buffer, at: number, text: string): number => {
  const short = huffmanLength(text);
  if (short < text.length) return huffmanWrite(text, into, writeInteger(into, at, 0x80, 7, short));
  at = writeInteger(into, at, 0, 7, text.length);
  return at + into.write(text, at, "latin1");
};
