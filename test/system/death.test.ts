// Responsible for: processes of the gateway that are killed while they carry calls, with grpc-js callers.
// Must not know: the gateway's insides. Governed by: issue 2, section 4 and acceptance. One gateway a test.

import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import { type ClientDuplexStream, status } from "@grpc/grpc-js";
import { type Gateway, type GatewayOptions, keyless, startGateway } from "../support/gateway.js";
import { failureOf, GrpcClient, nextMessage, statusOf } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { gone, isRunning, until } from "../support/waiting.js";
import { WireClient } from "../support/wire/client.js";

const NAME = "test.Echo";

let service: GrpcService;

interface Talk {
  readonly call: ClientDuplexStream<Buffer, Buffer>;
  readonly end: ReturnType<typeof statusOf>;
  ended: boolean;
}

async function say(talk: Talk, text: string): Promise<void> {
  talk.call.write(Buffer.from(text));
  assert.equal((await nextMessage(talk.call)).toString(), text);
}

/** A bidirectional call that was answered once. */
async function talk(client: GrpcClient): Promise<Talk> {
  const call = client.duplex(METHODS.chat);
  const it: Talk = { call, end: statusOf(call), ended: false };
  void it.end.then(() => {
    it.ended = true;
  });
  await say(it, "begin");
  return it;
}

async function finish(it: Talk): Promise<number> {
  it.call.end();
  it.call.resume();
  return (await it.end).code;
}

async function gatewayFor(context: TestContext, more: Partial<GatewayOptions> = {}): Promise<Gateway> {
  const definitions = [keyless({ target: service.target, path: `/${NAME}` })];
  const gateway = await startGateway({ definitions, ...more });
  context.after(() => gateway.stop());
  return gateway;
}

function clientFor(context: TestContext, port: number, options?: Record<string, number>): GrpcClient {
  const client = new GrpcClient(port, NAME, options);
  context.after(() => client.close());
  return client;
}

const allServing = (gateway: Gateway, workers: number): Promise<void> =>
  until("every worker serves", () => gateway.logs.split("worker serves").length > workers);

describe("kill -9", { concurrency: 3 }, () => {
  before(async () => {
    service = await GrpcService.listen(NAME);
  });
  after(() => service.close());

  test("of one of two workers fails only the calls it carried, and a new worker takes its place", async (context) => {
    const gateway = await gatewayFor(context, { workers: 2 });
    await allServing(gateway, 2);
    const clients = Array.from({ length: 4 }, () => clientFor(context, gateway.port));
    const talks: Talk[] = [];
    // One by one, so that each is placed with the others counted: two connections a worker.
    for (const it of clients) talks.push(await talk(it));
    const [victim = 0, survivor = 0] = await gateway.workers();
    process.kill(victim, "SIGKILL");
    await until("the calls of the killed worker have failed", () => talks.filter((it) => it.ended).length === 2);
    const failed = talks.filter((it) => it.ended);
    for (const it of failed) assert.equal((await it.end).code, status.UNAVAILABLE);
    const others = talks.filter((it) => !it.ended);
    for (const it of others) await say(it, "still here");
    await allServing(gateway, 3);
    for (const it of others) assert.equal(await finish(it), status.OK);
    const now = await gateway.workers();
    assert.ok(now.length === 2 && now.includes(survivor) && !now.includes(victim), `workers ${now}`);
    for (const it of clients) await it.unary(METHODS.echo, "again");
  });

  test("of a worker under load: callers that reconnect are served again, and nothing else is lost", async (context) => {
    const gateway = await gatewayFor(context, { workers: 2 });
    await allServing(gateway, 2);
    const clients = Array.from({ length: 6 }, () => clientFor(context, gateway.port));
    let over = false;
    const codes = new Map<number, number>();
    const load = clients.map(async (client) => {
      while (!over) {
        const code = await client.unary(METHODS.echo, "load").then(
          () => status.OK,
          (error: { code: number }) => error.code,
        );
        codes.set(code, (codes.get(code) ?? 0) + 1);
      }
    });
    await until("the load runs", () => (codes.get(status.OK) ?? 0) > 100);
    process.kill((await gateway.workers())[0] ?? 0, "SIGKILL");
    await allServing(gateway, 3);
    const servedBefore = codes.get(status.OK) ?? 0;
    await until("the load goes on", () => (codes.get(status.OK) ?? 0) > servedBefore + 100);
    over = true;
    await Promise.all(load);
    assert.deepEqual(
      [...codes.keys()].filter((code) => code !== status.OK && code !== status.UNAVAILABLE),
      [],
    );
    for (const it of clients) assert.equal((await it.unary(METHODS.echo, "again")).status.code, status.OK);
  });

  test("of the only worker refuses no connection: those that come meanwhile wait and are served", async (context) => {
    const gateway = await gatewayFor(context);
    const [victim = 0] = await gateway.workers();
    process.kill(victim, "SIGKILL");
    await gone([victim]);
    const clients = await Promise.all(Array.from({ length: 50 }, () => WireClient.ready(gateway.port)));
    for (const it of clients) it.close();
    const client = clientFor(context, gateway.port);
    assert.equal((await client.unary(METHODS.echo, "back")).body.toString(), "back");
  });

  test("of the primary: running calls finish, a new primary starts on the same ports at once, the old workers go", async (context) => {
    const gateway = await gatewayFor(context, { workers: 2, settings: { graceful_shutdown_timeout_duration: 3_600 } });
    await allServing(gateway, 2);
    const workers = await gateway.workers();
    const talks = [await talk(clientFor(context, gateway.port)), await talk(clientFor(context, gateway.port))];
    gateway.signal("SIGKILL");
    await gone([gateway.pid]);
    const ports = { listen_port: gateway.port, control_api_port: gateway.controlPort };
    let next: Gateway | undefined;
    await until("the ports are free", async () => {
      next = await gatewayFor(context, { settings: ports }).catch(() => undefined);
      return next !== undefined;
    });
    assert.equal((await clientFor(context, gateway.port).unary(METHODS.echo, "new")).body.toString(), "new");
    for (const it of talks) await say(it, "old");
    assert.ok(workers.every(isRunning), "workers with running calls stay");
    for (const it of talks) assert.equal(await finish(it), status.OK);
    await gone(workers);
  });

  test("of the primary: no worker outlives the timeout, and calls that do end with UNAVAILABLE", async (context) => {
    const gateway = await gatewayFor(context, { workers: 2, settings: { graceful_shutdown_timeout_duration: 1 } });
    await allServing(gateway, 2);
    const workers = await gateway.workers();
    const client = clientFor(context, gateway.port);
    const call = client.reading(METHODS.hold, "orphan:first");
    const end = statusOf(call);
    await nextMessage(call);
    call.resume();
    gateway.signal("SIGKILL");
    const { code, details } = await end;
    assert.deepEqual([code, details], [status.UNAVAILABLE, "Gateway is shutting down"]);
    await service.whenCancelled("orphan");
    await gone([gateway.pid, ...workers]);
    const { code: after } = await failureOf(
      client.unary(METHODS.echo, "", undefined, { deadline: Date.now() + 2_000 }),
    );
    assert.equal(after, status.UNAVAILABLE);
  });
});
