/** Encoder, decoder and twin against each other over generated lives of a connection, and blocks that were damaged. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { HpackEncoder } from "../../src/shared/http2/hpack/encoder.js";
import { type Field, FieldStore } from "../../src/shared/http2/hpack/field.js";
import { FieldList } from "../../src/shared/http2/hpack/field-list.js";
import { hex, newDecoder } from "./blocks.js";
import { PlainDecoder, type PlainField, plainInteger, plainString } from "./twin.js";

const name = fc.constantFrom(
  ":path",
  ":method",
  "te",
  "x-a",
  "x-b",
  "grpc-timeout",
  "authorization",
  "user-agent",
  "x-longer-name",
);
const octet = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
const value = fc.oneof(
  fc.constantFrom("", "GET", "POST", "/", "trailers", "1", "2", "x".repeat(900)),
  fc.string({ unit: octet, maxLength: 30 }),
);
const fieldLine = fc.record({ name, value, neverIndexed: fc.boolean() });

type Step = { size: number } | { fields: PlainField[] };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ size: fc.constantFrom(0, 60, 200, 1000, 4096, 10_000) }) },
  { weight: 6, arbitrary: fc.record({ fields: fc.array(fieldLine, { maxLength: 12 }) }) },
);

function plain(fields: readonly Field[], count: number): PlainField[] {
  return fields
    .slice(0, count)
    .map((field) => ({ name: field.name.text, value: field.value, neverIndexed: field.neverIndexed }));
}

test("what the encoder wrote, decoder and twin read alike, through every change of the table's size", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const sending = new FieldStore({ entries: 64 });
      const encoder = new HpackEncoder(4096);
      const decoder = newDecoder(new FieldStore({ entries: 64, names: 4 }));
      const twin = new PlainDecoder();
      const list = new FieldList();
      for (const next of steps) {
        if ("size" in next) {
          encoder.setPeerTableSize(next.size);
          decoder.setTableLimit(next.size);
          twin.setTableLimit(next.size);
          continue;
        }
        const fields = next.fields.map((field) => sending.field(field.name, field.value, field.neverIndexed));
        const length = encoder.encode(fields, fields.length);
        const block = encoder.out.slice(0, length);
        assert.equal(decoder.decode(block, 0, length, list), 0);
        const read = plain(list.fields, list.length);
        assert.deepEqual(read, twin.decode(block));
        assert.deepEqual(
          read.map((field) => [field.name, field.value]),
          next.fields.map((field) => [field.name, field.value]),
        );
        for (const [at, field] of next.fields.entries()) {
          if (field.neverIndexed) assert.equal(read[at]!.neverIndexed, true);
        }
        assert.equal(decoder.tableSize, twin.tableSize);
        assert.equal(encoder.tableSize, twin.tableSize);
      }
    }),
    { seed: 7541, numRuns: 400 },
  );
});

test("a block that inserted nothing has the same bytes as long as the generation stays", () => {
  fc.assert(
    fc.property(fc.array(fc.array(fieldLine, { maxLength: 8 }), { maxLength: 20 }), (blocks) => {
      const store = new FieldStore();
      const encoder = new HpackEncoder(1000);
      for (const lines of blocks) {
        const fields = lines.map((line) => store.field(line.name, line.value));
        const first = Buffer.from(encoder.out.subarray(0, encoder.encode(fields, fields.length)));
        if (encoder.lastInserted) continue;
        const generation = encoder.generation;
        const length = encoder.encode(fields, fields.length);
        // A slot in the full table may have become free in between; then the generation says so.
        if (encoder.generation !== generation) continue;
        assert.deepEqual(Buffer.from(encoder.out.subarray(0, length)), first);
      }
    }),
    { seed: 7541, numRuns: 200 },
  );
});

/** Every representation, with indexes and lengths that are mostly possible. */
const representation: fc.Arbitrary<number[]> = fc.oneof(
  fc.integer({ min: 1, max: 66 }).map((index) => plainInteger(0x80, 7, index)),
  fc
    .record({
      form: fc.constantFrom(0x40, 0x00, 0x10),
      index: fc.integer({ min: 0, max: 66 }),
      name,
      value,
      huffman: fc.boolean(),
    })
    .map((spec) => [
      ...plainInteger(spec.form, spec.form === 0x40 ? 6 : 4, spec.index),
      ...(spec.index === 0 ? plainString(spec.name, spec.huffman) : []),
      ...plainString(spec.value, spec.huffman),
    ]),
  fc.constantFrom(0, 100, 4096).map((size) => plainInteger(0x20, 5, size)),
  fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 4 }),
);

test("any blocks at all are read as the twin reads them, up to the first fault", () => {
  const block = fc.array(representation, { maxLength: 8 }).map((parts) => Uint8Array.from(parts.flat()));
  fc.assert(
    fc.property(fc.array(block, { maxLength: 6 }), (blocks) => {
      const decoder = newDecoder();
      const twin = new PlainDecoder();
      const list = new FieldList();
      for (const octets of blocks) {
        let expected: PlainField[] | null = null;
        try {
          expected = twin.decode(octets);
        } catch {
          // Left null: the twin says fault.
        }
        const fault = decoder.decode(octets, 0, octets.length, list);
        assert.equal(fault === 0, expected !== null);
        if (expected === null) return;
        assert.deepEqual(plain(list.fields, list.length), expected);
        assert.equal(decoder.tableSize, twin.tableSize);
        assert.equal(decoder.entries, twin.table.length);
      }
    }),
    { seed: 7541, numRuns: 1500 },
  );
});

test("a block cut or damaged at every octet never throws and is judged as the twin judges it", () => {
  const whole = hex(`828684418cf1e3c2e5f23a6ba0ab90f4ff 408825a849e95ba97d7f8925a849e95bb8e8b4bf
    040c2f73616d706c652f70617468 100870617373776f726406736563726574 bebf 00 8325a849 82 1c64 7e 03 616263`);
  const judge = (block: Uint8Array): void => {
    const list = new FieldList();
    let expected: PlainField[] | null = null;
    try {
      expected = new PlainDecoder().decode(block);
    } catch {
      // Left null: the twin says fault.
    }
    const fault = newDecoder().decode(block, 0, block.length, list);
    assert.equal(fault === 0, expected !== null, Buffer.from(block).toString("hex"));
    if (expected !== null) assert.deepEqual(plain(list.fields, list.length), expected);
  };
  for (let at = 0; at <= whole.length; at++) judge(whole.slice(0, at));
  for (let at = 0; at < whole.length; at++) {
    for (let octet = 0; octet < 256; octet += 3) {
      const damaged = whole.slice();
      damaged[at] = octet;
      judge(damaged);
    }
  }
});
