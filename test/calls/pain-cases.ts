// Responsible for: what users of other gateways complain about and the course of a call decides, a case each, by number.
// Must not know: the other gateways. Governed by: the list of pains in the specification of peers, section 4. Tests only.

import assert from "node:assert/strict";
import { statusOf, textOf } from "../rfc9113/relay-scene.js";
import * as f from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import { type Case, message, nothingElseCame, start, timeout, toldOf, trailersOnly } from "./course.js";

const { Code, Flag } = f;
const head = (stream: number) => f.headers(stream, block([":status", "200"], ["content-type", "application/grpc"]));

export const pains: Case[] = [
  {
    says: "peers 3: one direction may be silent while the other speaks, and nothing counts the time",
    run: async (scene) => {
      const stream = start(scene, [], null);
      const it = await scene.service.request();
      it.connection.send(head(it.stream));
      for (let n = 0; n < 20; n++) it.connection.send(f.data(it.stream, message(10)));
      await it.connection.barrier();
      scene.client.send(f.data(stream, message(1), { end: true }));
      assert.equal((await it.connection.expectData(it.stream)).flags & Flag.END_STREAM, 1);
      it.connection.send(f.headers(it.stream, block(["grpc-status", "0"]), { end: true }));
      const answer = await scene.client.message(stream);
      assert.deepEqual([statusOf(answer), answer.body.length], ["0", 300]);
    },
  },
  {
    says: "peers 13: a call its caller cancels is cancelled at the service, before and after the response began",
    run: async (scene) => {
      for (const begun of [false, true]) {
        const stream = start(scene);
        const it = await scene.service.request();
        if (begun) {
          it.connection.send(head(it.stream), f.data(it.stream, message(3)));
          await scene.client.expectData(stream);
        }
        scene.client.send(f.reset(stream, Code.CANCEL));
        await it.connection.expectReset(it.stream, Code.CANCEL);
      }
    },
  },
  {
    says: "peers 13: a caller whose connection is gone leaves nothing running",
    run: async (scene) => {
      const streams = [start(scene), start(scene), start(scene)];
      const requests = [];
      for (const _ of streams) requests.push(await scene.service.request());
      scene.client.close();
      for (const it of requests) await it.connection.expectReset(it.stream, Code.CANCEL);
    },
  },
  {
    says: "peers 14: a reset of the service reaches the caller with its code",
    run: async (scene) => {
      for (const code of [Code.CANCEL, Code.INTERNAL_ERROR, Code.ENHANCE_YOUR_CALM]) {
        const stream = start(scene);
        const it = await scene.service.request();
        it.connection.send(head(it.stream), f.data(it.stream, message(3)), f.reset(it.stream, code));
        assert.equal((await scene.client.message(stream)).reset, code);
      }
    },
  },
  {
    says: "peers 14: an error's details arrive although the request was not read to its end",
    run: async (scene) => {
      const stream = start(scene, [], null);
      scene.client.send(f.data(stream, message(5)));
      const it = await scene.service.request();
      it.connection.reply(it.stream, trailersOnly(9, ["grpc-message", "not now"], ["grpc-status-details-bin", "CAk"]));
      it.connection.send(f.reset(it.stream, Code.NO_ERROR));
      const answer = await scene.client.message(stream);
      assert.deepEqual(toldOf(answer), { status: "9", text: "not now" });
      assert.equal(textOf(answer.fields, "grpc-status-details-bin"), "CAk");
    },
  },
  {
    says: "peers 15: data and trailers arrive although RST_STREAM(NO_ERROR) follows them at once",
    run: async (scene) => {
      const stream = start(scene, [], null);
      const it = await scene.service.request();
      it.connection.reply(it.stream, {
        fields: [["content-type", "application/grpc"]],
        body: message(40_000),
        trailers: [["grpc-status", "0"]],
      });
      it.connection.send(f.reset(it.stream, Code.NO_ERROR));
      scene.client.habits.credits = true;
      const answer = await scene.client.message(stream);
      assert.deepEqual([statusOf(answer), answer.body.length], ["0", 40_005]);
    },
  },
  {
    says: "peers 17: a request of more than a megabyte needs no setting",
    run: async (scene) => {
      const stream = start(scene, [], null);
      const it = await scene.service.request();
      it.connection.habits.credits = true;
      const bytes = message(1_500_000);
      let credit = 65_535;
      for (let at = 0; at < bytes.length; ) {
        const n = Math.min(16_384, bytes.length - at, credit);
        if (n === 0) {
          const update = await scene.client.expect(
            "credit",
            (frame) => frame.type === f.Type.WINDOW_UPDATE && frame.stream === stream,
          );
          credit += update.payload.readUInt32BE(0);
          continue;
        }
        scene.client.send(f.data(stream, bytes.subarray(at, at + n), { end: at + n === bytes.length }));
        at += n;
        credit -= n;
      }
      let got = 0;
      for (let ended = false; !ended; ) {
        const frame = await it.connection.expectData(it.stream);
        got += frame.payload.length;
        ended = (frame.flags & Flag.END_STREAM) !== 0;
      }
      assert.equal(got, bytes.length);
      it.connection.replyGrpc(it.stream);
      assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
  {
    says: "peers 19: what the gateway answers itself is one HEADERS frame with a status, also while the request is sent",
    version: () => ({ global_enforce_timeout: "50ms" }),
    run: async (scene) => {
      const stream = start(scene, [], null);
      const it = await scene.service.request();
      const answer = await scene.client.expectHeaders(stream);
      assert.ok(answer.flags & Flag.END_STREAM);
      assert.equal(textOf(answer.fields, ":status"), "200");
      assert.equal(textOf(answer.fields, "grpc-status"), "4");
      await it.connection.expectReset(it.stream, Code.CANCEL);
    },
  },
  {
    says: "peers 25: a stream that is retried is neither cut nor doubled, and its deadline does not begin anew",
    ours: () => ({ retry: { statuses: ["UNAVAILABLE"], backoff: 0, budget_min: 10 } }),
    run: async (scene) => {
      const stream = start(scene, timeout("5S"), null);
      const parts = [message(100), message(200)];
      for (const part of parts) scene.client.send(f.data(stream, part));
      const one = await scene.service.request();
      one.connection.reply(one.stream, trailersOnly(14, ["grpc-retry-pushback-ms", "20"]));
      const two = await scene.service.request();
      scene.client.send(f.data(stream, message(300), { end: true }));
      const got: Buffer[] = [];
      for (let ended = false; !ended; ) {
        const frame = await two.connection.expectData(two.stream);
        got.push(frame.payload);
        ended = (frame.flags & Flag.END_STREAM) !== 0;
      }
      assert.deepEqual(Buffer.concat(got), Buffer.concat([...parts, message(300)]));
      assert.ok(Number.parseInt(textOf(two.fields, "grpc-timeout") ?? "", 10) <= 4_981);
      two.connection.replyGrpc(two.stream);
      assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
  {
    says: "peers 30: statuses of the service arrive as they are, in trailers and alone",
    run: async (scene) => {
      for (const status of ["0", "7", "16", "42"])
        for (const alone of [true, false]) {
          const stream = start(scene);
          const it = await scene.service.request();
          if (alone)
            it.connection.reply(it.stream, {
              fields: [
                ["content-type", "application/grpc"],
                ["grpc-status", status],
              ],
            });
          else
            it.connection.reply(it.stream, {
              fields: [["content-type", "application/grpc"]],
              trailers: [["grpc-status", status]],
            });
          assert.equal(statusOf(await scene.client.message(stream)), status);
        }
      await nothingElseCame(scene);
    },
  },
];
