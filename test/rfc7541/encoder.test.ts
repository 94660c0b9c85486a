/** RFC 7541 as the encoder writes it: what enters the table, what never does, sizes, and blocks that may be reused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeLiteral, encodeNamed, HpackEncoder, literalBound } from "../../src/shared/http2/hpack/encoder.js";
import { Field, FieldStore } from "../../src/shared/http2/hpack/field.js";
import { decodedText, newDecoder, toHex } from "./blocks.js";
import { PlainDecoder } from "./twin.js";

function block(encoder: HpackEncoder, ...fields: Field[]): Uint8Array {
  const length = encoder.encode(fields, fields.length);
  return encoder.out.slice(0, length);
}

function text(field: Field): string {
  return `${field.name.text}: ${field.value}`;
}

test("a static entry is its index, and a kept field is one octet from its second time on", () => {
  const store = new FieldStore();
  const encoder = new HpackEncoder(4096);
  assert.equal(toHex(block(encoder, store.field(":method", "POST"))), "83");
  assert.equal(encoder.lastInserted, false);
  const field = store.field("te", "trailers");
  block(encoder, field);
  assert.equal(encoder.lastInserted, true);
  const generation = encoder.generation;
  assert.equal(toHex(block(encoder, field)), "be");
  assert.equal(encoder.lastInserted, false);
  assert.equal(encoder.generation, generation);
});

test("two encoders hold one field in places of their own", () => {
  const store = new FieldStore();
  const first = new HpackEncoder(4096);
  const second = new HpackEncoder(4096);
  const a = store.field("x-a", "1");
  const b = store.field("x-b", "1");
  block(first, a, b);
  block(second, b, a);
  for (let i = 0; i < 3; i++) {
    assert.equal(toHex(block(first, a, b)), "bfbe");
    assert.equal(toHex(block(second, a, b)), "bebf");
  }
});

test("7.1.3: secrets and never-indexed fields stay never-indexed literals and out of the table", () => {
  const store = new FieldStore();
  store.markCredential("x-key");
  const encoder = new HpackEncoder(4096);
  const twin = new PlainDecoder();
  const secrets = [
    store.field("authorization", "Bearer abc"),
    store.field("authorization", ""),
    store.field("cookie", "a=b"),
    store.field("set-cookie", "a=b"),
    store.field("x-key", "k"),
    store.field("x-other", "v", true),
    store.field(":method", "GET", true),
    store.field("x-long", "v".repeat(10_000), true),
  ];
  for (let i = 0; i < 3; i++) {
    const fields = twin.decode(block(encoder, ...secrets));
    assert.equal(encoder.lastInserted, false);
    for (const [at, field] of fields.entries()) {
      assert.equal(field.neverIndexed, true);
      assert.equal(`${field.name}: ${field.value}`, text(secrets[at]!));
    }
  }
  assert.equal(encoder.entries, 0);
});

test("fresh fields are literals that leave the table as it is", () => {
  const store = new FieldStore();
  const encoder = new HpackEncoder(4096);
  const twin = new PlainDecoder();
  let inserted = 0;
  for (let i = 0; i < 2000; i++) {
    const field = store.field("x-request-id", `id ${i} ${"z".repeat(i % 140)}`);
    const [seen] = twin.decode(block(encoder, field));
    assert.equal(seen!.value, field.value);
    if (encoder.lastInserted) inserted++;
  }
  assert.ok(inserted < 100, `${inserted} insertions`);
});

test("of a name that keeps changing one value enters, and the others name it by its index", () => {
  const store = new FieldStore();
  for (let i = 0; i < 60; i++) store.field("x-request-id", `${i}`);
  const name = store.name("x-request-id");
  assert.ok(name.skip > 0);
  const encoder = new HpackEncoder(4096);
  const twin = new PlainDecoder();
  const lengths: number[] = [];
  for (let i = 100; i < 104; i++) {
    const bytes = block(encoder, new Field(name, `${i}`, false, false));
    lengths.push(bytes.length);
    assert.equal(encoder.lastInserted, i === 100);
    assert.deepEqual(twin.decode(bytes)[0]!.value, `${i}`);
  }
  assert.deepEqual(lengths.slice(1), [6, 6, 6]);
  const out = new Uint8Array(100);
  for (const [field, first] of [
    [new Field(name, "fresh", false, false), 0x0f],
    [new Field(name, "never", true, false), 0x1f],
    [new Field(name, "kept kept kept", false, true), 0x0f],
  ] as const) {
    const end = encodeNamed(field, encoder.nameIndexOf(name), out, 0);
    assert.equal(out[0], first);
    assert.ok(end <= literalBound(field));
    const [seen] = twin.decode(out.slice(0, end));
    assert.deepEqual([seen!.name, seen!.value], ["x-request-id", field.value]);
  }
  const secret = store.field("authorization", "secret");
  const end = encodeNamed(secret, 23, out, 0);
  assert.equal(out[0]! & 0xf0, 0x10);
  assert.equal(twin.decode(out.slice(0, end))[0]!.value, "secret");
});

test("a field larger than half the table is a literal", () => {
  const store = new FieldStore();
  const encoder = new HpackEncoder(200);
  block(encoder);
  block(encoder, store.field("x-a", "v".repeat(66)));
  assert.equal(encoder.entries, 0);
  block(encoder, store.field("x-a", "v".repeat(65)));
  assert.equal(encoder.entries, 1);
});

test("a full table changes only now and then", () => {
  const store = new FieldStore();
  const encoder = new HpackEncoder(4096);
  const twin = new PlainDecoder();
  let inserted = 0;
  for (let i = 0; i < 3000; i++) {
    const field = store.field(":path", `/service.of.some.length/Method${i % 300}`);
    const [seen] = twin.decode(block(encoder, field));
    assert.equal(seen!.value, field.value);
    if (encoder.lastInserted) inserted++;
  }
  assert.ok(inserted < 250, `${inserted} insertions`);
  assert.equal(encoder.tableSize, twin.tableSize);
});

test("4.2: the sizes between two blocks are told as the smallest and the last", () => {
  const store = new FieldStore();
  const encoder = new HpackEncoder(4096);
  const twin = new PlainDecoder();
  const field = store.field("x-a", "1");
  twin.decode(block(encoder, field));
  encoder.setPeerTableSize(100);
  encoder.setPeerTableSize(0);
  encoder.setPeerTableSize(1000);
  const generation = encoder.generation;
  const updated = block(encoder);
  assert.equal(toHex(updated), "203fc907");
  assert.equal(encoder.lastInserted, true, "a block with updates is sent once");
  assert.ok(encoder.generation >= generation);
  twin.decode(updated);
  assert.equal(encoder.entries, 0);
  assert.equal(toHex(block(encoder)), "");
  twin.decode(block(encoder, field));
  assert.equal(encoder.tableSize, twin.tableSize);
});

test("4.2: a table of our own choice below the default is announced, one above waits for the peer", () => {
  assert.equal(toHex(block(new HpackEncoder(0))), "20");
  const large = new HpackEncoder(8192);
  assert.equal(toHex(block(large)), "");
  large.setPeerTableSize(65536);
  assert.equal(toHex(block(large)), "3fe13f");
  const capped = new HpackEncoder(4096);
  capped.setPeerTableSize(65536);
  assert.equal(toHex(block(capped)), "");
});

test("the generation changes with every change of the table", () => {
  const store = new FieldStore();
  const encoder = new HpackEncoder(4096);
  const seen = new Set([encoder.generation]);
  block(encoder, store.field("x-a", "1"));
  seen.add(encoder.generation);
  encoder.setPeerTableSize(50);
  seen.add(encoder.generation);
  block(encoder);
  encoder.setPeerTableSize(4096);
  seen.add(encoder.generation);
  assert.equal(seen.size, 4);
});

test("literals without a table are within their bound and decode anywhere", () => {
  const store = new FieldStore({ valueBytes: 64 });
  for (const [name, value] of [
    ["grpc-status", "0"],
    ["grpc-message", "nothing%20found"],
    ["www-authenticate", "Bearer"],
    ["authorization", "secret"],
    ["x-binary", "\u00ff\u0000\u0080".repeat(20)],
    ["x-long", "v".repeat(300)],
    [":status", "200"],
    ["x-empty", ""],
  ] as const) {
    const field = store.field(name, value);
    const out = new Uint8Array(literalBound(field) + 3);
    const end = encodeLiteral(field, out, 3);
    assert.ok(end <= out.length);
    assert.deepEqual(decodedText(newDecoder(), out.subarray(3, end)), [`${name}: ${value}`]);
    assert.equal(out[3]! >= 0x10, name === "authorization");
    assert.equal(new HpackEncoder(0).encodeLiteral(field, out, 3), end);
  }
});

test("the output grows with the block", () => {
  const store = new FieldStore();
  const encoder = new HpackEncoder(4096);
  const fields: Field[] = [];
  for (let i = 0; i < 300; i++) fields.push(store.field("x-long", `${i}`.repeat(200)));
  fields.push(store.field("x-longest", "\u0007".repeat(100_000)));
  assert.deepEqual(decodedText(newDecoder(), block(encoder, ...fields)), fields.map(text));
});
