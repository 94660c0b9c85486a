// Responsible for: the same dialogue in any pieces: TCP promises bytes, not reads, so a parser may stop at every byte.
// Must not know: the engine's insides. Governed by: RFC 9113, 4.1. One gateway; pieces, never pauses.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { request, WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block, literal, tableSize } from "../support/wire/hpack.js";
import { WireServer, type WireServerConnection } from "../support/wire/server.js";

const POST = request({ ":method": "POST" });

/** Every kind of frame, padding, priority, CONTINUATION, Huffman, trailers; two calls that are answered. */
function dialogue(): Buffer {
  const head = block(...POST);
  const whole = Buffer.concat([tableSize(100), head, literal("x-h", "some text", 0x40, true)]);
  const frames = [
    f.settings([f.Setting.INITIAL_WINDOW_SIZE, 70_000], [0xabcd, 1]),
    f.headers(1, whole.subarray(0, 11), { endHeaders: false, padding: 3, priority: { dependsOn: 0 } }),
    f.continuation(1, whole.subarray(11, 12), false),
    f.continuation(1, whole.subarray(12)),
    f.priority(7, { dependsOn: 1 }),
    f.data(1, "hello ", { padding: 2 }),
    f.windowUpdate(0, 1000),
    f.data(1, "", { padding: 0 }),
    f.data(1, "world"),
    f.headers(1, block(["x-trailer", "t"]), { end: true }),
    f.frame(0x55, 0xff, 3, "unknown"),
    f.headers(3, head),
    f.windowUpdate(3, 5),
    f.data(3, "second", { end: true }),
    f.headers(5, head),
    f.reset(5, f.Code.CANCEL),
    f.ping("the end."),
  ];
  return Buffer.concat([f.PREFACE, ...frames.map((it) => f.encode(it))]);
}

/** A reply with 1xx, CONTINUATION, padding and trailers that echoes nothing but the length of what it got. */
function reply(stream: number, length: number): Buffer {
  const head = block([":status", "200"], ["x-length", String(length)]);
  const frames = [
    f.headers(stream, Buffer.concat([tableSize(0), block([":status", "103"])])),
    f.headers(stream, head.subarray(0, 9), { endHeaders: false, padding: 1 }),
    f.continuation(stream, head.subarray(9)),
    f.data(stream, "answer", { padding: 4 }),
    f.windowUpdate(stream, 3),
    f.headers(stream, block(["x-end", "yes"]), { end: true }),
  ];
  return Buffer.concat(frames.map((it) => f.encode(it)));
}

let gateway: Gateway;
let upstream: WireServer;
/** How the upstream cuts its replies. */
let cut: (bytes: Buffer) => Buffer[] = (bytes) => [bytes];

const singles = (bytes: Buffer): Buffer[] => Array.from(bytes, (byte) => Buffer.from([byte]));
const cutAt = (at: number) => (bytes: Buffer) => [bytes.subarray(0, at), bytes.subarray(at)];

/** Replies to streams one after the other: pieces of two replies must not mix. */
function serially(): (connection: WireServerConnection, bytes: Buffer) => void {
  let last: Promise<void> = Promise.resolve();
  return (connection, bytes) => {
    last = last.then(() => connection.sendPieces(cut(bytes)));
  };
}

async function check(client: WireClient): Promise<void> {
  for (const stream of [1, 3]) {
    const it = await client.message(stream);
    assert.equal(it.reset, undefined);
    assert.equal(it.fields.find(({ name }) => name === ":status")?.value, "200");
    assert.equal(it.body.toString(), "answer");
    assert.equal(it.trailers.find(({ name }) => name === "x-end")?.value, "yes");
  }
  await client.expectPingAck("the end.");
  client.close();
}

describe("pieces of any size", () => {
  before(async () => {
    const send = serially();
    upstream = await WireServer.listen({
      answer: ({ connection, stream }) => send(connection, reply(stream, 0)),
    });
    gateway = await startGateway({ definitions: [keyless({ target: upstream.target })] });
  });

  after(async () => {
    await gateway?.stop();
    await upstream?.close();
  });

  test("a dialogue in one piece is understood", async () => {
    const client = await WireClient.connect(gateway.port);
    client.sendBytes(dialogue());
    await check(client);
  });

  test("the same dialogue byte by byte is understood", async () => {
    const client = await WireClient.connect(gateway.port);
    await client.sendPieces(singles(dialogue()));
    await check(client);
  });

  test("the same dialogue cut at every byte is understood", async () => {
    const bytes = dialogue();
    for (let from = 1; from < bytes.length; from += 8) {
      const cuts = Array.from({ length: Math.min(8, bytes.length - from) }, (_, at) => from + at);
      await Promise.all(
        cuts.map(async (at) => {
          const client = await WireClient.connect(gateway.port);
          await client.sendPieces(cutAt(at)(bytes));
          await check(client);
        }),
      );
    }
  });

  test("replies byte by byte are understood", async () => {
    cut = singles;
    const client = await WireClient.connect(gateway.port);
    client.sendBytes(dialogue());
    await check(client);
  });

  test("replies cut at every byte are understood", async () => {
    for (let at = 1; at < reply(1, 0).length; at++) {
      cut = cutAt(at);
      const client = await WireClient.connect(gateway.port);
      client.sendBytes(dialogue());
      await check(client);
    }
    cut = (bytes) => [bytes];
  });

  test("a fault is found wherever its frame is cut", async () => {
    const bad = f.encode(f.frame(f.Type.WINDOW_UPDATE, 0, 0, Buffer.alloc(4)));
    for (let at = 1; at < bad.length; at++) {
      const client = await WireClient.ready(gateway.port);
      await client.sendPieces(cutAt(at)(bad));
      await client.expectConnectionError(f.Code.PROTOCOL_ERROR);
      client.close();
    }
  });
});
