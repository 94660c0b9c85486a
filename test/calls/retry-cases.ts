// Responsible for: what is tried again, how often, how soon, and what never is. Must not know: budgets' insides.
// Governed by: gRPC proposal A6 without hedging; `sluice.retry`; issue 6, item 4. Tests only.

import assert from "node:assert/strict";
import { statusOf, textOf } from "../rfc9113/relay-scene.js";
import * as f from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import type { WireRequest } from "../support/wire/server.js";
import {
  type Case,
  message,
  msOf,
  nothingElseCame,
  now,
  sentTimeout,
  start,
  timeout,
  toldOf,
  trailersOnly,
} from "./course.js";

const { Code } = f;
const UNAVAILABLE = 14;

const retry =
  (more: Record<string, unknown> = {}) =>
  () => ({
    retry: { statuses: ["UNAVAILABLE", "ABORTED"], max_attempts: 3, budget_min: 100, backoff: 0.002, ...more },
  });
const previous = (it: WireRequest) => textOf(it.fields, "grpc-previous-rpc-attempts");

export const retries: Case[] = [
  {
    says: "a status that is listed is tried again unseen, with the same request, and the service is told how often",
    ours: retry(),
    run: async (scene) => {
      const stream = start(scene, [["x-mine", "kept"]], message(9));
      for (const [n, status] of [UNAVAILABLE, 10, 0].entries()) {
        const it = await scene.service.request();
        assert.equal(previous(it), n === 0 ? undefined : String(n));
        assert.equal(textOf(it.fields, "x-mine"), "kept");
        assert.deepEqual((await it.connection.expectData(it.stream)).payload, message(9));
        if (status === 0) it.connection.replyGrpc(it.stream);
        else it.connection.reply(it.stream, trailersOnly(status));
      }
      const answer = await scene.client.message(stream);
      assert.deepEqual([statusOf(answer), answer.body.length], ["0", 5]);
      await nothingElseCame(scene);
    },
  },
  {
    says: "after the last attempt the caller is told what the service said last",
    ours: retry(),
    run: async (scene) => {
      const stream = start(scene);
      for (let n = 1; n <= 3; n++) {
        const it = await scene.service.request();
        it.connection.reply(it.stream, trailersOnly(UNAVAILABLE, ["grpc-message", `no ${n}`]));
      }
      assert.deepEqual(toldOf(await scene.client.message(stream)), { status: "14", text: "no 3" });
      await nothingElseCame(scene);
    },
  },
  {
    says: "other statuses are the caller's, at the first attempt",
    ours: retry(),
    run: async (scene) => {
      for (const status of [1, 5, 8, 13]) {
        const stream = start(scene);
        const it = await scene.service.request();
        it.connection.reply(it.stream, trailersOnly(status));
        assert.equal(statusOf(await scene.client.message(stream)), String(status));
      }
      await nothingElseCame(scene);
    },
  },
  {
    says: "once the response has begun nothing is tried again",
    ours: retry(),
    run: async (scene) => {
      const stream = start(scene);
      const it = await scene.service.request();
      it.connection.reply(it.stream, {
        ...trailersOnly(0),
        fields: [["content-type", "application/grpc"]],
        trailers: [["grpc-status", "14"]],
      });
      assert.equal(statusOf(await scene.client.message(stream)), "14");
      await nothingElseCame(scene);
    },
  },
  {
    says: "without the setting nothing is tried again",
    run: async (scene) => {
      const stream = start(scene);
      const it = await scene.service.request();
      it.connection.reply(it.stream, trailersOnly(UNAVAILABLE));
      assert.equal(statusOf(await scene.client.message(stream)), "14");
      await nothingElseCame(scene);
    },
  },
  {
    says: "a negative pushback, or one that cannot be read, means never",
    ours: retry(),
    run: async (scene) => {
      for (const pushback of ["-1", "-0", "soon", "1.5", ""]) {
        const stream = start(scene);
        const it = await scene.service.request();
        it.connection.reply(it.stream, trailersOnly(UNAVAILABLE, ["grpc-retry-pushback-ms", pushback]));
        assert.equal(statusOf(await scene.client.message(stream)), "14", pushback);
      }
      await nothingElseCame(scene);
    },
  },
  {
    says: "a pushback is waited for in full",
    ours: retry({ backoff: 0, backoff_max: 0 }),
    run: async (scene) => {
      const stream = start(scene);
      const one = await scene.service.request();
      const begun = now();
      one.connection.reply(one.stream, trailersOnly(UNAVAILABLE, ["grpc-retry-pushback-ms", "70"]));
      const two = await scene.service.request();
      assert.ok(now() - begun >= 70, `${now() - begun} ms`);
      two.connection.replyGrpc(two.stream);
      assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
  {
    says: "a pushback beyond the deadline, or beyond a minute, is the caller's to wait for",
    ours: retry(),
    run: async (scene) => {
      for (const [deadline, pushback] of [
        ["1S", "1000"],
        ["1H", "60001"],
      ] as const) {
        const stream = start(scene, timeout(deadline));
        const it = await scene.service.request();
        it.connection.reply(it.stream, trailersOnly(UNAVAILABLE, ["grpc-retry-pushback-ms", pushback]));
        const answer = await scene.client.message(stream);
        assert.equal(statusOf(answer), "14");
        assert.equal(textOf(answer.fields, "grpc-retry-pushback-ms"), pushback);
      }
      await nothingElseCame(scene);
    },
  },
  {
    says: "the deadline is one for all attempts: the next is given what is left, and when it is over none follows",
    ours: retry(),
    run: async (scene) => {
      const stream = start(scene, timeout("400m"));
      const one = await scene.service.request();
      one.connection.reply(one.stream, trailersOnly(UNAVAILABLE, ["grpc-retry-pushback-ms", "50"]));
      const two = await scene.service.request();
      assert.ok(msOf(sentTimeout(two)) <= 351, sentTimeout(two));
      assert.equal(toldOf(await scene.client.message(stream)).status, "4");
      await two.connection.expectReset(two.stream, Code.CANCEL);
      await nothingElseCame(scene);
    },
  },
  {
    says: "a request that no longer fits what is held is not tried again",
    ours: retry(),
    run: async (scene) => {
      const stream = start(scene, [], message(5_000));
      const it = await scene.service.request();
      for (let got = 0; got < 5_005; ) got += (await it.connection.expectData(it.stream)).payload.length;
      it.connection.reply(it.stream, trailersOnly(UNAVAILABLE));
      assert.equal(statusOf(await scene.client.message(stream)), "14");
      await nothingElseCame(scene);
    },
  },
  {
    says: "a request that is still being sent is sent again from its beginning, and goes on",
    ours: retry(),
    run: async (scene) => {
      const stream = start(scene, [], null);
      scene.client.send(f.data(stream, message(3)));
      const one = await scene.service.request();
      await one.connection.expectData(one.stream);
      one.connection.reply(one.stream, trailersOnly(UNAVAILABLE, ["grpc-retry-pushback-ms", "30"]));
      await one.connection.expectReset(one.stream, Code.CANCEL);
      scene.client.send(f.data(stream, message(4), { end: true }));
      const two = await scene.service.request();
      const parts: Buffer[] = [];
      for (let ended = false; !ended; ) {
        const frame = await two.connection.expectData(two.stream);
        parts.push(frame.payload);
        ended = (frame.flags & f.Flag.END_STREAM) !== 0;
      }
      assert.deepEqual(Buffer.concat(parts), Buffer.concat([message(3), message(4)]));
      two.connection.replyGrpc(two.stream);
      assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
  {
    says: "what outgrows the memory for requests while a retry waits sends the retry off at once",
    ours: retry(),
    run: async (scene) => {
      const stream = start(scene, [], null);
      const one = await scene.service.request();
      one.connection.reply(one.stream, trailersOnly(UNAVAILABLE, ["grpc-retry-pushback-ms", "59000"]));
      await one.connection.expectReset(one.stream, Code.CANCEL);
      scene.client.send(f.data(stream, message(3_000)), f.data(stream, message(3_000), { end: true }));
      const two = await scene.service.request();
      let got = 0;
      while (got < 6_010) got += (await two.connection.expectData(two.stream)).payload.length;
      assert.equal(got, 6_010);
      two.connection.replyGrpc(two.stream);
      assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
  {
    says: "a caller that goes away while a retry waits takes it along",
    ours: retry(),
    run: async (scene) => {
      const stream = start(scene);
      const one = await scene.service.request();
      one.connection.reply(one.stream, trailersOnly(UNAVAILABLE, ["grpc-retry-pushback-ms", "40"]));
      await one.connection.barrier();
      scene.client.send(f.reset(stream, Code.CANCEL));
      await scene.client.barrier();
      await new Promise((resolve) => setTimeout(resolve, 60));
      await nothingElseCame(scene);
    },
  },
  {
    says: "attempts of the caller's own are counted on",
    ours: retry(),
    run: async (scene) => {
      const stream = start(scene, [["grpc-previous-rpc-attempts", "2"]]);
      const one = await scene.service.request();
      assert.equal(previous(one), "2");
      one.connection.reply(one.stream, trailersOnly(UNAVAILABLE));
      const two = await scene.service.request();
      assert.deepEqual(
        two.fields.filter(({ name }) => name === "grpc-previous-rpc-attempts").map(({ value }) => value),
        ["3"],
      );
      two.connection.replyGrpc(two.stream);
      assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
  {
    says: "a connection that is lost before the response begins counts as UNAVAILABLE",
    ours: retry(),
    run: async (scene) => {
      const stream = start(scene);
      const one = await scene.service.request();
      one.connection.close();
      const two = await scene.service.request();
      assert.equal(previous(two), "1");
      two.connection.replyGrpc(two.stream);
      assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
  {
    says: "the budget bounds retries: a share of the calls and a few beside",
    ours: retry({ budget: 0.25, budget_min: 0, max_attempts: 2 }),
    server: {
      answer: (it) => void it.connection.reply(it.stream, trailersOnly(previous(it) === undefined ? UNAVAILABLE : 0)),
    },
    run: async (scene) => {
      const statuses: (string | undefined)[] = [];
      for (let n = 0; n < 16; n++) statuses.push(statusOf(await scene.client.message(start(scene))));
      assert.equal(statuses.filter((status) => status === "0").length, 4, statuses.join(" "));
      assert.equal(statuses.filter((status) => status === "14").length, 12);
    },
  },
  {
    says: "a method may have its own setting, or none",
    ours: (path) => ({ ...retry()(), methods: [{ path: `${path}/Call`, retry: { statuses: [] } }] }),
    run: async (scene) => {
      const stream = start(scene);
      const it = await scene.service.request();
      it.connection.reply(it.stream, trailersOnly(UNAVAILABLE));
      assert.equal(statusOf(await scene.client.message(stream)), "14");
      const other = start({ ...scene, path: scene.path.replace("Call", "Other") });
      const one = await scene.service.request();
      one.connection.reply(one.stream, trailersOnly(UNAVAILABLE));
      const two = await scene.service.request();
      two.connection.reply(two.stream, trailersOnly(0));
      assert.equal(statusOf(await scene.client.message(other)), "0");
    },
  },
  {
    says: "informational responses may come before an attempt that fails",
    ours: retry(),
    run: async (scene) => {
      const stream = start(scene);
      const one = await scene.service.request();
      one.connection.send(f.headers(one.stream, block([":status", "103"], ["link", "a"])));
      one.connection.reply(one.stream, trailersOnly(UNAVAILABLE));
      const two = await scene.service.request();
      two.connection.replyGrpc(two.stream);
      assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
];
