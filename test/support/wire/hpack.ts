// Responsible for: a slow, obvious HPACK for tests: every representation on demand, and a decoder that tells which one it met.
// Must not know: the engine's HPACK; it is the twin that judges it. Governed by: RFC 7541. How often: tests only.

import { huffmanDecode, huffmanEncode } from "./huffman.js";
import { STATIC_FIELDS } from "./static-fields.js";

export type Field = readonly [name: string, value: string];

export interface DecodedField {
  readonly name: string;
  readonly value: string;
  readonly how: "indexed" | "indexing" | "plain" | "never";
}

/** An integer after `prefix` bits, whose octet already carries `pattern` (5.1). */
export function integer(value: number, prefix: number, pattern = 0): Buffer {
  const limit = 2 ** prefix - 1;
  if (value < limit) return Buffer.from([pattern | value]);
  const out = [pattern | limit];
  let rest = value - limit;
  for (; rest >= 128; rest = Math.floor(rest / 128)) out.push((rest % 128) + 128);
  return Buffer.from([...out, rest]);
}

/** A string literal, as it is or with Huffman's code (5.2). */
export function string(text: string, huffman = false): Buffer {
  const body = huffman ? huffmanEncode(text) : Buffer.from(text, "latin1");
  return Buffer.concat([integer(body.length, 7, huffman ? 0x80 : 0), body]);
}

export const indexed = (index: number): Buffer => integer(index, 7, 0x80);
export const tableSize = (size: number): Buffer => integer(size, 5, 0x20);

/** A literal with a new name: indexing 0x40, plain 0x00, never indexed 0x10 (6.2). */
export const literal = (name: string, value: string, pattern = 0, huffman = false): Buffer =>
  Buffer.concat([Buffer.from([pattern]), string(name, huffman), string(value, huffman)]);

/** A block of literals that touches no table: what tests send unless they say otherwise. */
export const block = (...fields: Field[]): Buffer => Buffer.concat(fields.map(([name, value]) => literal(name, value)));

/** Static and dynamic table under one numbering (2.3.3). */
class Table {
  private entries: Field[] = [];
  private limit = 4096;

  resize(limit: number): void {
    this.limit = limit;
    this.evict();
  }

  add(field: Field): void {
    this.entries.unshift(field);
    this.evict();
  }

  at(index: number): Field {
    const field =
      index > STATIC_FIELDS.length ? this.entries[index - STATIC_FIELDS.length - 1] : STATIC_FIELDS[index - 1];
    if (!field) throw new Error(`no field at index ${index}`);
    return field;
  }

  indexOf(match: (field: Field) => boolean): number {
    return [...STATIC_FIELDS, ...this.entries].findIndex(match) + 1;
  }

  private evict(): void {
    const size = () => this.entries.reduce((sum, [name, value]) => sum + name.length + value.length + 32, 0);
    while (this.entries.length > 0 && size() > this.limit) this.entries.pop();
  }
}

/** Encodes as common clients do: known fields by index, others as indexing literals, Huffman where shorter. */
export class IndexingEncoder {
  private readonly table = new Table();

  block(...fields: Field[]): Buffer {
    return Buffer.concat(fields.map((field) => this.field(field)));
  }

  private field([name, value]: Field): Buffer {
    const whole = this.table.indexOf(([n, v]) => n === name && v === value);
    if (whole > 0) return indexed(whole);
    const index = this.table.indexOf(([n]) => n === name);
    const text = (it: string) => string(it, huffmanEncode(it).length < it.length);
    this.table.add([name, value]);
    const head = index > 0 ? integer(index, 6, 0x40) : Buffer.concat([Buffer.from([0x40]), text(name)]);
    return Buffer.concat([head, text(value)]);
  }
}

/** Decodes whole blocks, one after the other, of one connection. */
export class Decoder {
  private readonly table = new Table();
  private bytes: Buffer = Buffer.alloc(0);
  private at = 0;

  decode(bytes: Buffer): DecodedField[] {
    this.bytes = bytes;
    this.at = 0;
    const out: DecodedField[] = [];
    while (this.at < bytes.length) {
      const field = this.representation();
      if (field) out.push(field);
    }
    return out;
  }

  private representation(): DecodedField | undefined {
    const first = this.bytes[this.at]!;
    if (first & 0x80) {
      const [name, value] = this.table.at(this.integer(7));
      return { name, value, how: "indexed" };
    }
    if (first & 0x40) {
      const field = this.literal(6, "indexing");
      this.table.add([field.name, field.value]);
      return field;
    }
    if (first & 0x20) {
      this.table.resize(this.integer(5));
      return undefined;
    }
    return this.literal(4, first & 0x10 ? "never" : "plain");
  }

  private literal(prefix: number, how: DecodedField["how"]): DecodedField {
    const index = this.integer(prefix);
    const name = index === 0 ? this.string() : this.table.at(index)[0];
    return { name, value: this.string(), how };
  }

  private integer(prefix: number): number {
    const limit = 2 ** prefix - 1;
    let value = this.octet() & limit;
    if (value < limit) return value;
    for (let factor = 1; ; factor *= 128) {
      const octet = this.octet();
      value += (octet & 127) * factor;
      if (octet < 128) return value;
    }
  }

  private string(): string {
    const huffman = (this.bytes[this.at]! & 0x80) !== 0;
    const length = this.integer(7);
    const body = this.bytes.subarray(this.at, this.at + length);
    if (body.length < length) throw new Error("string runs over the end of its block");
    this.at += length;
    return huffman ? huffmanDecode(body) : body.toString("latin1");
  }

  private octet(): number {
    const octet = this.bytes[this.at++];
    if (octet === undefined) throw new Error("block ends inside a field");
    return octet;
  }
}
