// Responsible for: the windows we grant: what a peer may send, when it gets credit back, how windows grow.
// Governed by: RFC 9113, 5.2 and 6.9; engine.md, section 3.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { giveCredit } from "../../src/shared/http2/send-data.js";
import { Code, codeOf, data, type Frame, MAX_WINDOW, settings, Type, windowUpdate } from "../support/wire/frame.js";
import { MIB, newShared, Side } from "./fixture.js";

const credits = (frames: Frame[], stream: number): number[] =>
  frames.filter((it) => it.type === Type.WINDOW_UPDATE && it.stream === stream).map((it) => it.payload.readUInt32BE(0));

describe("windows we grant", () => {
  test("the opening grants the connection its window and streams theirs", () => {
    const side = new Side(true);
    const frames = side.sent();
    assert.deepEqual(credits(frames, 0), [16 * MIB - 65_535]);
    const pairs = frames[0]!.payload;
    const found = new Map<number, number>();
    for (let at = 0; at < pairs.length; at += 6) found.set(pairs.readUInt16BE(at), pairs.readUInt32BE(at + 2));
    assert.deepEqual([found.get(4), found.get(3), found.get(6)], [65_536, 1_000, 65_536]);
  });

  test("a stream that nobody takes from gets no credit, and one octet beyond its window is a stream error", () => {
    const side = new Side(true).greet();
    side.request(1);
    for (let at = 0; at < 4; at++) side.feed(data(1, Buffer.alloc(16_384)));
    assert.deepEqual(side.said(), []);
    side.feed(data(1, "x"));
    const [reset] = side.sent();
    assert.deepEqual([reset?.type, reset && codeOf(reset)], [Type.RST_STREAM, Code.FLOW_CONTROL_ERROR]);
  });

  test("an octet beyond the connection's window is a connection error", () => {
    const side = new Side(true, { connectionWindow: 65_535, streamWindow: 1 << 20 }).greet();
    side.connection.receiveCredit = -MIB;
    side.request(1);
    for (let at = 0; at < 3; at++) side.feed(data(1, Buffer.alloc(16_384)));
    side.feed(data(1, Buffer.alloc(16_383)));
    assert.deepEqual(side.faults, []);
    side.feed(data(1, "x"));
    const [goaway] = side.sent();
    assert.deepEqual([goaway?.type, goaway && codeOf(goaway)], [Type.GOAWAY, Code.FLOW_CONTROL_ERROR]);
  });

  test("the connection's credit comes back as bytes arrive, whatever becomes of them, half a window at a time", () => {
    const side = new Side(true, { connectionWindow: 65_535 }).greet();
    side.request(1);
    side.feed(data(1, Buffer.alloc(16_384)), data(1, Buffer.alloc(16_383)));
    assert.deepEqual(side.said(), []);
    side.feed(data(1, "x"));
    assert.deepEqual(credits(side.sent(), 0), [32_768]);
  });

  test("DATA on a stream that was reset is still counted on the connection and credited", () => {
    const side = new Side(true, { connectionWindow: 65_535 }).greet();
    const stream = side.request(1);
    side.feed({ type: Type.RST_STREAM, flags: 0, stream: 1, payload: Buffer.alloc(4) });
    assert.equal(side.connection.streams.get(stream.id), null);
    side.request(3);
    side.feed(data(3, Buffer.alloc(16_384)), data(3, Buffer.alloc(16_384)));
    assert.deepEqual(credits(side.sent(), 0), [32_768]);
  });

  test("a stream's credit comes back when half of its window has left on the other side", () => {
    const side = new Side(true).greet();
    const stream = side.request(1);
    for (let at = 0; at < 4; at++) side.feed(data(1, Buffer.alloc(16_384)));
    giveCredit(stream, 32_767, false);
    assert.deepEqual(side.said(), []);
    giveCredit(stream, 1, false);
    assert.deepEqual(credits(side.sent(), 1), [32_768]);
    assert.equal(stream.receiveWindow, 32_768);
  });

  test("a window grows to an ample size at once, beyond it only where a round trip takes its time, and to its bound", () => {
    const side = new Side(true).greet();
    const stream = side.request(1);
    const targets: number[] = [];
    const use = (after: number): void => {
      side.shared.clock.now += after;
      giveCredit(stream, stream.windowTarget, true);
      targets.push(stream.windowTarget);
    };
    for (const after of [0, 0, 10, 0, 10, 10, 10]) use(after);
    assert.deepEqual(targets, [262_144, 262_144, 524_288, 524_288, MIB, MIB, MIB]);
  });

  test("a window does not grow for a receiver that did not keep up", () => {
    const side = new Side(true).greet();
    const stream = side.request(1);
    giveCredit(stream, 40_000, false);
    assert.equal(stream.windowTarget, 65_536);
  });

  test("no window grows while the worker holds more than half of its budget", () => {
    const shared = newShared(MIB);
    const side = new Side(true, {}, shared).greet();
    const stream = side.request(1);
    shared.budget.held = MIB / 2;
    giveCredit(stream, 40_000, true);
    assert.equal(stream.windowTarget, 65_536);
    shared.budget.held = 0;
    giveCredit(stream, 40_000, true);
    assert.ok(stream.windowTarget > 65_536);
  });

  test("a stream whose sender has ended gets no credit any more", () => {
    const side = new Side(true).greet();
    const stream = side.request(1);
    side.feed(data(1, Buffer.alloc(16_384)), data(1, Buffer.alloc(16_384)), data(1, "", { end: true }));
    giveCredit(stream, 32_768, true);
    assert.deepEqual(side.said(), []);
  });
});

describe("windows granted to us", () => {
  test("a stream's window beyond 2^31-1 resets it, the connection's ends it", () => {
    const side = new Side(true).greet();
    side.request(1);
    side.feed(windowUpdate(1, MAX_WINDOW));
    assert.deepEqual(side.said(), ["RST_STREAM stream=1 flags=0 length=4 FLOW_CONTROL_ERROR"]);
    side.feed(windowUpdate(0, MAX_WINDOW));
    assert.equal(codeOf(side.sent()[0]!), Code.FLOW_CONTROL_ERROR);
  });

  test("SETTINGS that lift a stream's window beyond 2^31-1 end the connection", () => {
    const side = new Side(true).greet();
    const stream = side.request(1);
    side.feed(windowUpdate(1, MAX_WINDOW - 65_535));
    assert.equal(stream.sendWindow, MAX_WINDOW);
    side.feed(settings([4, 65_536]));
    assert.equal(codeOf(side.sent()[0]!), Code.FLOW_CONTROL_ERROR);
  });

  test("SETTINGS_INITIAL_WINDOW_SIZE moves the windows of open streams, not the connection's", () => {
    const side = new Side(true).greet();
    const stream = side.request(1);
    side.feed(settings([4, 10]));
    assert.deepEqual([stream.sendWindow, side.connection.sendWindow], [10, 65_535]);
    assert.equal(side.request(3).sendWindow, 10);
  });
});
