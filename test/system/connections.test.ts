// Responsible for: limits of callers' connections as callers meet them. Must not know: the gateway's insides.
// Governed by: settings `connections`. One gateway a test.

import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { GrpcClient, nextMessage, statusOf } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { SteadyLoad } from "../support/grpc/steady-load.js";
import { until } from "../support/waiting.js";
import { WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";

const NAME = "test.Echo";
let service: GrpcService;

async function gatewayFor(context: TestContext, connections: Record<string, unknown>): Promise<Gateway> {
  const definitions = [keyless({ target: service.target, path: `/${NAME}` })];
  const gateway = await startGateway({ definitions, settings: { connections } });
  context.after(() => gateway.stop());
  return gateway;
}

describe("connections of callers", { concurrency: 4 }, () => {
  before(async () => {
    service = await GrpcService.listen(NAME);
  });
  after(() => service.close());

  test("one more than an address may have is closed at once; when one has gone there is room again", async (context) => {
    const gateway = await gatewayFor(context, { max_per_address: 2 });
    const first = await WireClient.ready(gateway.port);
    const second = await WireClient.ready(gateway.port);
    context.after(() => first.close());
    context.after(() => second.close());
    const third = await WireClient.connect(gateway.port);
    await third.expectEnd();
    await until("the log tells", () => gateway.logs.includes("connections.max_per_address"));
    second.close();
    await until("there is room again", async () => {
      const fourth = await WireClient.ready(gateway.port).catch(() => undefined);
      fourth?.close();
      return fourth !== undefined;
    });
  });

  test("one that carries no call for the idle time is told to go, one that carries a call is not", async (context) => {
    const gateway = await gatewayFor(context, { max_idle: 0.2 });
    const client = new GrpcClient(gateway.port, NAME);
    context.after(() => client.close());
    const held = client.reading(METHODS.hold, "busy:first");
    const status = statusOf(held);
    await nextMessage(held);
    const idle = await WireClient.ready(gateway.port);
    context.after(() => idle.close());
    await idle.expectGoaway(f.Code.NO_ERROR);
    await idle.expectEnd();
    // The other one is older, and still there.
    assert.equal((await client.unary(METHODS.echo, "still here")).body.toString(), "still here");
    held.cancel();
    await status;
  });

  test("those that reach their age are asked to come back, and no call fails by it", async (context) => {
    const gateway = await gatewayFor(context, { max_age: 0.5, max_age_jitter: 0.2 });
    const load = new SteadyLoad({
      port: gateway.port,
      service: NAME,
      inFlight: 16,
      clients: 4,
      callsPerConnection: Number.POSITIVE_INFINITY,
    });
    context.after(() => load.stop());
    const watcher = await WireClient.ready(gateway.port);
    context.after(() => watcher.close());
    await watcher.expectGoaway(f.Code.NO_ERROR);
    await load.pass(500);
    await load.stop();
    assert.deepEqual(load.failures, []);
  });
});
