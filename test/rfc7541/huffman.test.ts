/** RFC 7541 section 5.2 and appendix B. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  huffmanDecode,
  huffmanDecodedBound,
  huffmanEncode,
  huffmanLength,
} from "../../src/shared/http2/hpack/huffman.js";
import { appendixB } from "./appendix-b.js";
import { plainHuffmanDecode, plainHuffmanEncode } from "./twin.js";

function decode(octets: Uint8Array): string | null {
  const out = Buffer.alloc(huffmanDecodedBound(octets.length));
  const length = huffmanDecode(octets, 0, octets.length, out);
  return length < 0 ? null : out.toString("latin1", 0, length);
}

function encode(text: string): Uint8Array {
  const out = new Uint8Array(huffmanLength(text));
  assert.equal(huffmanEncode(text, out, 0), out.length);
  return out;
}

function plainDecode(octets: Uint8Array): string | null {
  try {
    return plainHuffmanDecode(octets);
  } catch {
    return null;
  }
}

/** A string of bits, filled up with ones. */
function bits(text: string): Uint8Array {
  const full = text.padEnd(Math.ceil(text.length / 8) * 8, "1");
  return Uint8Array.from(full.match(/.{8}/g) ?? [], (octet) => Number.parseInt(octet, 2));
}

test("every symbol has the code of appendix B, alone and behind every other", () => {
  for (let symbol = 0; symbol < 256; symbol++) {
    const char = String.fromCharCode(symbol);
    const [code, length] = appendixB[symbol]!;
    assert.deepEqual(encode(char), bits(code.toString(2).padStart(length, "0")));
    for (let next = 0; next < 256; next++) {
      const pair = char + String.fromCharCode(next);
      assert.equal(decode(encode(pair)), pair);
    }
  }
});

const octets = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) });

test("any octets are coded as the twin codes them and come back", () => {
  fc.assert(
    fc.property(octets, (text) => {
      const coded = encode(text);
      assert.deepEqual(coded, plainHuffmanEncode(text));
      assert.equal(decode(coded), text);
    }),
    { seed: 7541, numRuns: 300 },
  );
});

test("any bytes decode as the twin decodes them, faults included", () => {
  const mostlyOnes = fc.constantFrom(0xff, 0xfe, 0x7f, 0x3f, 0xf8);
  const byte = fc.oneof(fc.integer({ min: 0, max: 255 }), mostlyOnes);
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 40 }), (bytes) => {
      const coded = Uint8Array.from(bytes);
      assert.equal(decode(coded), plainDecode(coded));
    }),
    { seed: 7541, numRuns: 3000 },
  );
});

test("5.2: padding of seven ones is taken, of eight or with a zero is a fault", () => {
  assert.equal(decode(bits("00101".repeat(5))), "eeeee", "25 bits and seven of padding");
  assert.equal(decode(bits(`00000000000${"1".repeat(13)}`)), null);
  assert.equal(decode(Uint8Array.of(0xff)), null);
  assert.equal(decode(bits("00000110")), null);
  assert.equal(decode(new Uint8Array(0)), "");
});

test("5.2: the end-of-string code is a fault wherever it stands", () => {
  const [code, length] = appendixB[256]!;
  const eos = code.toString(2).padStart(length, "0");
  assert.equal(decode(bits(eos)), null);
  assert.equal(decode(bits(`00000${eos}`)), null);
  assert.equal(decode(bits(`${eos}00000`)), null);
});
