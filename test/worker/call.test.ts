// Responsible for: the small parts of a call: where a message ends, what is held of a request, what answers look like.
// Must not know: sockets. Governed by: gRPC protocol document; issue 2, sections 6 and 7.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ReadBlock, ReadBlockPool } from "../../src/shared/base/read-block.js";
import { sendAnswer } from "../../src/worker/call/answer.js";
import { ANSWERS, type Answer } from "../../src/worker/call/answers.js";
import type { Call } from "../../src/worker/call/call.js";
import { HeldRequests } from "../../src/worker/call/held-request.js";
import { MessageMeter, wholeMessages } from "../../src/worker/call/message-meter.js";
import { Side } from "../http2/fixture.js";
import { Flag, Type } from "../support/wire/frame.js";
import { Decoder } from "../support/wire/hpack.js";
import { decodeGrpcMessage } from "./grpc-message.js";

function message(length: number): Buffer {
  const bytes = Buffer.alloc(5 + length, 0xee);
  bytes[0] = 0;
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

describe("the message meter", () => {
  test("knows, after every octet, whether it stands between two messages", () => {
    const lengths = fc.array(fc.oneof(fc.nat(5), fc.nat(700)), { maxLength: 12 });
    fc.assert(
      fc.property(lengths, fc.array(fc.integer({ min: 1, max: 60 })), (sizes, cuts) => {
        const bytes = Buffer.concat(sizes.map(message));
        const ends = new Set([0]);
        let end = 0;
        for (const size of sizes) {
          end += 5 + size;
          ends.add(end);
        }
        const meter = new MessageMeter();
        const pieces = [...cuts, ...Array.from({ length: bytes.length }, () => 1)];
        let at = 0;
        for (const piece of pieces) {
          assert.equal(meter.atBoundary, ends.has(at), `at ${at}`);
          if (at === bytes.length) break;
          const stop = Math.min(bytes.length, at + piece);
          meter.pass(bytes, at, stop);
          at = stop;
        }
      }),
    );
  });

  test("is made only where octets end inside a message: of whole ones the number is told", () => {
    const lengths = fc.array(fc.oneof(fc.nat(5), fc.nat(700)), { maxLength: 12 });
    fc.assert(
      fc.property(lengths, fc.nat(), (sizes, cut) => {
        const bytes = Buffer.concat([Buffer.from("before"), ...sizes.map(message)]);
        assert.equal(wholeMessages(bytes, 6, bytes.length), sizes.length);
        const end = 6 + (cut % (bytes.length - 5));
        const meter = new MessageMeter();
        meter.pass(bytes, 6, end);
        assert.equal(wholeMessages(bytes, 6, end), meter.atBoundary ? meter.messages : -1);
      }),
    );
    assert.equal(wholeMessages(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), 0, 5), -1);
  });

  test("does not lose its way in a message of 4 GiB", () => {
    const meter = new MessageMeter();
    meter.pass(Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), 0, 5);
    meter.pass(Buffer.alloc(100), 0, 100);
    assert.equal(meter.atBoundary, false);
  });
});

/** A call as the store of held requests sees it; `sent` when it has an upstream stream. */
function callOf(sent = true): Call {
  const fields = { up: sent ? {} : null, heldBlock: null, heldMore: null, heldStart: 0, heldEnd: 0, heldBytes: 0 };
  return { ...fields, heldLost: false } as unknown as Call;
}

describe("held requests", () => {
  test("are held by reference, and counted by the blocks they keep alive, once each", () => {
    const held = new HeldRequests(1_000, 1_000_000);
    const block = new ReadBlock(Buffer.alloc(4_096), null);
    const [one, two] = [callOf(), callOf()];
    assert.ok(held.hold(one, block, 0, 10) && held.hold(one, block, 10, 20) && held.hold(two, block, 20, 30));
    assert.deepEqual([held.pinned, block.holds, one.heldBytes], [4_096, 3, 20]);
    held.release(one);
    assert.deepEqual([held.pinned, block.holds], [4_096, 1]);
    held.release(two);
    assert.deepEqual([held.pinned, block.holds], [0, 0]);
  });

  test("keep a block from being read into again, until they are let go", () => {
    const pool = new ReadBlockPool(4_096, 4);
    const held = new HeldRequests(10_000, 1_000_000);
    const block = pool.take();
    const call = callOf();
    held.hold(call, block, 0, 100);
    block.release();
    assert.notEqual(pool.take(), block);
    held.release(call);
    assert.equal(pool.take(), block);
  });

  test("past the bound of a call that was sent, nothing is held for it any more", () => {
    const held = new HeldRequests(100, 1_000_000);
    const block = new ReadBlock(Buffer.alloc(4_096), null);
    const call = callOf();
    assert.ok(held.hold(call, block, 0, 100));
    assert.equal(held.hold(call, block, 100, 101), false);
    assert.deepEqual([held.pinned, block.holds, call.heldLost], [0, 0, true]);
    assert.equal(held.hold(call, block, 0, 1), false, "and it stays lost");
  });

  test("what is held is let go again", () => {
    const held = new HeldRequests(1_000, 16_000);
    const calls = Array.from({ length: 3 }, () => callOf());
    const blocks = calls.map(() => new ReadBlock(Buffer.alloc(4_096), null));
    // More than a quarter of a block: less would be copied out of it when memory grows short.
    const outcomes = calls.map((call, at) => held.hold(call, blocks[at]!, 0, 1_000));
    assert.deepEqual(outcomes, [true, true, true]);
    for (const call of calls) held.release(call);
    assert.equal(held.pinned, 0);
  });

  test("a little of a large block is copied out of it when memory grows short", () => {
    const held = new HeldRequests(1_000, 4_000);
    const [first, second, third] = [callOf(), callOf(), callOf()];
    assert.ok(held.hold(first, new ReadBlock(Buffer.alloc(4_096), null), 0, 10));
    assert.ok(!held.hold(second, new ReadBlock(Buffer.alloc(4_096), null), 0, 10), "the bound is passed");
    held.release(first);
    assert.ok(held.hold(third, new ReadBlock(Buffer.alloc(2_400), null), 0, 10));
    const fourth = callOf();
    assert.ok(held.hold(fourth, new ReadBlock(Buffer.alloc(4_096), null), 0, 10));
    assert.equal(held.pinned, 2_400 + 10);
  });

  test("past the bound of the worker no further call is held, and others stay as they are, block by block", () => {
    const held = new HeldRequests(4_000, 8_000);
    const calls = Array.from({ length: 3 }, () => callOf());
    const blocks = calls.map(() => new ReadBlock(Buffer.alloc(4_096), null));
    const outcomes = calls.map((call, at) => held.hold(call, blocks[at]!, 0, 2_000));
    assert.deepEqual(outcomes, [true, true, false]);
    assert.deepEqual([calls[0]?.heldLost, calls[2]?.heldLost], [false, true]);
  });

  test("an empty piece costs nothing", () => {
    const held = new HeldRequests(0, 0);
    assert.ok(held.hold(callOf(), new ReadBlock(Buffer.alloc(10), null), 3, 3));
    assert.equal(held.pinned, 0);
  });
});

interface Shown {
  readonly fields: Map<string, string>;
  readonly body: string;
  readonly frames: number;
  readonly ended: boolean;
}

function shown(answer: Answer, grpc: boolean, head = false): Shown {
  const side = new Side(true).greet();
  const stream = side.request(1, true);
  sendAnswer(stream, answer, grpc, head, true);
  const frames = side.sent();
  const fields = new Map(new Decoder().decode(frames[0]!.payload).map((it) => [it.name, it.value]));
  const body = frames.filter((it) => it.type === Type.DATA).map((it) => it.payload.toString());
  return { fields, body: body.join(""), frames: frames.length, ended: side.connection.streams.size === 0 };
}

describe("answers of the gateway", () => {
  for (const [name, answer] of Object.entries(ANSWERS)) {
    test(`${name} is trailers-only for gRPC callers`, () => {
      const { fields, frames, ended } = shown(answer, true);
      assert.deepEqual([frames, ended], [1, true]);
      assert.equal(fields.get(":status"), "200");
      assert.match(fields.get("content-type") ?? "", /^application\/grpc/);
      assert.equal(fields.get("grpc-status"), String(answer.grpc));
      assert.equal(decodeGrpcMessage(fields.get("grpc-message") ?? ""), answer.message);
      assert.ok(answer.grpc >= 1 && answer.grpc <= 16);
    });

    test(`${name} has a status and a body for others, and HEAD gets the body's length alone`, () => {
      const { fields, body, ended } = shown(answer, false);
      assert.equal(fields.get(":status"), String(answer.http));
      assert.equal(fields.get("content-length"), String(Buffer.byteLength(body)));
      assert.ok(ended && answer.http >= 400 && answer.http < 600);
      if (answer.plain) assert.equal(body, answer.message);
      else assert.deepEqual(JSON.parse(body), { error: answer.message });
      const head = shown(answer, false, true);
      assert.deepEqual([head.body, head.frames, head.ended], ["", 1, true]);
      assert.equal(head.fields.get("content-length"), fields.get("content-length"));
    });
  }

  test("a long message is cut at 1 KiB, never within an encoded octet", () => {
    const answer = { ...ANSWERS.internal, message: "ü€🚀".repeat(1_000) };
    const text = shown(answer, true).fields.get("grpc-message") ?? "";
    assert.ok(text.length <= 1_024 && text.length > 900, `${text.length} octets`);
    assert.match(text, /^(%[0-9A-F]{2})*$/);
  });

  test("answers end their stream with END_STREAM, not with a reset", () => {
    const side = new Side(true).greet();
    sendAnswer(side.request(1, true), ANSWERS.noRoute, false, false, false);
    assert.deepEqual(
      side.sent().map((it) => [it.type, it.flags & Flag.END_STREAM]),
      [
        [Type.HEADERS, 0],
        [Type.DATA, 1],
      ],
    );
  });
});
