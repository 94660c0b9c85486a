// Responsible for: header lists towards services stay in step with the peer's table, however often they are remembered.
// Governed by: RFC 7541 section 4; the attack in which one caller's fields arrived in another caller's call.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection } from "../../src/shared/http2/connection.js";
import { HpackDecoder } from "../../src/shared/http2/hpack/decoder.js";
import { HpackEncoder } from "../../src/shared/http2/hpack/encoder.js";
import { Field, FieldStore } from "../../src/shared/http2/hpack/field.js";
import { FieldList } from "../../src/shared/http2/hpack/field-list.js";
import { block, Outgoing } from "../../src/worker/call/outgoing.js";

test("what is sent decodes to what was meant while the table turns over and blocks are remembered", () => {
  const store = new FieldStore();
  const encoder = new HpackEncoder(4_096);
  const peer = new HpackDecoder(new FieldStore(), 4_096, { maxFields: 100, maxListSize: 100_000 });
  const connection = { encoder } as unknown as Connection;
  const common = [store.field(":method", "POST"), store.field(":path", "/pkg.Svc/Call"), store.field("te", "trailers")];
  const lists = Array.from({ length: 900 }, (_, at) => {
    const own = store.field(`x-h-${at}`, `value-${at}-${"v".repeat(40)}`);
    return new Outgoing([...common, own], []);
  });
  const received = new FieldList();
  // Each list twice in a row and once later: sent, remembered, and after others pushed its entries out.
  for (const at of lists.flatMap((_, i) => [i, i, Math.max(0, i - 40)])) {
    const list = lists[at]!;
    const length = list.encode(connection, []);
    received.reset();
    assert.equal(peer.decode(Uint8Array.prototype.slice.call(block, 0, length), 0, length, received), 0);
    const got = received.fields.slice(0, received.length).map((field) => `${field.name.text}: ${field.value}`);
    assert.deepEqual(
      got,
      list.filled([]).map((field) => `${field.name.text}: ${field.value}`),
    );
  }
});

test("what fills the gaps keeps its name while the table turns over and names in it come and go", () => {
  const store = new FieldStore();
  const encoder = new HpackEncoder(512);
  const peer = new HpackDecoder(new FieldStore(), 4_096, { maxFields: 100, maxListSize: 100_000 });
  const connection = { encoder } as unknown as Connection;
  for (let i = 0; i < 60; i++) for (const name of ["x-first", "x-second"]) store.field(name, `${i}`);
  const [first, second] = [store.name("x-first"), store.name("x-second")];
  const received = new FieldList();
  const texts = (fields: readonly Field[]): string[] => fields.map((field) => `${field.name.text}: ${field.value}`);
  let byIndex = 0;
  const lists = Array.from({ length: 40 }, (_, at) => {
    const own = store.field(`x-h-${at}`, `value-${at}-${"v".repeat(30)}`);
    return new Outgoing([store.field(":method", "POST"), null, own, null, null], [1, 0, 2]);
  });
  for (let round = 0; round < 2_000; round++) {
    const list = lists[round % 7 === 0 ? round % 40 : 3]!;
    const filling = [
      new Field(first, `f${round}`, round % 5 === 0, round % 3 === 0),
      new Field(second, `s${round}`, false, false),
      // A gap whose field has another name than when the block was remembered goes out under its own.
      store.field(round % 2 === 0 ? "authorization" : "x-third", `t${round % 4}`),
    ];
    const length = list.encode(connection, filling);
    received.reset();
    assert.equal(peer.decode(Uint8Array.prototype.slice.call(block, 0, length), 0, length, received), 0);
    assert.deepEqual(texts(received.fields.slice(0, received.length)), texts(list.filled(filling)));
    if (encoder.nameIndexOf(second) !== 0) byIndex++;
    if (round % 2 === 0) assert.equal(received.fields[received.length - 1]!.neverIndexed, true);
  }
  assert.ok(byIndex > 1_000, `${byIndex} by index`);
});
