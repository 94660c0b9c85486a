/** Credentials among the interned fields: kept at their second sight, as many as there are keys in use, bounded. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { type Field, FieldStore } from "../../src/shared/http2/hpack/field.js";
import { decoded, newDecoder } from "./blocks.js";
import { plainString } from "./twin.js";

/** `authorization` as a never-indexed literal, index 23 of the static table. */
const sent = (value: string, huffman = true): Uint8Array =>
  Uint8Array.from([0x1f, 23 - 15, ...plainString(value, huffman)]);

const receiver = (store: FieldStore): ((value: string, huffman?: boolean) => Field) => {
  const decoder = newDecoder(store);
  return (value, huffman) => decoded(decoder, sent(value, huffman))[0]!;
};

/** As tokens are: nothing in them is like their neighbours'. */
const token = (n: number): string => `Bearer ${createHash("sha256").update(String(n)).digest("hex").slice(0, 32)}`;

test("a credential is kept at its second sight and is the same object from then on, on every connection", () => {
  const store = new FieldStore();
  for (const huffman of [true, false]) {
    const [here, there] = [receiver(store), receiver(store)];
    const first = here(token(1), huffman);
    assert.equal(first.stable, false);
    const second = there(token(1), huffman);
    assert.equal(second.stable, true);
    assert.equal(here(token(1), huffman), second);
    assert.equal(there(token(1), huffman), second);
    assert.equal(second.value, first.value);
    assert.equal(second.neverIndexed, true);
  }
});

test("credentials that are sent once keep nothing and push nobody out", () => {
  const store = new FieldStore();
  const receive = receiver(store);
  const known = [0, 1, 2].map((n) => [token(n), receive(token(n)), receive(token(n))] as const);
  const { capacity } = store.credentials;
  for (let n = 100; n < 50_000; n++) receive(token(n));
  // A few share a hash with one that came before.
  assert.ok(store.credentials.size < 200, `${store.credentials.size} kept`);
  assert.equal(store.credentials.capacity, capacity);
  for (const [text, , field] of known) assert.equal(receive(text), field);
});

test("a hundred thousand keys that take turns are all known", () => {
  const store = new FieldStore();
  const wire = Array.from({ length: 100_000 }, (_, n) => sent(token(n), false));
  const decoder = newDecoder(store);
  let stable = 0;
  for (let round = 0; round < 4; round++) {
    stable = 0;
    for (const block of wire) if (decoded(decoder, block)[0]!.stable) stable++;
  }
  assert.ok(stable > 98_000, `${stable} known`);
});

test("what is kept stays within its slots and octets, and the least used leave", () => {
  const store = new FieldStore({ credentials: 64, credentialBytes: 4_000 });
  const receive = receiver(store);
  const kept = [receive(token(0)), receive(token(0))][1]!;
  let lost = 0;
  for (let n = 1; n < 3_000; n++) {
    receive(token(n));
    receive(token(n));
    if (receive(token(0)) !== kept) lost++;
    assert.ok(store.credentials.size <= 64);
    assert.ok(store.credentials.bytes <= 4_000);
  }
  assert.equal(lost, 0);
});

test("a flood of credentials does not make those in use strangers", () => {
  const store = new FieldStore();
  const receive = receiver(store);
  const used = Array.from({ length: 100 }, (_, n) => [receive(token(n)), receive(token(n))][1]!);
  for (let n = 1_000; n < 30_000; n++) {
    receive(token(n));
    assert.equal(receive(token(n % 100)), used[n % 100]);
  }
});

test("fields of operators' own names are credentials once they are marked", () => {
  const store = new FieldStore();
  store.markCredential("X-Api-Key");
  const decoder = newDecoder(store);
  const block = (n: number): Uint8Array =>
    Uint8Array.from([0, ...plainString("x-api-key", true), ...plainString(token(n), true)]);
  for (let round = 0; round < 2; round++) for (let n = 0; n < 500; n++) decoded(decoder, block(n));
  let known = 0;
  for (let n = 0; n < 500; n++) if (decoded(decoder, block(n))[0]!.stable) known++;
  assert.ok(known > 450, `${known} known`);
  assert.ok(store.credentials.size > 450);
});

test("one that its sender indexes is known from its index as well", () => {
  const store = new FieldStore();
  const decoder = newDecoder(store);
  // With incremental indexing, then by its place in the dynamic table.
  decoded(decoder, Uint8Array.from([0x40 | 23, ...plainString(token(7), true)]));
  const [field] = decoded(decoder, Uint8Array.of(0x80 | 62));
  assert.equal(field!.stable, true);
  assert.equal(decoded(decoder, Uint8Array.of(0x80 | 62))[0], field);
});
