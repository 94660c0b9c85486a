// Responsible for: targets that fail, as callers of a real gateway see them: statuses in trailers put a target out, health
// checks do, and a header decides where calls go. Must not know: the gateway's insides. Governed by: issue 6, item 3.
// How often: tests only. One gateway a test.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { failureOf, GrpcClient } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { until } from "../support/waiting.js";
import * as f from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import { type WireRequest, WireServer } from "../support/wire/server.js";

const NAME = "test.Echo";
const HEALTH = "/grpc.health.v1.Health/Check";

type Answer = (request: WireRequest) => void;

async function wireService(context: TestContext, answer: Answer): Promise<WireServer> {
  const service = await WireServer.listen({ answer });
  context.after(() => service.close());
  return service;
}

async function echoService(context: TestContext): Promise<GrpcService> {
  const service = await GrpcService.listen(NAME);
  context.after(() => service.close());
  return service;
}

async function sceneFor(
  context: TestContext,
  targets: readonly string[],
  sluice: Record<string, unknown>,
  workers = 1,
  upstream: Record<string, unknown> = {},
): Promise<{ gateway: Gateway; clientFor: () => GrpcClient }> {
  const proxy = { enable_load_balancing: true, target_list: targets };
  const gateway = await startGateway({
    definitions: [keyless({ target: targets[0]!, path: `/${NAME}`, proxy, more: { sluice } })],
    settings: { upstream },
    workers,
  });
  context.after(() => gateway.stop());
  const clientFor = (): GrpcClient => {
    const client = new GrpcClient(gateway.port, NAME);
    context.after(() => client.close());
    return client;
  };
  return { gateway, clientFor };
}

/** Codes of so many calls, one after the other. */
async function codesOf(client: GrpcClient, calls: number): Promise<number[]> {
  const codes: number[] = [];
  for (let at = 0; at < calls; at++) {
    codes.push(
      await client.unary(METHODS.echo, "").then(
        () => status.OK,
        (error: { code: number }) => error.code,
      ),
    );
  }
  return codes;
}

const unavailable = [
  ["grpc-status", "14"],
  ["grpc-message", "not now"],
] as [string, string][];
const trailersOnly: Answer = ({ connection, stream }) =>
  void connection.send(
    f.headers(stream, block([":status", "200"], ["content-type", "application/grpc"], ...unavailable), { end: true }),
  );
const afterMessage: Answer = ({ connection, stream }) =>
  void connection.reply(stream, {
    fields: [["content-type", "application/grpc"]],
    body: Buffer.alloc(5),
    trailers: unavailable,
  });
const reset: Answer = ({ connection, stream }) => void connection.send(f.reset(stream, f.Code.INTERNAL_ERROR));

describe("a target whose calls fail", { concurrency: 3 }, () => {
  const failures: [string, Answer][] = [
    ["with a status in trailers only", trailersOnly],
    ["with a status in trailers after a message", afterMessage],
    ["with a reset", reset],
  ];
  for (const [how, answer] of failures) {
    test(`peers 27: ${how} is out after so many in a row, and the log says why`, async (context) => {
      const [failing, serving] = [await wireService(context, answer), await echoService(context)];
      const ejection = { consecutive_failures: 3, base_time: 600, max_time: 600 };
      const { gateway, clientFor } = await sceneFor(context, [failing.target, serving.target], { ejection });
      const codes = await codesOf(clientFor(), 40);
      assert.equal(codes.filter((code) => code !== status.OK).length, 3, codes.join(" "));
      assert.ok(codes.slice(10).every((code) => code === status.OK));
      await until("the log tells", () => gateway.logs.includes("target is out: its calls fail"));
      assert.match(gateway.logs, /3 failed calls in a row/);
      assert.equal(gateway.logs.match(/target is out/g)?.length, 1);
    });
  }

  test("comes back when its call on trial is served", async (context) => {
    const current = { answer: trailersOnly };
    const service = await wireService(context, (request) => current.answer(request));
    const other = await echoService(context);
    const ejection = { consecutive_failures: 2, base_time: 0.5, max_time: 0.5 };
    const { gateway, clientFor } = await sceneFor(context, [service.target, other.target], { ejection });
    const client = clientFor();
    await codesOf(client, 10);
    await until("it is out", () => gateway.logs.includes("target is out"));
    current.answer = ({ connection, stream }) => void connection.replyGrpc(stream);
    await until("it is in again", async () => {
      await codesOf(client, 2);
      return gateway.logs.includes("target is in again");
    });
    const before = other.count(METHODS.echo);
    assert.deepEqual(new Set(await codesOf(client, 10)), new Set([status.OK]));
    assert.equal(other.count(METHODS.echo) - before, 5);
  });

  test("statuses that speak of the request put nobody out", async (context) => {
    const invalid: Answer = ({ connection, stream }) =>
      void connection.reply(stream, {
        fields: [
          ["content-type", "application/grpc"],
          ["grpc-status", "3"],
        ],
      });
    const services = [await wireService(context, invalid), await wireService(context, invalid)];
    const { gateway, clientFor } = await sceneFor(
      context,
      services.map((it) => it.target),
      { ejection: { consecutive_failures: 2 } },
    );
    assert.deepEqual(new Set(await codesOf(clientFor(), 30)), new Set([status.INVALID_ARGUMENT]));
    assert.ok(!gateway.logs.includes("target is out"));
  });
});

describe("targets that are checked for health", { concurrency: 2 }, () => {
  test("get no calls from any worker while they are ill; one worker asks for all; with all down the reason is told", async (context) => {
    const well = [true, true];
    const askedOn = [new Set<unknown>(), new Set<unknown>()];
    const served = [0, 0];
    const serviceAt = (at: number) =>
      wireService(context, ({ connection, stream, fields }) => {
        if (fields.some(({ name, value }) => name === ":path" && value === HEALTH)) {
          askedOn[at]!.add(connection);
          connection.replyGrpc(stream, Buffer.from([0, 0, 0, 0, 2, 0x08, well[at] ? 1 : 2]));
        } else {
          served[at]!++;
          connection.replyGrpc(stream);
        }
      });
    const services = [await serviceAt(0), await serviceAt(1)];
    const health = { type: "grpc", interval: 0.1, timeout: 5, unhealthy_after: 2, healthy_after: 1 };
    const { gateway, clientFor } = await sceneFor(
      context,
      services.map((it) => it.target),
      { health },
      2,
    );
    const clients = Array.from({ length: 6 }, clientFor);
    const codesOfAll = async (calls: number) => (await Promise.all(clients.map((it) => codesOf(it, calls)))).flat();
    await codesOfAll(4);
    assert.ok(served[0]! > 0 && served[1]! > 0);
    well[0] = false;
    await until("the ill one gets no calls", async () => {
      const before = served[0]!;
      await codesOfAll(4);
      return served[0] === before;
    });
    assert.deepEqual(new Set(await codesOfAll(4)), new Set([status.OK]));
    well[1] = false;
    await until("nobody is left", async () => (await codesOfAll(2)).every((code) => code === status.UNAVAILABLE));
    assert.equal((await failureOf(clients[0]!.unary(METHODS.echo, ""))).details, "all hosts are down");
    well[0] = true;
    await until("calls are served again", async () => (await codesOfAll(2)).every((code) => code === status.OK));
    assert.equal(gateway.logs.match(/target is down/g)?.length, 2, "told by one worker, once a change");
    for (const [at, connections] of askedOn.entries()) assert.equal(connections.size, 1, `service ${at}`);
  });

  test("are still checked when the worker that asks has died", async (context) => {
    let well = true;
    const service = await wireService(context, ({ connection, stream, fields }) => {
      const health = fields.some(({ name, value }) => name === ":path" && value === HEALTH);
      connection.replyGrpc(stream, health ? Buffer.from([0, 0, 0, 0, 2, 0x08, well ? 1 : 2]) : undefined);
    });
    const health = { type: "grpc", interval: 0.1, timeout: 5, unhealthy_after: 1, healthy_after: 1 };
    const { gateway, clientFor } = await sceneFor(context, [service.target], { health }, 2);
    const serving = () => gateway.logs.split("worker serves").length - 1;
    for (const pid of await gateway.workers()) {
      const before = serving();
      process.kill(pid, "SIGKILL");
      await until("another worker serves in its place", () => serving() > before);
    }
    const client = clientFor();
    await until("calls are served", async () => (await codesOf(client, 1))[0] === status.OK);
    well = false;
    await until("the service is known to be ill", () =>
      failureOf(client.unary(METHODS.echo, "")).then(
        (error) => error.details === "all hosts are down",
        () => false,
      ),
    );
  });
});

describe("a consistent hash on a header", () => {
  test("sends the calls of one user to one target, whichever worker carries them", async (context) => {
    const services = [await echoService(context), await echoService(context), await echoService(context)];
    const { clientFor } = await sceneFor(
      context,
      services.map((it) => it.target),
      { balance: { method: "hash", hash_header: "x-user" } },
      2,
    );
    const clients = Array.from({ length: 4 }, clientFor);
    const homes = new Set<number>();
    for (const user of ["ann", "bob", "cem", "dora", "eve", "finn"]) {
      const before = services.map((it) => it.count(METHODS.echo));
      const metadata = new Metadata();
      metadata.set("x-user", user);
      for (const client of clients) for (let at = 0; at < 3; at++) await client.unary(METHODS.echo, "", metadata);
      const gained = services.map((it, at) => it.count(METHODS.echo) - before[at]!);
      assert.deepEqual(gained.slice().sort(), [0, 0, 12], `${user}: ${gained}`);
      homes.add(gained.indexOf(12));
    }
    assert.ok(homes.size > 1);
  });
});
