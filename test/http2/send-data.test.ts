// Responsible for: DATA from one connection to another: in place and uncopied where it fits, in turns where it waits.
// Governed by: RFC 9113, 5.2, 6.1, 6.9; issue 2, section 5.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ReadBlock } from "../../src/shared/base/read-block.js";
import { openStream } from "../../src/shared/http2/open-stream.js";
import { COPY_BELOW, resetAfterQueue, sendData, sendEnd } from "../../src/shared/http2/send-data.js";
import { sendHeaderBlock } from "../../src/shared/http2/send-headers.js";
import type { Stream } from "../../src/shared/http2/stream.js";
import { data, Flag, headers, settings, Type, windowUpdate } from "../support/wire/frame.js";
import { block, tableSize } from "../support/wire/hpack.js";
import { MIB, newShared, Side } from "./fixture.js";

const ok = block([":status", "200"]);
/** From a peer that has just acknowledged that our table is empty (RFC 7541, 4.2). */
const reply = Buffer.concat([tableSize(0), ok]);

/** A response on its way: what `up` receives is sent on `down`. */
class Pair {
  readonly shared = newShared();
  readonly down: Side;
  readonly up: Side;
  readonly streams: { down: Stream; up: Stream }[] = [];

  constructor(calls = 1, ...callers: [number, number][]) {
    this.down = new Side(true, {}, this.shared).greet(...callers);
    this.up = new Side(false, {}, this.shared).greet();
    for (let at = 0; at < calls; at++) this.open();
    this.down.sent();
    this.up.sent();
    this.up.events.onData = (it) => {
      const { down } = this.streams.find(({ up }) => up === it.stream)!;
      sendData(down, it.stream, it.block, it.head, it.start, it.end, it.flags);
    };
  }

  private open(): void {
    const down = this.down.request(1 + 2 * this.streams.length, true);
    const up = openStream(this.up.connection);
    down.peer = up;
    up.peer = down;
    sendHeaderBlock(up, ok, 1, true);
    this.up.feed(headers(up.id, reply));
    this.down.respond(down);
    this.streams.push({ down, up });
  }

  get first(): { down: Stream; up: Stream } {
    return this.streams[0]!;
  }
}

describe("DATA that fits", () => {
  test("leaves as the memory it was read into, header and payload in one part", () => {
    const pair = new Pair();
    const read = pair.up.feed(data(pair.first.up.id, Buffer.alloc(5_000, 1)));
    const [part, ...rest] = pair.down.connection.output.takeFlight().parts;
    assert.equal(part?.buffer, read.buf.buffer);
    assert.deepEqual([part?.length, rest.length], [5_009, 0]);
  });

  test("many frames of one read are one part of that memory", () => {
    const pair = new Pair(1);
    const frame = data(pair.first.up.id, Buffer.alloc(2_000, 1));
    const read = pair.up.feed(frame, frame, frame);
    const { parts } = pair.down.connection.output.takeFlight();
    assert.deepEqual([parts.length, parts[0]?.buffer, parts[0]?.length], [1, read.buf.buffer, 3 * 2_009]);
  });

  test("a frame that was cut by the end of a read leaves in pieces of the memory of each read", () => {
    const pair = new Pair();
    const { up } = pair.first;
    const whole = Buffer.concat([Buffer.from([0, 0x20, 0, 0, 1, 0, 0, 0, up.id]), Buffer.alloc(0x2000, 5)]);
    const one = pair.up.bytes(whole.subarray(0, 4_000));
    const two = pair.up.bytes(whole.subarray(4_000));
    const { parts } = pair.down.connection.output.takeFlight();
    const payloads = parts.filter((it) => it.length >= COPY_BELOW).map((it) => it.buffer);
    assert.deepEqual(payloads, [one.buf.buffer, two.buf.buffer]);
  });

  test("below the threshold it is copied, so that its block is free at once", () => {
    const pair = new Pair();
    const read = pair.up.feed(data(pair.first.up.id, Buffer.alloc(COPY_BELOW - 1)));
    assert.equal(read.holds, 0);
  });

  test("padding travels with the frame it came in", () => {
    const pair = new Pair();
    pair.up.feed(data(pair.first.up.id, Buffer.alloc(3_000, 9), { padding: 20, end: true }));
    const [frame] = pair.down.sent();
    assert.deepEqual([frame?.flags, frame?.payload.length], [Flag.PADDED | Flag.END_STREAM, 3_021]);
  });
});

describe("DATA that does not fit", () => {
  test("waits for the stream's window and is cut to it", () => {
    const pair = new Pair(1, [4, 100]);
    pair.up.feed(data(pair.first.up.id, Buffer.alloc(250), { end: true }));
    assert.deepEqual(pair.down.said(), ["DATA stream=1 flags=0 length=100"]);
    pair.down.feed(windowUpdate(1, 120));
    assert.deepEqual(pair.down.said(), ["DATA stream=1 flags=0 length=120"]);
    pair.down.feed(windowUpdate(1, 500));
    assert.deepEqual(pair.down.said(), ["DATA stream=1 flags=1 length=30"]);
    assert.equal(pair.down.connection.streams.size, 0);
  });

  test("waits for the connection's window", () => {
    const pair = new Pair(2, [4, MIB]);
    for (const { up } of pair.streams) {
      for (let at = 0; at < 3; at++) pair.up.feed(data(up.id, Buffer.alloc(16_384)));
    }
    const before = pair.down.sent().reduce((sum, it) => sum + it.payload.length, 0);
    assert.equal(before, 65_535);
    pair.down.feed(windowUpdate(0, 40_000));
    const after = pair.down.sent().reduce((sum, it) => sum + it.payload.length, 0);
    assert.equal(before + after, 6 * 16_384);
  });

  test("streams that wait take turns, a frame each", () => {
    const pair = new Pair(3, [4, 0]);
    for (const { up } of pair.streams) for (let at = 0; at < 3; at++) pair.up.feed(data(up.id, Buffer.alloc(16_000)));
    // A full socket, then windows for everybody, then room.
    pair.down.connection.output.slice(new ReadBlock(Buffer.alloc(MIB), null), 0, MIB);
    pair.down.feed(...[1, 3, 5].map((id) => windowUpdate(id, 48_000)), windowUpdate(0, MIB));
    pair.down.written();
    pair.down.feed(windowUpdate(0, 1));
    const order = pair.down.sent().map((it) => it.stream);
    assert.equal(order.length, 9);
    for (let at = 0; at < 9; at += 3) assert.deepEqual(order.slice(at, at + 3).sort(), [1, 3, 5]);
  });

  test("is cut where the receiver's frames are smaller", () => {
    const shared = newShared();
    const up = new Side(false, { maxFrameSize: 65_536 }, shared).greet();
    const stream = openStream(up.connection);
    sendHeaderBlock(stream, ok, 1, false);
    up.sent();
    sendData(stream, null, new ReadBlock(Buffer.alloc(40_000), null), -1, 0, 40_000, Flag.END_STREAM);
    assert.deepEqual(
      up.sent().map((it) => [it.payload.length, it.flags]),
      [
        [16_384, 0],
        [16_384, 0],
        [7_232, 1],
      ],
    );
  });

  test("no more than the bound waits in one socket; the rest stays with its stream", () => {
    const pair = new Pair(1, [4, MIB * 2]);
    pair.down.feed(windowUpdate(0, 8 * MIB));
    const bound = pair.down.connection.limits.maxWaitingOutput;
    const { up } = pair.first;
    up.receiveWindow = 4 * MIB;
    for (let at = 0; at < 80; at++) pair.up.feed(data(up.id, Buffer.alloc(16_384)));
    const { output } = pair.down.connection;
    assert.ok(output.waiting <= bound + 16_393, `${output.waiting} wait`);
    assert.ok(pair.shared.budget.held > 0);
  });

  test("its end, trailers and reset come after it, in this order", () => {
    const pair = new Pair(2, [4, 0]);
    const [one, two] = pair.streams.map((it) => it.down) as [Stream, Stream];
    for (const { up } of pair.streams) pair.up.feed(data(up.id, Buffer.alloc(10)));
    const trailers = block(["grpc-status", "0"]);
    one.queue!.trailers = () => sendHeaderBlock(one, trailers, trailers.length, true);
    sendEnd(two);
    assert.deepEqual(pair.down.said(), []);
    pair.down.feed(windowUpdate(1, 10), windowUpdate(3, 10));
    assert.deepEqual(
      pair.down.sent().map((it) => [it.type, it.stream, it.flags & Flag.END_STREAM]),
      [
        [Type.DATA, 1, 0],
        [Type.HEADERS, 1, 1],
        [Type.DATA, 3, 1],
      ],
    );
  });

  test("RST_STREAM(NO_ERROR) of a complete reply follows its last octet", () => {
    const down = new Side(true).greet([4, 5]);
    const stream = down.request(1);
    down.respond(stream);
    down.sent();
    sendData(stream, null, new ReadBlock(Buffer.alloc(9), null), -1, 0, 9, Flag.END_STREAM);
    resetAfterQueue(stream, 0);
    down.feed(windowUpdate(1, 100));
    assert.deepEqual(down.said(), [
      "DATA stream=1 flags=0 length=5",
      "DATA stream=1 flags=1 length=4",
      "RST_STREAM stream=1 flags=0 length=4 NO_ERROR",
    ]);
  });

  test("a stream that is reset drops what waited, and the budget knows", () => {
    const pair = new Pair(1, [4, 0]);
    pair.up.feed(data(pair.first.up.id, Buffer.alloc(5_000)));
    assert.ok(pair.shared.budget.held > 0);
    pair.down.feed({ type: Type.RST_STREAM, flags: 0, stream: 1, payload: Buffer.from([0, 0, 0, 8]) });
    assert.equal(pair.shared.budget.held, 0);
  });

  test("a window that SETTINGS make negative stops the stream until it is positive again", () => {
    const pair = new Pair(1, [4, 100]);
    pair.up.feed(data(pair.first.up.id, Buffer.alloc(90)));
    pair.down.sent();
    pair.down.feed(settings([4, 50]));
    pair.up.feed(data(pair.first.up.id, Buffer.alloc(20)));
    pair.down.feed(windowUpdate(1, 40));
    assert.deepEqual(
      pair.down.sent().filter((it) => it.type === Type.DATA),
      [],
    );
    pair.down.feed(windowUpdate(1, 1));
    assert.deepEqual(pair.down.said(), ["DATA stream=1 flags=0 length=1"]);
    pair.down.feed(settings([4, 500]));
    assert.ok(pair.down.said().includes("DATA stream=1 flags=0 length=19"));
  });
});

describe("any DATA through any windows", () => {
  test("arrives whole and in order, and never exceeds a window", () => {
    const action = fc.oneof(
      fc.record({ bytes: fc.integer({ min: 1, max: 16_384 }), padding: fc.option(fc.nat(255), { nil: undefined }) }),
      fc.record({ credit: fc.integer({ min: 1, max: 40_000 }) }),
      fc.record({ flush: fc.constant(true) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), fc.integer({ min: 0, max: 70_000 }), (actions, initial) => {
        const pair = new Pair(1, [4, initial]);
        const { up } = pair.first;
        let [granted, sent, octet, received] = [initial, 0, 0, 0];
        const check = (): void => {
          for (const it of pair.down.sent()) {
            if (it.type !== Type.DATA) continue;
            sent += it.payload.length;
            const padded = (it.flags & Flag.PADDED) !== 0;
            const body = padded ? it.payload.subarray(1, it.payload.length - it.payload[0]!) : it.payload;
            for (const one of body) assert.equal(one, received++ & 0xff);
          }
          assert.ok(sent <= granted, `${sent} of ${granted}`);
        };
        for (const it of actions) {
          if ("credit" in it) {
            granted += it.credit;
            pair.down.feed(windowUpdate(1, it.credit), windowUpdate(0, it.credit));
          } else if ("flush" in it) check();
          else if (up.receiveWindow >= it.bytes + 256) {
            const bytes = Buffer.from({ length: it.bytes } as ArrayLike<number>).map(() => octet++ & 0xff);
            const { padding } = it;
            pair.up.feed(data(up.id, bytes, padding === undefined || it.bytes > 16_000 ? {} : { padding }));
          }
        }
        pair.up.feed(data(up.id, "", { end: true }));
        granted += 10 * MIB;
        pair.down.feed(windowUpdate(1, 10 * MIB), windowUpdate(0, 10 * MIB));
        check();
        assert.equal(received, octet);
        assert.deepEqual([pair.down.connection.streams.size, pair.shared.budget.held], [0, 0]);
      }),
      { numRuns: 100 },
    );
  });
});
