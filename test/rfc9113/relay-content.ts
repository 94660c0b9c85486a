// Responsible for: what a call carries: fields as sent, DATA within the windows of its receiver.
// Must not know: the engine's insides. Governed by: RFC 9113, 5.2, 6.9, 8.2; issue 2, section 6. Tests only.

import assert from "node:assert/strict";
import { grpcRequest, WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block, type Field, literal } from "../support/wire/hpack.js";
import { call, type Relay, statusOf, textOf, valuesOf } from "./relay-scene.js";

const { Code, Setting } = f;

export const fields: Relay[] = [
  {
    says: "metadata keeps its order, duplicates and binary values; te stays; hop-by-hop fields go",
    run: async (scene) => {
      const own: Field[] = [
        ["x-b", "1"],
        ["x-a", "2"],
        ["x-b", "3"],
        ["data-bin", "AAECAw"],
        ["proxy-authorization", "Basic eA"],
      ];
      const stream = call(scene, true, ...own);
      const it = await scene.service.request();
      assert.deepEqual(valuesOf(it.fields, "x-b"), ["1", "3"]);
      const ours = it.fields.filter(({ name }) => name.startsWith("x-") && name.length === 3);
      assert.deepEqual(
        ours.map(({ name }) => name),
        ["x-b", "x-a", "x-b"],
      );
      assert.equal(textOf(it.fields, "data-bin"), "AAECAw");
      assert.equal(textOf(it.fields, "te"), "trailers");
      assert.equal(textOf(it.fields, "proxy-authorization"), undefined);
      assert.equal(textOf(it.fields, "x-forwarded-for"), "127.0.0.1");
      assert.equal(textOf(it.fields, ":scheme"), "http");
      it.connection.replyGrpc(it.stream);
      await scene.client.message(stream);
    },
  },
  {
    says: "x-forwarded-for is appended to",
    run: async (scene) => {
      call(scene, true, ["x-forwarded-for", "10.1.1.1"]);
      const it = await scene.service.request();
      assert.deepEqual(valuesOf(it.fields, "x-forwarded-for"), ["10.1.1.1, 127.0.0.1"]);
    },
  },
  {
    says: "fields that are never indexed stay so, both ways",
    run: async ({ client, service, path }) => {
      const stream = client.newStream();
      const bytes = Buffer.concat([block(...grpcRequest(path)), literal("x-secret", "s", 0x10)]);
      client.send(f.headers(stream, bytes, { end: true }));
      const it = await service.request();
      assert.equal(it.fields.find(({ name }) => name === "x-secret")?.how, "never");
      const reply = Buffer.concat([block([":status", "200"]), literal("x-answer", "a", 0x10)]);
      it.connection.send(f.headers(it.stream, reply, { end: true }));
      const { fields: got } = await client.expectHeaders(stream);
      assert.equal(got.find(({ name }) => name === "x-answer")?.how, "never");
    },
  },
  {
    says: "credentials are not put into the table that all callers of a connection share",
    run: async (scene) => {
      for (let at = 0; at < 3; at++) {
        const stream = call(scene, true, ["authorization", "Bearer abc"], ["cookie", "k=v"]);
        const it = await scene.service.request();
        for (const name of ["authorization", "cookie"]) {
          const how = it.fields.find((field) => field.name === name)?.how;
          assert.ok(how === "never" || how === "plain", `${name} was sent ${how}`);
        }
        it.connection.replyGrpc(it.stream);
        await scene.client.message(stream);
      }
    },
  },
  {
    says: "a header list of nearly 64 KiB passes, in both directions",
    run: async (scene) => {
      const long = Array.from({ length: 15 }, (_, at): Field => [`x-long-${at}`, "v".repeat(4_000)]);
      const stream = scene.client.newStream();
      const bytes = block(...grpcRequest(scene.path), ...long);
      const pieces: f.Frame[] = [];
      for (let at = 0; at < bytes.length; at += 16_000) {
        const piece = bytes.subarray(at, at + 16_000);
        const last = at + 16_000 >= bytes.length;
        pieces.push(
          at === 0 ? f.headers(stream, piece, { end: true, endHeaders: last }) : f.continuation(stream, piece, last),
        );
      }
      scene.client.send(...pieces);
      const it = await scene.service.request();
      assert.equal(it.fields.filter(({ name }) => name.startsWith("x-long-")).length, 15);
      const answer = block([":status", "200"], ...long);
      it.connection.send(
        f.headers(it.stream, answer.subarray(0, 16_000), { end: true, endHeaders: false }),
        f.continuation(it.stream, answer.subarray(16_000, 32_000), false),
        f.continuation(it.stream, answer.subarray(32_000, 48_000), false),
        f.continuation(it.stream, answer.subarray(48_000)),
      );
      const head = await scene.client.expectHeaders(stream);
      assert.equal(head.fields.filter(({ name }) => name.startsWith("x-long-")).length, 15);
    },
  },
  {
    says: "a service that never uses a table is served although it does not say that its table is empty",
    run: async (scene) => {
      const stream = call(scene);
      const it = await scene.service.request();
      it.connection.habits.resizes = false;
      it.connection.replyGrpc(it.stream);
      assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
  {
    says: "a table size of 0 asked for by the caller is obeyed from its ACK on",
    run: async (scene) => {
      const client = await WireClient.ready(scene.port, [Setting.HEADER_TABLE_SIZE, 0]);
      for (let at = 0; at < 3; at++) {
        const stream = call({ ...scene, client });
        const it = await scene.service.request();
        it.connection.reply(it.stream, { fields: [["x-again", "same value"]] });
        const head = await client.expectHeaders(stream);
        assert.equal(textOf(head.fields, "x-again"), "same value");
        assert.ok(head.fields.every(({ how }) => how !== "indexing"));
      }
      client.close();
    },
  },
];

export const windows: Relay[] = [
  {
    says: "DATA is cut to the windows of its receiver and goes on with credit",
    run: async (scene) => {
      const client = await WireClient.ready(scene.port, [Setting.INITIAL_WINDOW_SIZE, 10]);
      const stream = call({ ...scene, client });
      const it = await scene.service.request();
      it.connection.replyGrpc(it.stream, Buffer.alloc(25));
      await client.expectHeaders(stream);
      assert.equal((await client.expectData(stream)).payload.length, 10);
      client.send(f.windowUpdate(stream, 1));
      assert.equal((await client.expectData(stream)).payload.length, 1);
      client.send(f.settings([Setting.INITIAL_WINDOW_SIZE, 0]));
      client.send(f.windowUpdate(stream, 5));
      await client.barrier();
      client.send(f.windowUpdate(stream, 6));
      assert.equal((await client.expectData(stream)).payload.length, 1);
      client.send(f.windowUpdate(stream, 100));
      assert.equal((await client.expectData(stream)).payload.length, 13);
      assert.equal(statusOf(await client.message(stream)), "0");
      client.close();
    },
  },
  {
    says: "padding does not reach the window of a receiver that has no room for it",
    run: async (scene) => {
      const client = await WireClient.ready(scene.port, [Setting.INITIAL_WINDOW_SIZE, 12]);
      const stream = call({ ...scene, client });
      const it = await scene.service.request();
      it.connection.send(f.headers(it.stream, block([":status", "200"])));
      it.connection.send(f.data(it.stream, "ten bytes.", { padding: 200, end: true }));
      const message = await client.message(stream);
      assert.equal(message.body.toString(), "ten bytes.");
      client.close();
    },
  },
  {
    says: "frames are cut to MAX_FRAME_SIZE only where the receiver needs it, and whole messages arrive",
    run: async (scene) => {
      scene.client.habits.credits = true;
      const stream = call(scene);
      const it = await scene.service.request();
      const body = Buffer.alloc(60_000, "abcdefghij");
      it.connection.send(f.headers(it.stream, block([":status", "200"])));
      for (let at = 0; at < body.length; at += 15_000)
        it.connection.send(f.data(it.stream, body.subarray(at, at + 15_000)));
      it.connection.send(f.headers(it.stream, block(["grpc-status", "0"]), { end: true }));
      const message = await scene.client.message(stream);
      assert.ok(message.body.equals(body));
    },
  },
  {
    says: "a stalled receiver stalls its own stream, not its neighbour on the same two connections",
    run: async (scene) => {
      const client = await WireClient.ready(scene.port, [Setting.INITIAL_WINDOW_SIZE, 0]);
      const slow = call({ ...scene, client });
      const one = await scene.service.request();
      const quick = call({ ...scene, client });
      const two = await scene.service.request();
      one.connection.send(f.headers(one.stream, block([":status", "200"])), f.data(one.stream, Buffer.alloc(16_000)));
      two.connection.replyGrpc(two.stream, Buffer.alloc(100));
      client.send(f.windowUpdate(quick, 100));
      const message = await client.message(quick);
      assert.equal(message.body.length, 100);
      assert.equal(statusOf(message), "0");
      client.send(f.reset(slow, Code.CANCEL));
      await one.connection.expectReset(one.stream, Code.CANCEL);
      client.close();
    },
  },
];
