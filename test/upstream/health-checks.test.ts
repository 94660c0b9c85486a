// Responsible for: questions to services about their health: how they are asked, what an answer means, what follows from
// several. The services are raw peers. Must not know: calls. Governed by: the gRPC health checking protocol.
// How often: tests only.

import assert from "node:assert/strict";
import { createServer } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { TargetHealth } from "../../src/primary/target-health.js";
import type { HealthPolicy } from "../../src/shared/model/target-policy.js";
import { HealthChecks } from "../../src/worker/upstream/health-checks.js";
import { until } from "../support/waiting.js";
import * as f from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import { type WireRequest, WireServer } from "../support/wire/server.js";
import { upstreamScene } from "./scene.js";

const POLICY: HealthPolicy = {
  type: "grpc",
  service: "test.Echo",
  interval: 1,
  timeout: 1,
  unhealthy_after: 2,
  healthy_after: 2,
};

type Answer = (request: WireRequest) => void;

const SERVING = Buffer.from([0, 0, 0, 0, 2, 0x08, 1]);
const NOT_SERVING = Buffer.from([0, 0, 0, 0, 2, 0x08, 2]);
const says =
  (message: Buffer): Answer =>
  ({ connection, stream }) =>
    void connection.replyGrpc(stream, message);
const ends =
  (status: string): Answer =>
  ({ connection, stream }) =>
    void connection.send(
      f.headers(stream, block([":status", "200"], ["content-type", "application/grpc"], ["grpc-status", status]), {
        end: true,
      }),
    );

async function checkedScene(context: TestContext, first: Answer, policy: Partial<HealthPolicy> = {}) {
  const current = { answer: first };
  const asked: WireRequest[] = [];
  const service = await WireServer.listen({
    answer: (request) => {
      asked.push(request);
      current.answer(request);
    },
  });
  context.after(() => service.close());
  const scene = upstreamScene(context);
  const pool = scene.upstreams.pool("127.0.0.1", service.port, null, { ...POLICY, ...policy });
  const told: (readonly string[])[] = [];
  const checks = new HealthChecks({
    log: scene.log,
    pools: () => scene.upstreams.all(),
    now: () => scene.time.now,
    tell: (down) => void told.push(down),
  });
  context.after(() => checks.end());
  const step = (ms = 100): void => {
    scene.time.now += ms;
    scene.upstreams.tick(scene.time.now);
    checks.step(scene.time.now);
  };
  /** One question and what came of it. */
  const ask = async (): Promise<void> => {
    const before = asked.length;
    await until("the service was asked", () => {
      step();
      return asked.length > before;
    });
    const link = pool.endpoints[0]!.links[0];
    await until("the question has ended", () => link === undefined || link.connection.streams.size === 0);
  };
  return { ...scene, service, pool, endpoint: pool.endpoints[0]!, checks, told, asked, current, step, ask };
}

describe("grpc.health.v1", () => {
  test("is asked on the connection for calls, for the service named, and SERVING is well", async (context) => {
    const { ask, asked, service, endpoint } = await checkedScene(context, says(SERVING));
    for (let at = 0; at < 3; at++) await ask();
    const fields = Object.fromEntries(asked[0]!.fields.map(({ name, value }) => [name, value]));
    assert.deepEqual(
      [fields[":method"], fields[":path"], fields["content-type"], fields["te"], fields[":authority"]],
      ["POST", "/grpc.health.v1.Health/Check", "application/grpc", "trailers", `127.0.0.1:${service.port}`],
    );
    const transcript = service.transcript();
    assert.equal(service.connections.length, 1, transcript);
    assert.equal(endpoint.down, false);
  });

  test("thresholds count answers in a row, down and up again, each told once", async (context) => {
    const { ask, current, endpoint, lines, told } = await checkedScene(context, says(SERVING));
    await ask();
    current.answer = says(NOT_SERVING);
    await ask();
    assert.equal(endpoint.down, false);
    current.answer = says(SERVING);
    await ask();
    current.answer = says(NOT_SERVING);
    await ask();
    assert.equal(endpoint.down, false, "the row began anew");
    await ask();
    assert.equal(endpoint.down, true);
    await ask();
    current.answer = says(SERVING);
    await ask();
    assert.equal(endpoint.down, true);
    await ask();
    assert.equal(endpoint.down, false);
    assert.deepEqual(
      lines.map((it) => [it.msg, it["reason"]]),
      [
        ["target is down: its health checks fail", "it says NOT_SERVING"],
        ["target is well again", undefined],
      ],
    );
    assert.deepEqual(
      told.map((it) => it.length),
      [1, 0],
    );
  });

  const illnesses: [string, Answer, string][] = [
    ["UNIMPLEMENTED", ends("12"), "it has no service grpc.health.v1.Health"],
    ["NOT_FOUND", ends("5"), "it knows no health of the service asked for"],
    ["another status", ends("13"), "the health check ended with INTERNAL"],
    ["OK without a message", ends("0"), "it says nothing readable"],
    ["an empty message", says(Buffer.alloc(5)), "it says UNKNOWN"],
    ["a message that is none", says(Buffer.from([0, 0, 0, 0, 9, 1])), "it says nothing readable"],
    ["far too much", says(Buffer.alloc(1_000)), "its answer is no HealthCheckResponse"],
    ["HTTP 404", ({ connection, stream }) => void connection.reply(stream, { status: "404" }), "HTTP status 404"],
    [
      "a reset",
      ({ connection, stream }) => void connection.send(f.reset(stream, f.Code.INTERNAL_ERROR)),
      "the health check was cut off",
    ],
  ];
  for (const [what, answer, reason] of illnesses) {
    test(`${what} is no sign of health: ${reason}`, async (context) => {
      const { ask, lines, endpoint } = await checkedScene(context, answer, { unhealthy_after: 1 });
      await ask();
      await until("it is down", () => endpoint.down);
      assert.equal(lines.at(-1)?.["reason"], reason);
    });
  }

  test("REFUSED_STREAM says nothing about health", async (context) => {
    const refuse: Answer = ({ connection, stream }) => void connection.send(f.reset(stream, f.Code.REFUSED_STREAM));
    const { ask, endpoint, lines } = await checkedScene(context, refuse, { unhealthy_after: 1 });
    for (let at = 0; at < 3; at++) await ask();
    assert.deepEqual([endpoint.down, lines], [false, []]);
  });

  test("silence is illness after the time to answer, but not when the worker itself was held up", async (context) => {
    const { asked, step, endpoint, lines } = await checkedScene(context, () => undefined, { unhealthy_after: 1 });
    await until("the service was asked", () => {
      step();
      return asked.length > 0;
    });
    step(5_000);
    assert.equal(endpoint.down, false, "the answer may lie in the socket");
    for (let at = 0; at < 10; at++) step();
    assert.equal(endpoint.down, true);
    assert.equal(lines.at(-1)?.["reason"], "no answer in time");
  });

  test("a service that cannot be reached is down", async (context) => {
    const { service, endpoint, step, lines } = await checkedScene(context, says(SERVING), { unhealthy_after: 1 });
    await service.close();
    await until("it is down", () => {
      step();
      return endpoint.down;
    });
    assert.equal(lines.at(-1)?.["reason"], "it cannot be reached");
  });
});

describe("connecting", () => {
  test("is enough for health where no more is asked, and a closed port is illness", async (context) => {
    const listener = createServer((socket) => void socket.on("error", () => undefined).destroy());
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const { port } = listener.address() as { port: number };
    const scene = upstreamScene(context);
    const policy: HealthPolicy = { ...POLICY, type: "tcp", unhealthy_after: 1, healthy_after: 1 };
    const [endpoint] = scene.upstreams.pool("127.0.0.1", port, null, policy).endpoints;
    const { log, time, upstreams } = scene;
    const checks = new HealthChecks({ log, pools: () => upstreams.all(), now: () => time.now, tell: () => undefined });
    context.after(() => checks.end());
    const step = (): void => {
      time.now += 100;
      checks.step(time.now);
    };
    let accepted = 0;
    listener.on("connection", () => accepted++);
    await until("it was connected to twice", () => {
      step();
      return accepted >= 2;
    });
    assert.equal(endpoint!.down, false);
    await new Promise((resolve) => listener.close(resolve));
    await until("it is down", () => {
      step();
      return endpoint!.down;
    });
    assert.match(String(scene.lines.at(-1)?.["reason"]), /ECONNREFUSED/);
  });
});

describe("workers that do not ask", () => {
  test("go by what the one that asks has found out, for endpoints that came later too", async (context) => {
    const { checks, pool, endpoint } = await checkedScene(context, says(SERVING));
    let changes = 0;
    pool.watchers.add({ changed: () => changes++ } as never);
    const name = `${pool.key} ${endpoint.address}`;
    checks.learn([name, "somebody else"]);
    assert.deepEqual([endpoint.down, changes], [true, 1]);
    checks.learn([name]);
    assert.equal(changes, 1);
    endpoint.down = false;
    checks.apply();
    assert.equal(endpoint.down, true);
    checks.learn([]);
    assert.equal(endpoint.down, false);
    pool.watchers.clear();
  });

  test("are told by the primary, which appoints another one when the one that asked is gone", () => {
    const told: string[] = [];
    const worker = (name: string) => ({
      ready: true,
      targets: (asks: boolean, down: readonly string[]) => void told.push(`${name} ${asks ? "asks" : "hears"} ${down}`),
    });
    const [one, two, three] = [worker("one"), worker("two"), worker("three")];
    let workers = [one, two];
    const health = new TargetHealth(() => workers);
    health.ready(one);
    health.ready(two);
    health.heard(one, ["a"]);
    health.heard(two, ["nonsense"]);
    assert.deepEqual(told.splice(0), ["one asks ", "two hears ", "two hears a"]);
    workers = [two, three];
    health.ended(one);
    health.ready(three);
    assert.deepEqual(told.splice(0), ["two asks a", "three hears a"]);
    workers = [three];
    health.ended(three);
    assert.deepEqual([told, health.down], [[], ["a"]]);
  });
});
