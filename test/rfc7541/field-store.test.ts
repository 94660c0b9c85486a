/** The store of interned fields: identity, bounds, volatile names, secrets. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FieldKind, FieldStore } from "../../src/shared/http2/hpack/field.js";
import { decoded, newDecoder } from "./blocks.js";
import { plainString } from "./twin.js";

test("one name and value is one object, whether it came raw, Huffman-coded or was made here", () => {
  const store = new FieldStore();
  const decoder = newDecoder(store);
  const literal = (name: boolean, value: boolean): Uint8Array =>
    Uint8Array.from([0, ...plainString("x-colour", name), ...plainString("deep blue", value)]);
  const made = store.field("x-colour", "deep blue");
  for (const name of [false, true]) {
    for (const value of [false, true, false, true]) {
      assert.equal(decoded(decoder, literal(name, value))[0], made);
    }
  }
  assert.equal(made.stable, true);
  assert.equal(store.field(store.name("x-colour"), "deep blue"), made);
});

test("a never-indexed field is an object of its own", () => {
  const store = new FieldStore();
  const plain = store.field("x-a", "1");
  const never = store.field("x-a", "1", true);
  assert.notEqual(plain, never);
  assert.equal(never.neverIndexed, true);
  assert.equal(store.field("x-a", "1", true), never);
  assert.equal(store.field(":method", "POST"), store.statics[3]);
  assert.notEqual(store.field(":method", "POST", true), store.statics[3]);
  assert.equal(store.field(":method", "POST", true).staticIndex, 0);
});

test("other values, other names and shared beginnings are never confused", () => {
  // Roomy: where five share four places, one is forgotten.
  const store = new FieldStore({ entries: 1 << 17 });
  const seen = new Map<string, unknown>();
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 200; i++) {
      for (const name of [":path", ":authority"]) {
        const value = "/".padEnd((i % 7) + 1, "a") + i;
        const field = store.field(name, value);
        assert.equal(`${field.name.text}${field.value}`, name + value);
        if (round === 0) seen.set(name + value, field);
        else assert.equal(seen.get(name + value), field);
      }
    }
  }
});

test("the store stays within its entries and bytes, and forgetting costs only identity", () => {
  const store = new FieldStore({ entries: 64, bytes: 4000, names: 8 });
  for (let i = 0; i < 5000; i++) {
    const field = store.field(":path", `/${"p".repeat(i % 50)}${i}`);
    assert.equal(field.value, `/${"p".repeat(i % 50)}${i}`);
    assert.ok(store.size <= 64);
    assert.ok(store.bytes <= 4000);
  }
  assert.ok(store.size > 0);
});

test("what is met again survives a flood of new values", () => {
  const store = new FieldStore({ entries: 256, bytes: 1 << 20 });
  const kept = store.field(":path", "/kept");
  let lost = 0;
  for (let i = 0; i < 5000; i++) {
    store.field(":path", `/flood/${i}`);
    if (store.field(":path", "/kept") !== kept) lost++;
  }
  assert.equal(lost, 0);
});

test("a name whose values keep being new stops being kept, and takes it up when they repeat", () => {
  const store = new FieldStore();
  let kept = 0;
  for (let i = 0; i < 10_000; i++) if (store.field("x-request-id", `${i}`).stable) kept++;
  assert.ok(kept < 200, `${kept} kept`);
  let last = false;
  for (let i = 0; i < 40_000; i++) last = store.field("x-request-id", `again ${i % 4}`).stable;
  assert.equal(last, true);
});

test("names that decisions hang on are kept through thousands of values", () => {
  const store = new FieldStore();
  for (let i = 0; i < 1000; i++) assert.equal(store.field("authorization", `Bearer ${i}`).stable, true);
  for (let i = 0; i < 1000; i++) assert.equal(store.field(":path", `/s/m${i}`).stable, true);
});

test("a value too long to keep is made each time", () => {
  const store = new FieldStore({ valueBytes: 100 });
  const decoder = newDecoder(store);
  assert.equal(store.field("x-a", "v".repeat(100)).stable, true);
  assert.equal(store.field("x-a", "v".repeat(101)).stable, false);
  for (const huffman of [false, true]) {
    for (const length of [101, 5000, 20_000]) {
      const block = Uint8Array.from([0, ...plainString("x-a", false), ...plainString("e".repeat(length), huffman)]);
      const [field] = decoded(decoder, block);
      assert.equal(field!.stable, false);
      assert.equal(field!.value, "e".repeat(length));
    }
  }
});

test("names are bounded, pinned ones stay, and what a name means survives", () => {
  const store = new FieldStore({ names: 50 });
  const pinned = store.pin("x-pinned");
  store.markCredential("X-Api-Key");
  for (let i = 0; i < 1000; i++) store.name(`x-${i}`);
  assert.equal(store.name("x-pinned"), pinned);
  assert.equal(store.name("x-api-key").kind, FieldKind.CREDENTIAL);
  assert.equal(store.name("grpc-timeout").kind, FieldKind.GRPC_TIMEOUT);
  const decoder = newDecoder(store);
  for (let i = 0; i < 1000; i++) {
    const block = Uint8Array.from([0, ...plainString(`y-${i}`, i % 2 === 0), ...plainString("v", false)]);
    assert.equal(decoded(decoder, block)[0]!.name.text, `y-${i}`);
  }
});

test("a marked name is a secret from then on, and only a field name can be marked", () => {
  const store = new FieldStore();
  const before = store.name("x-key");
  assert.equal(before.credential, false);
  store.markCredential("X-Key");
  assert.equal(before.credential, true);
  assert.equal(before.kind, FieldKind.CREDENTIAL);
  store.markCredential("user-agent");
  assert.equal(store.name("user-agent").kind, FieldKind.USER_AGENT);
  assert.equal(store.name("user-agent").credential, true);
  assert.equal(store.name("cookie").credential, true);
  assert.throws(() => store.markCredential("not a name"), /not a field name/);
});

test("legal and illegal names and values are told apart", () => {
  const store = new FieldStore();
  for (const name of ["x", ":path", "x-1_~!", "!"]) assert.equal(store.name(name).valid, true, name);
  for (const name of ["", ":", "X", "a b", "a:b", "a\u007f", "a\u00e9", "a\n"]) {
    assert.equal(store.name(name).valid, false, JSON.stringify(name));
  }
  for (const value of ["", "a", "a b", "a\tb", "\u00e9\u00ff"]) {
    assert.equal(store.field("x", value).valid, true, JSON.stringify(value));
  }
  for (const value of [" ", " a", "a ", "\ta", "a\t", "a\u0000b", "a\rb", "a\nb", "\u0001", "a\u007f", "\u0100"]) {
    assert.equal(store.field("x", value).valid, false, JSON.stringify(value));
  }
});
