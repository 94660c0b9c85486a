/**
 * Header blocks into fields, for one direction of one connection: the whole of RFC 7541, plainly. Must not know frames.
 * Throws on anything the RFC forbids: a faulty proxy is a finding, not a case to handle. Runs once per header block.
 */
import { huffmanRead } from "./huffman.js";
import { entrySize, type Field, STATIC_SIZE, STATIC_TABLE } from "./static-table.js";

const CUT_AT = 256;

export class HeaderDecoder {
  /** Counts insertions and evictions: while it stands still, equal bytes mean equal fields. */
  version = 0;
  readonly #allowed: number;
  #limit: number;
  #size = 0;
  /** Oldest first; those before #oldest are gone and cut off from time to time. */
  #entries: Field[] = [];
  #oldest = 0;
  #block: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  constructor(allowed = 4096) {
    this.#allowed = allowed;
    this.#limit = allowed;
  }

  decode(block: Buffer, start: number, end: number): Field[] {
    this.#block = block;
    this.#at = start;
    this.#end = end;
    const fields: Field[] = [];
    while (this.#at < end) {
      const first = block[this.#at]!;
      if (first >= 0x80) fields.push(this.#lookUp(this.#integer(7)));
      else if (first >= 0x40) this.#insert(this.#literal(6), fields);
      else if (first >= 0x20) this.#resize(this.#integer(5), fields.length);
      else fields.push(this.#literal(4));
    }
    return fields;
  }

  #insert(field: Field, fields: Field[]): void {
    fields.push(field);
    this.#entries.push(field);
    this.#size += entrySize(field);
    this.#evict();
  }

  #evict(): void {
    this.version++;
    while (this.#size > this.#limit) this.#size -= entrySize(this.#entries[this.#oldest++]!);
    if (this.#oldest < CUT_AT) return;
    this.#entries = this.#entries.slice(this.#oldest);
    this.#oldest = 0;
  }

  #resize(limit: number, fieldsBefore: number): void {
    if (limit > this.#allowed) throw new Error(`HPACK: table size ${limit} is above the ${this.#allowed} allowed`);
    if (fieldsBefore > 0) throw new Error("HPACK: table size update after a field");
    this.#limit = limit;
    this.#evict();
  }

  #lookUp(index: number): Field {
    const field = index <= STATIC_SIZE ? STATIC_TABLE[index] : this.#dynamic(index - STATIC_SIZE);
    if (field === undefined || index === 0) throw new Error(`HPACK: no field at index ${index}`);
    return field;
  }

  /** The newest is 1. */
  #dynamic(index: number): Field | undefined {
    const at = this.#entries.length - index;
    return at < this.#oldest ? undefined : this.#entries[at];
  }

  #literal(bits: number): Field {
    const index = this.#integer(bits);
    const name = index === 0 ? this.#string() : this.#lookUp(index).name;
    return { name, value: this.#string() };
  }

  #integer(bits: number): number {
    const mask = (1 << bits) - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      const byte = this.#byte();
      if (shift > 21) throw new Error("HPACK: integer too large");
      value += (byte & 127) << shift;
      if (byte < 128) return value;
    }
  }

  #byte(): number {
    if (this.#at >= this.#end) throw new Error("HPACK: block ends inside a field");
    return this.#block[this.#at++]!;
  }

  #string(): string {
    if (this.#at >= this.#end) throw new Error("HPACK: block ends inside a field");
    const huffman = this.#block[this.#at]! >= 0x80;
    const length = this.#integer(7);
    const start = this.#at;
    if (start + length > this.#end) throw new Error("HPACK: string runs past the block");
    this.#at += length;
    return huffman ? huffmanRead(this.#block, start, this.#at) : this.#block.toString("latin1", start, this.#at);
  }
}
