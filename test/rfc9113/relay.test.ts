// Responsible for: what passes through the gateway as sent, and what it makes of a service that goes away or declines.
// Must not know: the engine's insides. Governed by: RFC 9113, sections 5.1, 6.4, 6.8, 8; issue 2, section 6.
// One gateway, one service per test.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { grpcRequest, request, WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block, type DecodedField, type Field, literal } from "../support/wire/hpack.js";
import type { Message } from "../support/wire/peer.js";
import { type ServerOptions, WireServer } from "../support/wire/server.js";

const { Code, Flag, Setting } = f;

interface Scene {
  client: WireClient;
  service: WireServer;
  path: string;
}

interface Relay {
  says: string;
  server?: ServerOptions;
  run: (scene: Scene) => Promise<void>;
}

let gateway: Gateway;
const services: WireServer[] = [];

const textOf = (fields: DecodedField[], name: string) => fields.find((it) => it.name === name)?.value;
const statusOf = (it: Message) => textOf([...it.trailers, ...it.fields], "grpc-status");
const valuesOf = (fields: DecodedField[], name: string) =>
  fields.filter((it) => it.name === name).map((it) => it.value);

/** Begins a gRPC call; `end` with one empty message, else with its body still open. */
function call({ client, path }: Scene, end = true, ...more: Field[]): number {
  const stream = client.newStream();
  client.send(f.headers(stream, block(...grpcRequest(path), ...more)));
  if (end) client.send(f.data(stream, Buffer.alloc(5), { end: true }));
  return stream;
}

/** The service declines once, in some way; the caller sees one good reply. */
const moves = (says: string, decline: (it: Awaited<ReturnType<WireServer["request"]>>) => void): Relay => ({
  says: `a call moves on unseen after ${says}`,
  run: async (scene) => {
    const stream = call(scene);
    decline(await scene.service.request());
    const second = await scene.service.request();
    const body = await second.connection.expectData(second.stream);
    assert.equal(body.payload.length, 5, "the request's body is sent again");
    second.connection.replyGrpc(second.stream);
    const message = await scene.client.message(stream);
    assert.equal(statusOf(message), "0");
  },
});

const moving: Relay[] = [
  moves("REFUSED_STREAM", (it) => it.connection.send(f.reset(it.stream, Code.REFUSED_STREAM))),
  moves("GOAWAY that names an earlier stream", (it) => it.connection.send(f.goaway(it.stream - 1, Code.NO_ERROR))),
  moves("GOAWAY with an error that names an earlier stream", (it) =>
    it.connection.send(f.goaway(0, Code.ENHANCE_YOUR_CALM)),
  ),
  {
    says: "a call that is refused again and again moves twice; then its caller learns that it was not processed",
    run: async (scene) => {
      const stream = call(scene);
      for (let at = 0; at < 3; at++) {
        const it = await scene.service.request();
        it.connection.send(f.reset(it.stream, Code.REFUSED_STREAM));
      }
      const message = await scene.client.message(stream);
      assert.ok(message.reset === Code.REFUSED_STREAM || statusOf(message) === "14");
      assert.equal(scene.service.untaken, 0);
    },
  },
  {
    says: "calls up to GOAWAY's last stream go on, and a new call takes another connection",
    run: async (scene) => {
      const first = call(scene);
      const one = await scene.service.request();
      one.connection.send(f.goaway(one.stream, Code.NO_ERROR));
      await one.connection.barrier();
      const second = call(scene);
      const two = await scene.service.request();
      assert.notEqual(two.connection, one.connection);
      two.connection.replyGrpc(two.stream);
      assert.equal(statusOf(await scene.client.message(second)), "0");
      one.connection.replyGrpc(one.stream);
      assert.equal(statusOf(await scene.client.message(first)), "0");
      await one.connection.expectEnd();
    },
  },
  {
    says: "GOAWAY with the highest stream, then one with the last, ends nothing that was begun",
    run: async (scene) => {
      const stream = call(scene);
      const it = await scene.service.request();
      it.connection.send(f.goaway(f.MAX_WINDOW, Code.NO_ERROR));
      await it.connection.barrier();
      it.connection.send(f.goaway(it.stream, Code.NO_ERROR)).replyGrpc(it.stream);
      assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
  {
    says: "a call whose connection is lost after it was sent ends with UNAVAILABLE and is not sent twice",
    run: async (scene) => {
      const stream = call(scene);
      const it = await scene.service.request();
      it.connection.close();
      assert.equal(statusOf(await scene.client.message(stream)), "14");
      assert.equal(scene.service.untaken, 0);
    },
  },
  {
    says: "calls beyond the service's MAX_CONCURRENT_STREAMS wait instead of failing",
    server: { greeting: [f.settings([Setting.MAX_CONCURRENT_STREAMS, 1])] },
    run: async (scene) => {
      const streams = Array.from({ length: 12 }, () => call(scene));
      for (const _ of streams) {
        const it = await scene.service.request();
        const open = it.connection.transcript.filter((line) => line.startsWith("< HEADERS")).length;
        const answered = it.connection.transcript.filter((line) => line.startsWith("> DATA")).length;
        assert.equal(open - answered, 1, "one stream at a time");
        it.connection.replyGrpc(it.stream);
      }
      for (const stream of streams) assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
];

const endings: Relay[] = [
  {
    says: "a reply of trailers only arrives as one HEADERS",
    run: async (scene) => {
      const stream = call(scene);
      const it = await scene.service.request();
      const fields: Field[] = [
        ["content-type", "application/grpc"],
        ["grpc-status", "5"],
        ["grpc-message", "gone"],
      ];
      it.connection.reply(it.stream, { fields });
      const head = await scene.client.expectHeaders(stream);
      assert.ok(head.flags & Flag.END_STREAM);
      assert.equal(textOf(head.fields, "grpc-status"), "5");
      assert.equal(textOf(head.fields, "grpc-message"), "gone");
    },
  },
  {
    says: "1xx replies arrive before the reply",
    run: async (scene) => {
      const stream = call(scene);
      const it = await scene.service.request();
      for (const link of ["a", "b"])
        it.connection.send(f.headers(it.stream, block([":status", "103"], ["link", link])));
      it.connection.replyGrpc(it.stream);
      for (const link of ["a", "b"]) {
        const early = await scene.client.expectHeaders(stream);
        assert.equal(textOf(early.fields, ":status"), "103");
        assert.equal(textOf(early.fields, "link"), link);
        assert.equal(early.flags & Flag.END_STREAM, 0);
      }
      assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
  {
    says: "a complete reply is delivered before the RST_STREAM(NO_ERROR) behind it",
    run: async (scene) => {
      const stream = call(scene, false);
      const it = await scene.service.request();
      it.connection.replyGrpc(it.stream, Buffer.alloc(30_000)).send(f.reset(it.stream, Code.NO_ERROR));
      const message = await scene.client.message(stream);
      assert.equal(message.reset, undefined);
      assert.equal(message.body.length, 30_000);
      assert.equal(statusOf(message), "0");
      await scene.client.expectReset(stream, Code.NO_ERROR);
    },
  },
  {
    says: "a reply that ends before the request is followed by RST_STREAM(NO_ERROR)",
    run: async (scene) => {
      const stream = call(scene, false);
      const it = await scene.service.request();
      it.connection.replyGrpc(it.stream);
      assert.equal(statusOf(await scene.client.message(stream)), "0");
      await scene.client.expectReset(stream, Code.NO_ERROR);
    },
  },
  ...[Code.CANCEL, Code.INTERNAL_ERROR, 0x4711].map(
    (code): Relay => ({
      says: `the caller's RST_STREAM(${f.codeName(code)}) reaches the service with its code`,
      run: async (scene) => {
        const stream = call(scene, false);
        const it = await scene.service.request();
        scene.client.send(f.reset(stream, code));
        await it.connection.expectReset(it.stream, code);
      },
    }),
  ),
  {
    says: "a caller that is gone cancels its calls at the service",
    run: async (scene) => {
      call(scene, false);
      const it = await scene.service.request();
      scene.client.close();
      await it.connection.expectReset(it.stream, Code.CANCEL);
    },
  },
  {
    says: "the service's RST_STREAM reaches a caller that is not gRPC with its code",
    run: async ({ client, service, path }) => {
      const stream = client.newStream();
      client.send(f.headers(stream, block(...request({ ":path": path })), { end: true }));
      const it = await service.request();
      it.connection.send(f.headers(it.stream, block([":status", "200"])), f.data(it.stream, "begun"));
      await client.expectData(stream);
      it.connection.send(f.reset(it.stream, Code.CANCEL));
      await client.expectReset(stream, Code.CANCEL);
    },
  },
  {
    says: "half-close passes: the service sees END_STREAM while its own side stays open",
    run: async (scene) => {
      const stream = call(scene, false);
      const it = await scene.service.request();
      it.connection.send(f.headers(it.stream, block([":status", "200"])));
      scene.client.send(f.data(stream, "", { end: true }));
      const end = await it.connection.expectData(it.stream);
      assert.ok(end.flags & Flag.END_STREAM);
      it.connection.send(f.data(it.stream, "later", { end: true }));
      assert.equal((await scene.client.message(stream)).body.toString(), "later");
    },
  },
  {
    says: "request trailers reach the service",
    run: async (scene) => {
      const stream = call(scene, false);
      const it = await scene.service.request();
      scene.client.send(f.data(stream, Buffer.alloc(5)));
      scene.client.send(f.headers(stream, block(["x-end", "of request"]), { end: true }));
      const trailers = await it.connection.expectHeaders(it.stream);
      assert.equal(textOf(trailers.fields, "x-end"), "of request");
      it.connection.replyGrpc(it.stream);
      assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
];

const fields: Relay[] = [
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
      const client = await WireClient.ready(gateway.port, [Setting.HEADER_TABLE_SIZE, 0]);
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

const windows: Relay[] = [
  {
    says: "DATA is cut to the windows of its receiver and goes on with credit",
    run: async (scene) => {
      const client = await WireClient.ready(gateway.port, [Setting.INITIAL_WINDOW_SIZE, 10]);
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
      const client = await WireClient.ready(gateway.port, [Setting.INITIAL_WINDOW_SIZE, 12]);
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
      const client = await WireClient.ready(gateway.port, [Setting.INITIAL_WINDOW_SIZE, 0]);
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

const relays: Relay[] = [...moving, ...endings, ...fields, ...windows];

describe("relay", () => {
  before(async () => {
    for (const it of relays) services.push(await WireServer.listen(it.server));
    gateway = await startGateway({
      definitions: services.map((it, at) => keyless({ id: `relay-${at}`, path: `/relay-${at}/`, target: it.target })),
    });
  });

  after(async () => {
    await gateway?.stop();
    for (const it of services) await it.close();
  });

  for (const [at, it] of relays.entries()) {
    test(it.says, async () => {
      const client = await WireClient.ready(gateway.port);
      try {
        await it.run({ client, service: services[at]!, path: `/relay-${at}/Call` });
      } finally {
        client.close();
      }
    });
  }
});
