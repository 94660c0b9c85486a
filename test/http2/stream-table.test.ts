// Responsible for: finding streams by number, and remembering how they ended. Governed by: RFC 9113, 5.1.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Ended, EndedStreams, Stream } from "../../src/shared/http2/stream.js";
import { StreamTable } from "../../src/shared/http2/stream-table.js";
import { Side } from "./fixture.js";

const { connection } = new Side(true);
const newStream = (id: number): Stream => new Stream(id, connection, 0, 0, 0);

test("whatever is added and removed, the table answers as a map would", () => {
  const step = fc.record({ add: fc.boolean(), at: fc.nat(40) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.constantFrom(1, 4_096, 8_192), (steps, stride) => {
      const table = new StreamTable();
      const map = new Map<number, Stream>();
      for (const { add, at } of steps) {
        const id = 1 + 2 * at * stride;
        const known = map.get(id);
        if (add && known === undefined) {
          const stream = newStream(id);
          map.set(id, stream);
          table.add(stream);
        } else if (!add && known !== undefined) {
          map.delete(id);
          table.remove(known);
        }
        assert.equal(table.size, map.size);
        for (let other = 0; other <= 40; other++) {
          const number = 1 + 2 * other * stride;
          assert.equal(table.get(number), map.get(number) ?? null);
        }
      }
      assert.deepEqual(new Set(table.all()), new Set(map.values()));
    }),
    { numRuns: 50 },
  );
});

test("a long-lived stream stays findable while thousands come and go", () => {
  const table = new StreamTable();
  const old = newStream(1);
  table.add(old);
  for (let id = 3; id < 60_000; id += 2) {
    const stream = newStream(id);
    table.add(stream);
    assert.equal(table.get(id), stream);
    table.remove(stream);
    assert.equal(table.get(id), null);
  }
  assert.equal(table.get(1), old);
  assert.equal(table.size, 1);
});

test("removing a stream twice, or one that was never added, changes nothing", () => {
  const table = new StreamTable();
  const stream = newStream(5);
  table.remove(stream);
  table.add(stream);
  table.remove(stream);
  table.remove(stream);
  assert.equal(table.size, 0);
});

test("the last ended streams are remembered, with the way they ended", () => {
  const ended = new EndedStreams();
  assert.equal(ended.recall(1), Ended.UNKNOWN);
  for (let at = 0; at < 64; at++) ended.remember(1 + 2 * at, at % 2 === 0 ? Ended.COMPLETE : Ended.RESET_RECEIVED);
  for (let at = 0; at < 64; at++) {
    assert.equal(ended.recall(1 + 2 * at), at % 2 === 0 ? Ended.COMPLETE : Ended.RESET_RECEIVED);
  }
});

test("a thousand streams that we reset are remembered, because their peers may still send on them", () => {
  const ended = new EndedStreams();
  for (let at = 0; at < 1_000; at++) ended.remember(1 + 2 * at, Ended.RESET_SENT);
  for (let at = 0; at < 1_000; at++) assert.equal(ended.recall(1 + 2 * at), Ended.RESET_SENT);
  for (let at = 1_000; at < 100_000; at++) ended.remember(1 + 2 * at, Ended.RESET_SENT);
  assert.equal(ended.recall(1), Ended.UNKNOWN, "the memory is bounded");
});
