// Responsible for: runs of small DATA frames that go on as one: the same octets, ends and windows as one by one.
// Governed by: RFC 9113, 6.1 (where frames end means nothing).

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { data, encode, Flag } from "../support/wire/frame.js";
import { Side } from "./fixture.js";

const piece = fc.record({
  stream: fc.constantFrom(1, 3),
  length: fc.oneof(fc.nat(6), fc.nat(1_100)),
  padding: fc.option(fc.nat(3), { nil: undefined }),
});

test("whatever frames come, in reads of whatever size, each stream's octets arrive in order and are counted", () => {
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 60 }), fc.array(fc.integer({ min: 1, max: 3_000 })), (pieces, cuts) => {
      const side = new Side(true).greet();
      const seen = new Map<number, Buffer[]>([1, 3].map((id) => [id, []]));
      const ended: number[] = [];
      side.events.onData = ({ stream, block, start, end, flags }) => {
        const first = flags & Flag.PADDED ? start + 1 : start;
        const last = flags & Flag.PADDED ? end - block.buf[start]! : end;
        seen.get(stream.id)?.push(Buffer.from(block.buf.subarray(first, last)));
        if (flags & Flag.END_STREAM) ended.push(stream.id);
      };
      const streams = [side.request(1), side.request(3)];
      const windows = new Map(streams.map((it) => [it.id, it.receiveWindow]));
      const expected = new Map<number, Buffer[]>([1, 3].map((id) => [id, []]));
      let octet = 0;
      const frames = pieces.map(({ stream, length, padding }) => {
        const bytes = Buffer.from(Uint8Array.from({ length }, () => octet++ & 0xff));
        expected.get(stream)?.push(bytes);
        const frame = data(stream, bytes, padding === undefined ? {} : { padding });
        windows.set(stream, windows.get(stream)! - frame.payload.length);
        return encode(frame);
      });
      const all = Buffer.concat([...frames, encode(data(1, "", { end: true })), encode(data(3, "z", { end: true }))]);
      let at = 0;
      for (const cut of cuts) {
        if (at < all.length) side.bytes(all.subarray(at, at + cut));
        at += cut;
      }
      if (at < all.length) side.bytes(all.subarray(at));
      assert.deepEqual(side.faults, []);
      expected.get(3)?.push(Buffer.from("z"));
      for (const id of [1, 3]) {
        assert.ok(Buffer.concat(seen.get(id)!).equals(Buffer.concat(expected.get(id)!)), `stream ${id}`);
      }
      assert.deepEqual(ended.sort(), [1, 3]);
      assert.deepEqual(
        streams.map((it) => it.receiveWindow),
        [windows.get(1), windows.get(3)! - 1],
      );
    }),
    { numRuns: 200 },
  );
});
