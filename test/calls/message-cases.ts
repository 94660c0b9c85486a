// Responsible for: limits on messages, in both directions, wherever frames are cut. Must not know: how they are followed.
// Governed by: gRPC protocol document (Length-Prefixed-Message); `sluice.message_limits`; issue 6, item 6. Tests only.

import assert from "node:assert/strict";
import { type Scene, statusOf } from "../rfc9113/relay-scene.js";
import { until } from "../support/waiting.js";
import * as f from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import type { WireServerConnection } from "../support/wire/server.js";
import { type Case, message, nothingElseCame, start, toldOf } from "./course.js";

const { Code } = f;
const limits = (it: Record<string, number>) => () => ({ message_limits: it });
const head = (stream: number) => f.headers(stream, block([":status", "200"], ["content-type", "application/grpc"]));
const end = (stream: number) => f.headers(stream, block(["grpc-status", "0"]), { end: true });

/** The frames, cut before each of these octets, in one write each. */
const cut = (bytes: Buffer, ...at: number[]): Buffer[] =>
  [0, ...at].map((from, n) => bytes.subarray(from, at[n] ?? bytes.length)).filter((piece) => piece.length > 0);

async function respond(
  scene: Scene,
  pieces: Buffer[],
  padding = 0,
): Promise<{ stream: number; connection: WireServerConnection; up: number }> {
  const stream = start(scene);
  const it = await scene.service.request();
  it.connection.send(head(it.stream));
  for (const piece of pieces) {
    it.connection.send(f.data(it.stream, piece, padding === 0 ? {} : { padding }));
    await it.connection.barrier();
  }
  return { stream, connection: it.connection, up: it.stream };
}

export const messages: Case[] = [
  {
    says: "a response message over its limit ends the call with RESOURCE_EXHAUSTED, whole messages before it arrive, at every cut",
    ours: limits({ response_bytes: 20 }),
    run: async (scene) => {
      const bytes = Buffer.concat([message(20), message(21)]);
      for (let at = 20; at <= 32; at++) {
        const { stream, connection, up } = await respond(scene, cut(bytes, at));
        const answer = await scene.client.message(stream);
        assert.deepEqual(toldOf(answer), {
          status: "8",
          text: "a message of the response has 21 octets; at most 20 are allowed",
        });
        assert.deepEqual(answer.body, message(20), `cut at ${at}`);
        // What came before a barrier is no longer in the inbox.
        const cancelled = (line: string) => line.startsWith(`< RST_STREAM stream=${up} `) && line.endsWith("CANCEL");
        await until("the service is told", () => connection.transcript.some(cancelled));
      }
    },
  },
  {
    says: "what keeps its limit arrives octet for octet, at every cut, padded or not",
    ours: limits({ response_bytes: 20, response_count: 3, request_bytes: 20, request_count: 3 }),
    run: async (scene) => {
      const bytes = Buffer.concat([message(0), message(20), message(3)]);
      for (const padding of [0, 4])
        for (let at = 1; at < 12; at++) {
          const { stream, connection, up } = await respond(scene, cut(bytes, at, at + 2, at + 20), padding);
          connection.send(end(up));
          const answer = await scene.client.message(stream);
          assert.equal(statusOf(answer), "0");
          assert.deepEqual(answer.body, bytes, `cut at ${at}`);
        }
    },
  },
  {
    says: "a response that ends in the middle of a prefix arrives as it is",
    ours: limits({ response_bytes: 20 }),
    run: async (scene) => {
      for (const tail of [1, 4]) {
        const bytes = Buffer.concat([message(2), message(2).subarray(0, tail)]);
        const { stream, connection, up } = await respond(scene, [bytes]);
        connection.send(end(up));
        assert.deepEqual((await scene.client.message(stream)).body, bytes);
        const second = await respond(scene, cut(bytes, 8));
        second.connection.send(f.data(second.up, Buffer.alloc(0), { end: true }));
        assert.deepEqual((await scene.client.message(second.stream)).body, bytes);
      }
    },
  },
  {
    says: "too many messages of a response are too many",
    ours: limits({ response_count: 2 }),
    run: async (scene) => {
      const { stream } = await respond(scene, [Buffer.concat([message(1), message(2), message(3)])]);
      const answer = await scene.client.message(stream);
      assert.deepEqual(toldOf(answer), {
        status: "8",
        text: "the response has more than the 2 messages that are allowed",
      });
      assert.deepEqual(answer.body, Buffer.concat([message(1), message(2)]));
    },
  },
  {
    says: "a request message over its limit is stopped at its prefix, wherever that is cut, and the service is told",
    ours: limits({ request_bytes: 20 }),
    run: async (scene) => {
      for (let at = 1; at <= 5; at++) {
        const stream = start(scene, [], null);
        scene.client.send(f.data(stream, message(20)));
        const it = await scene.service.request();
        for (const piece of cut(message(4_000_000).subarray(0, 5), at)) {
          scene.client.send(f.data(stream, piece));
          await scene.client.barrier();
        }
        await it.connection.expectReset(it.stream, Code.CANCEL);
      }
      const stream = start(scene, [], message(21));
      const told = toldOf(await scene.client.message(stream));
      assert.deepEqual(told, { status: "8", text: "a message of the request has 21 octets; at most 20 are allowed" });
    },
  },
  {
    says: "a request that is too large from its first octet on never reaches a service",
    ours: limits({ request_bytes: 20 }),
    run: async (scene) => {
      for (let n = 0; n < 3; n++)
        assert.equal(toldOf(await scene.client.message(start(scene, [], message(21)))).status, "8");
      await nothingElseCame(scene);
    },
  },
  {
    says: "too many messages of a request are too many",
    ours: limits({ request_count: 2 }),
    run: async (scene) => {
      const stream = start(scene, [], Buffer.concat([message(1), message(1), message(1)]));
      const told = toldOf(await scene.client.message(stream));
      assert.deepEqual(told, { status: "8", text: "the request has more than the 2 messages that are allowed" });
    },
  },
  {
    says: "a method may have other limits than its API",
    ours: (path) => ({
      message_limits: { request_bytes: 10 },
      methods: [{ path: `${path}/Other`, message_limits: { request_bytes: 30 } }],
    }),
    run: async (scene) => {
      assert.equal(toldOf(await scene.client.message(start(scene, [], message(20)))).status, "8");
      const stream = start({ ...scene, path: scene.path.replace("Call", "Other") }, [], message(20));
      const it = await scene.service.request();
      it.connection.replyGrpc(it.stream);
      assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
  {
    says: "bodies that are not gRPC are not looked into",
    ours: limits({ request_bytes: 1, response_bytes: 1, request_count: 1, response_count: 1 }),
    run: async ({ client, service, path }) => {
      const stream = client.newStream();
      const fields: [string, string][] = [
        [":method", "POST"],
        [":scheme", "http"],
        [":path", path],
        [":authority", "localhost"],
      ];
      client.send(f.headers(stream, block(...fields)), f.data(stream, Buffer.alloc(50, 0xff), { end: true }));
      const it = await service.request();
      it.connection.reply(it.stream, { body: Buffer.alloc(50, 0xff) });
      assert.equal((await client.message(stream)).body.length, 50);
    },
  },
];
