// Responsible for: a gateway that is told to end while it carries calls: the order on the wire and what callers see.
// Must not know: the gateway's insides. Governed by: issue 2, section 8; RFC 9113, 6.8. One gateway a test.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, describe, type TestContext, test } from "node:test";
import { status } from "@grpc/grpc-js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { GrpcClient, nextMessage, readAll, statusOf } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { connectionsAt, gone, until } from "../support/waiting.js";
import { grpcRequest, WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import { httpGet } from "./http1.js";

const NAME = "test.Echo";
const LONG = { graceful_shutdown_timeout_duration: 3_600 };

let service: GrpcService;

async function gatewayFor(context: TestContext, settings: Record<string, unknown>, workers = 1): Promise<Gateway> {
  const definitions = [keyless({ target: service.target, path: `/${NAME}` })];
  const gateway = await startGateway({ definitions, settings, workers });
  context.after(async () => {
    // Twice, so that a failed test with a long timeout ends at once.
    if (gateway.exited === undefined) gateway.signal("SIGTERM");
    await gateway.stop();
  });
  return gateway;
}

function clientFor(context: TestContext, address: string | number, options = {}): GrpcClient {
  const client = new GrpcClient(address, NAME, options);
  context.after(() => client.close());
  return client;
}

const endedWell = (gateway: Gateway): Promise<void> =>
  until("the gateway has ended", () => gateway.exited !== undefined).then(() => {
    assert.deepEqual(gateway.exited, { code: 0, signal: null });
  });

const refuses = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(false));
    socket.on("error", () => resolve(true));
    socket.on("connect", () => socket.destroy());
  });

/** A request whose body stays open. */
function open(client: WireClient, path: string): number {
  const stream = client.newStream();
  client.send(f.headers(stream, block(...grpcRequest(path))));
  return stream;
}

const oneMessage = Buffer.from([0, 0, 0, 0, 2, 104, 105]);

describe("SIGTERM", { concurrency: 3 }, () => {
  before(async () => {
    service = await GrpcService.listen(NAME);
  });
  after(() => service.close());

  test("GOAWAY names no stream, then after two round trips of a PING the last one; calls of between are served", async (context) => {
    const gateway = await gatewayFor(context, LONG);
    const client = await WireClient.ready(gateway.port);
    context.after(() => client.close());
    const first = open(client, `/${NAME}/Chat`);
    await client.barrier();
    client.habits.answers = false;
    gateway.signal("SIGTERM");
    const early = await client.expectGoaway(f.Code.NO_ERROR);
    assert.equal(early.payload.readUInt32BE(0), 0x7fffffff);
    const ping = await client.expect("PING", (it) => it.type === f.Type.PING && !(it.flags & f.Flag.ACK));
    const second = open(client, `/${NAME}/Chat`);
    client.send(f.ping(ping.payload, true));
    const again = await client.expect("PING", (it) => it.type === f.Type.PING && !(it.flags & f.Flag.ACK));
    client.send(f.ping(again.payload, true));
    const late = await client.expectGoaway(f.Code.NO_ERROR);
    assert.equal(late.payload.readUInt32BE(0), second);
    client.habits.answers = true;
    assert.ok(await refuses(gateway.port), "the port is closed");
    // Not processed, by our word: neither answered nor reset.
    const third = open(client, `/${NAME}/Chat`);
    for (const stream of [first, second]) {
      client.send(f.data(stream, oneMessage, { end: true }));
      const message = await client.message(stream);
      assert.ok(message.body.equals(oneMessage));
      assert.ok(message.trailers.some((it) => it.name === "grpc-status" && it.value === "0"));
    }
    const seen: number[] = [];
    for (let it = await client.next(); typeof it !== "string"; it = await client.next()) seen.push(it.stream);
    assert.ok(!seen.includes(third));
    assert.equal(client.ending, "end");
    await endedWell(gateway);
  });

  test("a caller that never answers the PING is given the last stream all the same", async (context) => {
    const gateway = await gatewayFor(context, LONG);
    const client = await WireClient.ready(gateway.port);
    context.after(() => client.close());
    const stream = open(client, `/${NAME}/Chat`);
    await client.barrier();
    client.habits.answers = false;
    gateway.signal("SIGTERM");
    await client.expectGoaway(f.Code.NO_ERROR);
    const late = await client.expectGoaway(f.Code.NO_ERROR);
    assert.equal(late.payload.readUInt32BE(0), stream);
    client.send(f.data(stream, "", { end: true }));
    await client.message(stream);
    await client.expectEnd();
    await endedWell(gateway);
  });

  test("idle connections close at once, HTTP/1.1 and those that have said nothing included", async (context) => {
    const gateway = await gatewayFor(context, LONG, 2);
    const idle = await WireClient.ready(gateway.port);
    const mute = await WireClient.connect(gateway.port);
    const ended = Promise.all([idle.expectEnd(), mute.next()]);
    gateway.signal("SIGTERM");
    await ended;
    await endedWell(gateway);
  });

  test("for the delay /ready says 503 while calls are served; /hello and the control port answer on", async (context) => {
    const gateway = await gatewayFor(context, { ...LONG, graceful_shutdown_delay_seconds: 3_600 });
    gateway.signal("SIGTERM");
    await until("/ready says 503", async () => (await httpGet(gateway.port, "/ready")).status === 503);
    assert.equal((await httpGet(gateway.controlPort, "/ready")).status, 503);
    assert.equal((await httpGet(gateway.port, "/hello")).status, 200);
    const answer = await clientFor(context, gateway.port).unary(METHODS.echo, "served");
    assert.equal(answer.body.toString(), "served");
  });

  test("calls that outlive the timeout end with UNAVAILABLE, and the service sees it", async (context) => {
    const gateway = await gatewayFor(context, { graceful_shutdown_timeout_duration: 1 });
    const client = clientFor(context, gateway.port);
    const begun = client.reading(METHODS.hold, "outlives-begun:first");
    const silent = client.reading(METHODS.hold, "outlives-silent");
    const ends = [statusOf(begun), statusOf(silent)];
    const here = new Promise((resolve) => silent.on("metadata", resolve));
    await nextMessage(begun);
    await here;
    begun.resume();
    gateway.signal("SIGTERM");
    for (const end of ends) {
      const { code, details } = await end;
      assert.deepEqual([code, details], [status.UNAVAILABLE, "Gateway is shutting down"]);
    }
    await service.whenCancelled("outlives-begun");
    await service.whenCancelled("outlives-silent");
    await endedWell(gateway);
  });

  test("a second signal ends running calls at once", async (context) => {
    const gateway = await gatewayFor(context, LONG);
    const call = clientFor(context, gateway.port).reading(METHODS.hold, "second:first");
    const end = statusOf(call);
    await nextMessage(call);
    call.resume();
    gateway.signal("SIGTERM");
    await until("the ending has begun", async () => (await httpGet(gateway.controlPort, "/ready")).status === 503);
    gateway.signal("SIGINT");
    assert.equal((await end).code, status.UNAVAILABLE);
    await endedWell(gateway);
  });

  test("workers do not end on signals of their own", async (context) => {
    const gateway = await gatewayFor(context, LONG);
    const call = clientFor(context, gateway.port).duplex(METHODS.chat);
    call.write(Buffer.from("before"));
    await nextMessage(call);
    const workers = await gateway.workers();
    for (const pid of workers) {
      process.kill(pid, "SIGTERM");
      process.kill(pid, "SIGINT");
    }
    for (let at = 0; at < 10; at++) {
      call.write(Buffer.from("after"));
      assert.equal((await nextMessage(call)).toString(), "after");
    }
    assert.deepEqual(await gateway.workers(), workers);
    call.end();
    assert.equal((await readAll(call)).status.code, status.OK);
  });

  test("to one of two gateways: callers that know both lose no unary call, and streams end by themselves", async (context) => {
    const [leaving, staying] = await Promise.all([gatewayFor(context, LONG, 2), gatewayFor(context, LONG)]);
    const address = `ipv4:127.0.0.1:${leaving.port},127.0.0.1:${staying.port}`;
    const balanced = {
      "grpc.enable_retries": 1,
      "grpc.service_config": JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
    };
    const clients = Array.from({ length: 4 }, () => clientFor(context, address, balanced));
    for (const it of clients) await it.ready();
    for (const { port } of [leaving, staying]) {
      await until("every client has both connections", () => connectionsAt(port) >= clients.length);
    }
    // A client balances over a connection once it has seen its SETTINGS: a call of each is proof enough of the last.
    for (const it of clients) await it.unary(METHODS.echo, "");
    const talks = Array.from({ length: 16 }, (_, at) => clients[at % 4]!.duplex(METHODS.chat));
    for (const it of talks) {
      it.write(Buffer.from("begin"));
      await nextMessage(it);
    }
    const failures: string[] = [];
    let served = 0;
    let over = false;
    const load = clients.flatMap((client) =>
      Array.from({ length: 8 }, async () => {
        while (!over) {
          await client.unary(METHODS.echo, "load").then(
            () => served++,
            (error: { code: number; details: string }) => failures.push(`${error.code} ${error.details}`),
          );
        }
      }),
    );
    await until("the load runs", () => served > 500);
    const streams = clients.map((client) => client.read(METHODS.give, "300:2000"));
    const processes = [leaving.pid, ...(await leaving.workers())];
    leaving.signal("SIGTERM");
    await until(
      "the leaving gateway says so",
      async () => (await httpGet(leaving.controlPort, "/ready")).status !== 200,
    );
    for (const it of await Promise.all(streams)) assert.deepEqual([it.status.code, it.messages.length], [0, 300]);
    const before = served;
    await until("the load goes on", () => served > before + 500);
    // Only now do the long calls end, those of the leaving gateway among them.
    for (const it of talks) {
      it.write(Buffer.from("end"));
      assert.equal((await nextMessage(it)).toString(), "end");
      it.end();
      assert.equal((await readAll(it)).status.code, status.OK);
    }
    await endedWell(leaving);
    await gone(processes);
    over = true;
    await Promise.all(load);
    assert.deepEqual(failures, []);
  });
});
