/** Short ways to say blocks, fields and decoders in the tests of this folder. */
import assert from "node:assert/strict";
import { HpackDecoder, hpackFaults } from "../../src/shared/http2/hpack/decoder.js";
import { type Field, FieldStore } from "../../src/shared/http2/hpack/field.js";
import { FieldList } from "../../src/shared/http2/hpack/field-list.js";

export const roomy = { maxFields: 10_000, maxListSize: 1 << 24 };

export function hex(text: string): Uint8Array {
  return Uint8Array.from(text.replace(/\s/g, "").match(/../g) ?? [], (octet) => Number.parseInt(octet, 16));
}

export function toHex(octets: Uint8Array): string {
  return Buffer.from(octets).toString("hex");
}

export function newDecoder(store = new FieldStore(), limits = roomy): HpackDecoder {
  return new HpackDecoder(store, 4096, limits);
}

export function textOf(fields: readonly Field[], count: number): string[] {
  return fields.slice(0, count).map((field) => `${field.name.text}: ${field.value}`);
}

/** Decodes a block that is expected to be right. */
export function decoded(decoder: HpackDecoder, block: Uint8Array): Field[] {
  const list = new FieldList();
  const fault = decoder.decode(block, 0, block.length, list);
  assert.equal(fault, 0, hpackFaults[fault]?.sentence);
  return list.fields.slice(0, list.length);
}

export function decodedText(decoder: HpackDecoder, block: Uint8Array): string[] {
  const fields = decoded(decoder, block);
  return textOf(fields, fields.length);
}

export function faultOf(decoder: HpackDecoder, block: Uint8Array): number {
  return decoder.decode(block, 0, block.length, new FieldList());
}
