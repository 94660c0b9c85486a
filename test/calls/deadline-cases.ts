// Responsible for: deadlines of callers and bounds of operators: kept, forwarded, cancelled, never early, never twice.
// Must not know: wheels, timers. Governed by: gRPC protocol document (Timeout); issue 6, item 2. Tests only.

import assert from "node:assert/strict";
import { statusOf } from "../rfc9113/relay-scene.js";
import { until } from "../support/waiting.js";
import { request, WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import type { WireServer } from "../support/wire/server.js";
import {
  type Case,
  message,
  msOf,
  nothingElseCame,
  now,
  pause,
  sentTimeout,
  start,
  timeout,
  toldOf,
} from "./course.js";

const { Code, Flag, Setting, Type } = f;
const GRPC_HEAD: [string, string][] = [
  [":status", "200"],
  ["content-type", "application/grpc"],
];

const hardTimeout = (duration: string) => () => ({
  use_extended_paths: true,
  extended_paths: {
    hard_timeouts: [
      { path: "/Call", method: "POST", duration },
      { path: "/Page", duration },
    ],
  },
});

/** Everything one caller is told, stream by stream, with the time it came. */
async function follow(client: WireClient, told: Map<number, { at: number; status: string | undefined }[]>) {
  for (;;) {
    const it = await client.next();
    if (typeof it === "string") return;
    const at = now();
    if (it.type !== Type.HEADERS && it.type !== Type.RST_STREAM) continue;
    const status = it.fields?.find(({ name }) => name === "grpc-status")?.value;
    const list = told.get(it.stream) ?? [];
    list.push({ at, status });
    told.set(it.stream, list);
  }
}

/** Counts the cancels that reach a service on all its connections. */
function countCancels(service: WireServer): () => number {
  return () =>
    service.connections.reduce(
      (sum, it) =>
        sum + it.transcript.filter((line) => line.startsWith("< RST_STREAM") && line.includes("CANCEL")).length,
      0,
    );
}

const malformed = ["", "5", "S", "123456789m", "5x", "-1S", "1 S", "0x1S", "1.5S", "SS"];

export const deadlines: Case[] = [
  {
    says: "calls with random deadlines against a silent service: each told once, none early, every cancel seen",
    run: async ({ port, service, path }) => {
      const callers = await Promise.all(Array.from({ length: 6 }, () => WireClient.ready(port)));
      const cancels = countCancels(service);
      try {
        const sent = callers.map(() => new Map<number, { at: number; ms: number }>());
        const told = callers.map(() => new Map<number, { at: number; status: string | undefined }[]>());
        const following = callers.map((client, n) => follow(client, told[n]!));
        for (let round = 0; round < 10; round++) {
          for (const [n, client] of callers.entries()) {
            const frames: f.Frame[] = [];
            const at = now();
            for (let i = 0; i < 10; i++) {
              const stream = client.newStream();
              const ms = 20 + Math.floor(Math.random() * 400);
              sent[n]!.set(stream, { at, ms });
              const fields = request({ ":method": "POST", ":path": path, te: "trailers" });
              fields.push(["content-type", "application/grpc"], ["grpc-timeout", `${ms * 1_000}u`]);
              frames.push(f.headers(stream, block(...fields)), f.data(stream, message(0), { end: true }));
            }
            client.send(...frames);
          }
          await pause(5);
        }
        await until("all are told", () => told.every((it) => it.size === 100));
        await until("every cancel is seen", () => cancels() === 600);
        for (const client of callers) client.close();
        await Promise.all(following);
        for (const [n, answers] of told.entries())
          for (const [stream, list] of answers) {
            assert.deepEqual(
              list.map((it) => it.status),
              ["4"],
              "one answer",
            );
            const { at, ms } = sent[n]!.get(stream)!;
            assert.ok(list[0]!.at - at >= ms, `${list[0]!.at - at} ms for a deadline of ${ms}`);
          }
        assert.equal(cancels(), 600, "one cancel a call");
      } finally {
        for (const client of callers) client.close();
      }
    },
  },
  {
    says: "a deadline goes on as it came while the gateway took no time",
    run: async (scene) => {
      for (const value of ["7654321u", "00000009S", "99999999H", "12345678n"]) {
        const stream = start(scene, timeout(value));
        const it = await scene.service.request();
        // The gateway may have been busy: then it says less, never more.
        if (sentTimeout(it) !== value) assert.ok(msOf(sentTimeout(it)) < 9_000, `${value} became ${sentTimeout(it)}`);
        it.connection.replyGrpc(it.stream);
        assert.ok(["0", "4"].includes(statusOf(await scene.client.message(stream)) ?? ""));
      }
    },
  },
  {
    says: "the time a call waited in the gateway is taken off what the service is given",
    server: { greeting: [f.settings([Setting.MAX_CONCURRENT_STREAMS, 1])] },
    run: async (scene) => {
      const first = start(scene);
      const one = await scene.service.request();
      const second = start(scene, timeout("10S"));
      const third = start(scene, timeout("10000001u"));
      await scene.client.barrier();
      const begun = now();
      await pause(40);
      const waited = Math.floor(now() - begun);
      one.connection.replyGrpc(one.stream);
      for (const stream of [second, third]) {
        const it = await scene.service.request();
        const ms = msOf(sentTimeout(it));
        assert.ok(ms > 0 && ms <= 10_001 - waited + 1, `${ms} ms after ${waited}`);
        it.connection.replyGrpc(it.stream);
        assert.equal(statusOf(await scene.client.message(stream)), "0");
      }
      assert.equal(statusOf(await scene.client.message(first)), "0");
    },
  },
  {
    says: "a call that moves gets what is left of its time",
    run: async (scene) => {
      const stream = start(scene, timeout("10S"));
      const one = await scene.service.request();
      const begun = now();
      await pause(30);
      const waited = Math.floor(now() - begun);
      one.connection.send(f.reset(one.stream, Code.REFUSED_STREAM));
      const two = await scene.service.request();
      const ms = msOf(sentTimeout(two));
      assert.ok(ms > 0 && ms <= 10_000 - waited + 1, `${ms} ms after ${waited}`);
      two.connection.replyGrpc(two.stream);
      assert.equal(statusOf(await scene.client.message(stream)), "0");
    },
  },
  {
    says: "a deadline that passes while a call waits for a connection's room is kept too, and the service never hears of it",
    server: { greeting: [f.settings([Setting.MAX_CONCURRENT_STREAMS, 1])] },
    run: async (scene) => {
      const first = start(scene);
      const one = await scene.service.request();
      const late = start(scene, timeout("30m"));
      const told = toldOf(await scene.client.message(late));
      assert.equal(told.status, "4");
      assert.match(told.text, /waited in the gateway/);
      one.connection.replyGrpc(one.stream);
      assert.equal(statusOf(await scene.client.message(first)), "0");
      await nothingElseCame(scene);
    },
  },
  {
    says: "a deadline of nothing is over at once, whatever its unit, and reaches no service",
    run: async (scene) => {
      for (const value of ["0S", "0n", "00000000H"]) {
        const stream = start(scene, timeout(value));
        assert.equal(toldOf(await scene.client.message(stream)).status, "4");
      }
      await nothingElseCame(scene);
    },
  },
  {
    says: "a deadline that nobody can read, or two of them, is refused and reaches no service",
    run: async (scene) => {
      for (const value of malformed) {
        const told = toldOf(await scene.client.message(start(scene, timeout(value))));
        assert.deepEqual([told.status, told.text], ["13", "malformed grpc-timeout"], JSON.stringify(value));
      }
      const twice = start(scene, [...timeout("1S"), ...timeout("2S")]);
      assert.equal(toldOf(await scene.client.message(twice)).status, "13");
      await nothingElseCame(scene);
    },
  },
  {
    says: "deadlines no two of which are alike leave nothing behind",
    server: { answer: (it) => void it.connection.replyGrpc(it.stream) },
    run: async (scene) => {
      for (let round = 0; round < 20; round++) {
        const streams = Array.from({ length: 50 }, (_, n) => start(scene, timeout(`${10_000_000 + round * 50 + n}u`)));
        for (const stream of streams) assert.equal(statusOf(await scene.client.message(stream)), "0");
      }
    },
  },
  {
    says: "a stream that ran into its deadline between two messages ends with trailers",
    run: async (scene) => {
      const stream = start(scene, timeout("80m"));
      const it = await scene.service.request();
      it.connection.send(f.headers(it.stream, block(...GRPC_HEAD)), f.data(it.stream, message(7)));
      const answer = await scene.client.message(stream);
      assert.deepEqual([toldOf(answer).status, answer.body.length], ["4", 12]);
      await it.connection.expectReset(it.stream, Code.CANCEL);
    },
  },
  {
    says: "in the middle of a message it can only be reset, and so it is, with CANCEL",
    run: async (scene) => {
      const stream = start(scene, timeout("80m"));
      const it = await scene.service.request();
      it.connection.send(f.headers(it.stream, block(...GRPC_HEAD)), f.data(it.stream, message(7).subarray(0, 9)));
      assert.equal((await scene.client.message(stream)).reset, Code.CANCEL);
      await it.connection.expectReset(it.stream, Code.CANCEL);
    },
  },
  {
    says: "a caller that reads nothing does not keep the gateway's memory past its deadline",
    run: async ({ port, service, path }) => {
      const client = await WireClient.ready(port, [Setting.INITIAL_WINDOW_SIZE, 0]);
      try {
        const stream = start({ client, port, service, path }, timeout("80m"));
        const it = await service.request();
        it.connection.send(f.headers(it.stream, block(...GRPC_HEAD)), f.data(it.stream, message(7)));
        assert.equal((await client.message(stream)).reset, Code.CANCEL);
        await it.connection.expectReset(it.stream, Code.CANCEL);
      } finally {
        client.close();
      }
    },
  },
  {
    says: "a request that is still being sent when its deadline passes gets its answer, and is told to stop",
    run: async (scene) => {
      const stream = start(scene, timeout("60m"), null);
      scene.client.send(f.data(stream, message(3)));
      const it = await scene.service.request();
      assert.equal(toldOf(await scene.client.message(stream)).status, "4");
      await it.connection.expectReset(it.stream, Code.CANCEL);
      scene.client.send(f.data(stream, message(3), { end: true }));
      await nothingElseCame(scene);
    },
  },
  {
    says: "hard_timeouts bound calls that name no deadline, and tell the service",
    version: hardTimeout("90ms"),
    run: async (scene) => {
      const begun = now();
      const stream = start(scene);
      const it = await scene.service.request();
      assert.ok(msOf(sentTimeout(it)) <= 90);
      const told = toldOf(await scene.client.message(stream));
      assert.ok(now() - begun >= 90);
      assert.deepEqual([told.status, told.text], ["4", "Upstream service reached hard timeout."]);
      await it.connection.expectReset(it.stream, Code.CANCEL);
    },
  },
  {
    says: "of a caller's deadline and the operator's bound the shorter counts, and only one is sent",
    version: hardTimeout("10s"),
    run: async (scene) => {
      for (const [value, most] of [
        ["30S", 10_000],
        ["3S", 3_000],
        ["30S", 10_000],
      ] as const) {
        const stream = start(scene, timeout(value));
        const it = await scene.service.request();
        assert.equal(it.fields.filter(({ name }) => name === "grpc-timeout").length, 1);
        assert.ok(msOf(sentTimeout(it)) <= most);
        it.connection.replyGrpc(it.stream);
        assert.equal(statusOf(await scene.client.message(stream)), "0");
      }
    },
  },
  {
    says: "a bound ends calls that are not gRPC with 504 and Tyk's words",
    version: hardTimeout("60ms"),
    run: async ({ client, service, path }) => {
      const stream = client.newStream();
      const fields = request({ ":path": path.replace("Call", "Page") });
      client.send(f.headers(stream, block(...fields), { end: true }));
      const it = await service.request();
      const answer = await client.message(stream);
      assert.equal(answer.fields.find(({ name }) => name === ":status")?.value, "504");
      assert.deepEqual(JSON.parse(answer.body.toString()), { error: "Upstream service reached hard timeout." });
      await it.connection.expectReset(it.stream, Code.CANCEL);
    },
  },
  {
    says: "global_enforce_timeout bounds the paths that have no timeout of their own",
    version: () => ({
      use_extended_paths: true,
      global_enforce_timeout: "60ms",
      extended_paths: { hard_timeouts: [{ path: "/Slow", timeout: 20 }] },
    }),
    run: async (scene) => {
      const stream = start(scene);
      await scene.service.request();
      assert.equal(toldOf(await scene.client.message(stream)).status, "4");
      const slow = start({ ...scene, path: scene.path.replace("Call", "Slow") });
      const it = await scene.service.request();
      assert.ok(msOf(sentTimeout(it)) > 60);
      it.connection.replyGrpc(it.stream);
      assert.equal(statusOf(await scene.client.message(slow)), "0");
    },
  },
  {
    says: "peers 5, 6: a stream without a deadline is not cut by any timer",
    run: async (scene) => {
      const stream = start(scene, [], null);
      const it = await scene.service.request();
      assert.equal(sentTimeout(it), "");
      it.connection.send(f.headers(it.stream, block(...GRPC_HEAD)));
      for (let n = 0; n < 3; n++) {
        await pause(60);
        scene.client.send(f.data(stream, message(2)));
        it.connection.send(f.data(it.stream, message(2)));
        assert.equal((await it.connection.expectData(it.stream)).payload.length, 7);
      }
      it.connection.send(f.headers(it.stream, block(["grpc-status", "0"]), { end: true }));
      const answer = await scene.client.message(stream);
      assert.deepEqual([statusOf(answer), answer.body.length], ["0", 21]);
    },
  },
  {
    says: "a deadline that passed after the response was complete changes nothing",
    run: async (scene) => {
      const stream = start(scene, timeout("50m"));
      const it = await scene.service.request();
      it.connection.replyGrpc(it.stream);
      assert.ok((await scene.client.message(stream)).reset === undefined);
      await pause(70);
      const after = await scene.client.barrier();
      assert.ok(
        !after.some((frame) => frame.stream === stream && frame.type === Type.HEADERS && frame.flags & Flag.END_STREAM),
      );
    },
  },
];
