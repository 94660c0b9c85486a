// Responsible for: header lists towards services stay in step with the peer's table, however often they are remembered.
// Governed by: RFC 7541 section 4; the attack in which one caller's fields arrived in another caller's call.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection } from "../../src/shared/http2/connection.js";
import { HpackDecoder } from "../../src/shared/http2/hpack/decoder.js";
import { HpackEncoder } from "../../src/shared/http2/hpack/encoder.js";
import { FieldStore } from "../../src/shared/http2/hpack/field.js";
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
