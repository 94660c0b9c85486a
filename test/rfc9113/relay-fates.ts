// Responsible for: what becomes of a call when its service goes away, declines, resets or ends early, or its caller does.
// Must not know: the engine's insides. Governed by: RFC 9113, 5.1, 6.4, 6.8, 8.7; issue 2, section 6. Tests only.

import assert from "node:assert/strict";
import { request } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block, type Field } from "../support/wire/hpack.js";
import type { WireServer } from "../support/wire/server.js";
import { call, type Relay, statusOf, textOf } from "./relay-scene.js";

const { Code, Flag, Setting } = f;

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

export const moving: Relay[] = [
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

export const endings: Relay[] = [
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
