/**
 * The slow, obvious twin of our decoder: strings of bits, arrays that shift, exceptions. It is the oracle of the
 * property tests and the plain reading of RFC 7541 that the bench measures against. Shares nothing with the source
 * but the static table.
 */
import { staticNames, staticValues } from "../../src/shared/http2/hpack/static-table.js";
import { appendixB } from "./appendix-b.js";

export interface PlainField {
  name: string;
  value: string;
  neverIndexed: boolean;
}

const symbolOf = new Map<string, number>(
  appendixB.map(([code, bits], symbol) => [code.toString(2).padStart(bits, "0"), symbol]),
);

export function plainHuffmanDecode(octets: Uint8Array): string {
  let text = "";
  let code = "";
  for (const octet of octets) {
    for (const bit of octet.toString(2).padStart(8, "0")) {
      code += bit;
      const symbol = symbolOf.get(code);
      if (symbol === undefined) continue;
      if (symbol === 256) throw new Error("EOS");
      text += String.fromCharCode(symbol);
      code = "";
    }
  }
  if (code.length > 7 || code.includes("0")) throw new Error("padding");
  return text;
}

export function plainHuffmanEncode(text: string): Uint8Array {
  let bits = "";
  for (const char of text) {
    const [code, length] = appendixB[char.charCodeAt(0)]!;
    bits += code.toString(2).padStart(length, "0");
  }
  while (bits.length % 8 !== 0) bits += "1";
  return Uint8Array.from(bits.match(/.{8}/g) ?? [], (octet) => Number.parseInt(octet, 2));
}

/** Writes one integer as RFC 7541 5.1 says, octet by octet. */
export function plainInteger(first: number, bits: number, value: number): number[] {
  const full = 2 ** bits - 1;
  if (value < full) return [first + value];
  const out = [first + full];
  value -= full;
  while (value >= 128) {
    out.push((value % 128) + 128);
    value = Math.floor(value / 128);
  }
  return [...out, value];
}

export function plainString(text: string, huffman: boolean): number[] {
  const octets = huffman ? plainHuffmanEncode(text) : Uint8Array.from(text, (char) => char.charCodeAt(0));
  return [...plainInteger(huffman ? 128 : 0, 7, octets.length), ...octets];
}

export class PlainDecoder {
  table: PlainField[] = [];
  capacity = 4096;
  limit = 4096;
  updateDue = false;
  #block: number[] = [];

  get tableSize(): number {
    return this.table.reduce((sum, field) => sum + field.name.length + field.value.length + 32, 0);
  }

  setTableLimit(limit: number): void {
    this.limit = limit;
    if (limit < this.capacity) this.updateDue = true;
  }

  /** The fields of a block; throws where the block is at fault. */
  decode(block: Uint8Array): PlainField[] {
    this.#block = [...block];
    const fields: PlainField[] = [];
    let begun = false;
    while (this.#block.length > 0) {
      const first = this.#block[0]!;
      if (first >= 32 && first < 64) {
        if (begun) throw new Error("late size update");
        this.#resize(this.#integer(5));
        continue;
      }
      if (this.updateDue) throw new Error("no size update");
      begun = true;
      fields.push(this.#representation(first));
    }
    if (this.updateDue) throw new Error("no size update");
    return fields;
  }

  #representation(first: number): PlainField {
    if (first >= 128) {
      const index = this.#integer(7);
      if (index === 0) throw new Error("index 0");
      return { ...this.#entry(index), neverIndexed: index > 61 && this.table[index - 62]!.neverIndexed };
    }
    const index = this.#integer(first >= 64 ? 6 : 4);
    const name = index === 0 ? this.#string() : this.#entry(index).name;
    const field = { name, value: this.#string(), neverIndexed: first >= 16 && first < 32 };
    if (first >= 64) {
      this.table.unshift(field);
      this.#evict();
    }
    return field;
  }

  #entry(index: number): PlainField {
    if (index <= 61) return { name: staticNames[index - 1]!, value: staticValues[index - 1]!, neverIndexed: false };
    const field = this.table[index - 62];
    if (field === undefined) throw new Error("index unknown");
    return field;
  }

  #resize(size: number): void {
    if (size > this.limit) throw new Error("size update too large");
    this.capacity = size;
    this.updateDue = false;
    this.#evict();
  }

  #evict(): void {
    while (this.tableSize > this.capacity) this.table.pop();
  }

  #octet(): number {
    const octet = this.#block.shift();
    if (octet === undefined) throw new Error("truncated");
    return octet;
  }

  #integer(bits: number): number {
    let value = this.#octet() % 2 ** bits;
    if (value < 2 ** bits - 1) return value;
    for (let factor = 1; ; factor *= 128) {
      if (factor > 128 ** 3) throw new Error("integer too large");
      const octet = this.#octet();
      value += (octet % 128) * factor;
      if (octet < 128) return value;
    }
  }

  #string(): string {
    const huffman = this.#block.length > 0 && this.#block[0]! >= 128;
    const length = this.#integer(7);
    if (length > this.#block.length) throw new Error("truncated");
    const octets = Uint8Array.from(this.#block.splice(0, length));
    return huffman ? plainHuffmanDecode(octets) : String.fromCharCode(...octets);
  }
}
