// Responsible for: services that come, go, fall silent and share calls, as callers see it through a real gateway.
// Must not know: the gateway's insides. Governed by: issue 2, section 6. One gateway a test.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, type TestContext, test } from "node:test";
import { status } from "@grpc/grpc-js";
import { freePorts, type Gateway, keyless, startGateway } from "../support/gateway.js";
import { failureOf, GrpcClient, nextMessage, statusOf } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { ServiceProcess } from "../support/grpc/service-process.js";
import { until } from "../support/waiting.js";
import * as f from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import { WireServer } from "../support/wire/server.js";

const NAME = "test.Echo";
const SHORT_BACK_OFF = { backoff_initial: 0.05, backoff_max: 0.2 };

async function serviceFor(context: TestContext, port = 0): Promise<GrpcService> {
  const service = await GrpcService.listen(NAME, port);
  context.after(() => service.close());
  return service;
}

async function wireServiceFor(context: TestContext, answering = false): Promise<WireServer> {
  const answer = {
    answer: ({ connection, stream }: { connection: Replying; stream: number }) => void connection.replyGrpc(stream),
  };
  const service = await WireServer.listen(answering ? answer : {});
  context.after(() => service.close());
  return service;
}

interface Replying {
  replyGrpc(stream: number): unknown;
}

/** A gateway in front of these targets, in turn, and a client of it. */
async function sceneFor(
  context: TestContext,
  targets: readonly string[],
  upstream: Record<string, unknown> = {},
  env: Record<string, string> = {},
): Promise<{ gateway: Gateway; client: GrpcClient }> {
  const balancing = targets.length > 1 ? { enable_load_balancing: true, target_list: targets } : {};
  const gateway = await startGateway({
    definitions: [keyless({ target: targets[0]!, path: `/${NAME}`, proxy: balancing })],
    settings: { upstream },
    env,
  });
  context.after(() => gateway.stop());
  const client = new GrpcClient(gateway.port, NAME);
  context.after(() => client.close());
  return { gateway, client };
}

describe("a service that is down", { concurrency: 3 }, () => {
  test("is UNAVAILABLE at once, and served as soon as it is up", async (context) => {
    const [port = 0] = await freePorts(1);
    const { client } = await sceneFor(context, [`h2c://127.0.0.1:${port}`], SHORT_BACK_OFF);
    for (let at = 0; at < 20; at++) {
      const { code, details } = await failureOf(client.unary(METHODS.echo, ""));
      assert.deepEqual([code, details], [status.UNAVAILABLE, "There was a problem proxying the request"]);
    }
    await serviceFor(context, port);
    await until("the service is reachable", () =>
      client.unary(METHODS.echo, "up").then(
        () => true,
        () => false,
      ),
    );
    for (let at = 0; at < 20; at++) assert.equal((await client.unary(METHODS.echo, "up")).body.toString(), "up");
  });

  test("is not asked again before its back-off is over, however many calls come", async (context) => {
    let attempts = 0;
    const listener = createServer((socket) => {
      attempts++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    context.after(() => void listener.close());
    const { port } = listener.address() as AddressInfo;
    const { client } = await sceneFor(context, [`h2c://127.0.0.1:${port}`], { backoff_initial: 60, backoff_max: 60 });
    for (let at = 0; at < 100; at++) assert.equal((await failureOf(client.unary(METHODS.echo, ""))).code, 14);
    assert.ok(attempts <= 2, `${attempts} attempts`);
  });

  test("leaves its calls to the other targets, unseen", async (context) => {
    const [port = 0] = await freePorts(1);
    const service = await serviceFor(context);
    const { client } = await sceneFor(context, [`h2c://127.0.0.1:${port}`, service.target]);
    for (let at = 0; at < 50; at++) assert.equal((await client.unary(METHODS.echo, "on")).body.toString(), "on");
    assert.equal(service.count(METHODS.echo), 50);
  });

  test("that accepts and says nothing ends in UNAVAILABLE after connect_timeout", async (context) => {
    const sockets: { destroy(): void }[] = [];
    const listener = createServer((socket) => void sockets.push(socket.on("error", () => undefined)));
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    context.after(() => {
      for (const it of sockets) it.destroy();
      listener.close();
    });
    const { port } = listener.address() as AddressInfo;
    const { client } = await sceneFor(context, [`h2c://127.0.0.1:${port}`], { connect_timeout: 1 });
    assert.equal((await failureOf(client.unary(METHODS.echo, ""))).code, status.UNAVAILABLE);
  });
});

describe("a connection to a service that is lost", { concurrency: 3 }, () => {
  test("before the response: UNAVAILABLE", async (context) => {
    const service = await wireServiceFor(context);
    const { client } = await sceneFor(context, [service.target]);
    const failure = failureOf(client.unary(METHODS.echo, "x"));
    (await service.request()).connection.close();
    const { code, details } = await failure;
    assert.deepEqual([code, details], [status.UNAVAILABLE, "The connection to the service was lost"]);
  });

  test("between two messages: the messages, then UNAVAILABLE as trailers", async (context) => {
    const service = await wireServiceFor(context);
    const { client } = await sceneFor(context, [service.target]);
    const call = client.reading(METHODS.give, "1:1");
    const end = statusOf(call);
    const { connection, stream } = await service.request();
    const head = f.headers(stream, block([":status", "200"], ["content-type", "application/grpc"]));
    connection.send(head, f.data(stream, Buffer.from([0, 0, 0, 0, 1, 42])));
    assert.deepEqual([...(await nextMessage(call))], [42]);
    connection.close();
    call.resume();
    const { code, details } = await end;
    assert.deepEqual([code, details], [status.UNAVAILABLE, "The connection to the service was lost"]);
  });

  test("within a message: the stream is reset, never ended as if it were whole", async (context) => {
    const service = await wireServiceFor(context);
    const { client } = await sceneFor(context, [service.target]);
    const call = client.reading(METHODS.give, "1:1");
    const end = statusOf(call);
    const { connection, stream } = await service.request();
    const head = f.headers(stream, block([":status", "200"], ["content-type", "application/grpc"]));
    connection.send(head, f.data(stream, Buffer.from([0, 0, 0, 0, 9, 42])));
    await new Promise((resolve) => call.once("metadata", resolve));
    connection.close();
    call.resume();
    const { code } = await end;
    assert.ok(code !== status.OK && code !== status.CANCELLED, `status ${code}`);
  });

  test("fails the calls on it; the next call gets a new one", async (context) => {
    const service = await ServiceProcess.start(NAME);
    context.after(() => service.close());
    const { client } = await sceneFor(context, [service.target], SHORT_BACK_OFF);
    const call = client.reading(METHODS.hold, "lost:first");
    const end = statusOf(call);
    await nextMessage(call);
    call.resume();
    await service.close();
    assert.equal((await end).code, status.UNAVAILABLE);
    const again = await ServiceProcess.start(NAME, service.port);
    context.after(() => again.close());
    await until("calls are served again", () =>
      client.unary(METHODS.echo, "").then(
        () => true,
        () => false,
      ),
    );
  });
});

describe("a service that goes away", { concurrency: 3 }, () => {
  test("peers 12, 33: with GOAWAY, one of two: no call under load fails, and what runs on it ends by itself", async (context) => {
    const [leaving, staying] = [await serviceFor(context), await serviceFor(context)];
    const { client } = await sceneFor(context, [leaving.target, staying.target], SHORT_BACK_OFF);
    let over = false;
    let served = 0;
    const failures: string[] = [];
    const load = Array.from({ length: 16 }, async () => {
      while (!over) {
        await client.unary(METHODS.echo, "load").then(
          () => served++,
          (error: { code: number; details: string }) => failures.push(`${error.code} ${error.details}`),
        );
      }
    });
    const talks = [client.duplex(METHODS.chat), client.duplex(METHODS.chat)];
    for (const it of talks) {
      it.write(Buffer.from("begin"));
      await nextMessage(it);
    }
    await until("both services are used", () => leaving.count(METHODS.echo) > 50 && staying.count(METHODS.echo) > 50);
    const drained = leaving.drain();
    const before = served;
    await until("the load goes on", () => served > before + 500);
    for (const it of talks) {
      const end = statusOf(it);
      it.write(Buffer.from("end"));
      assert.equal((await nextMessage(it)).toString(), "end");
      it.end();
      it.resume();
      assert.equal((await end).code, status.OK);
    }
    await drained;
    over = true;
    await Promise.all(load);
    assert.deepEqual(failures, []);
  });

  test("with REFUSED_STREAM: the call moves to the other target, unseen", async (context) => {
    const [refusing, serving] = [await wireServiceFor(context), await serviceFor(context)];
    const { client } = await sceneFor(context, [refusing.target, serving.target]);
    let over = false;
    const refuse = async (): Promise<void> => {
      while (!over) {
        const it = await service();
        it?.connection.send(f.reset(it.stream, f.Code.REFUSED_STREAM));
      }
    };
    const service = () => refusing.request(100).catch(() => undefined);
    const refusal = refuse();
    for (let at = 0; at < 20; at++) {
      const body = Buffer.alloc(20_000, at);
      assert.ok((await client.unary(METHODS.echo, body)).body.equals(body));
    }
    over = true;
    await refusal;
    assert.equal(serving.count(METHODS.echo), 20);
  });

  test("with REFUSED_STREAM after more than is held of a request: UNAVAILABLE, for it cannot be sent again", async (context) => {
    const [refusing, serving] = [await wireServiceFor(context), await serviceFor(context)];
    // The first call goes to the second target.
    const { client } = await sceneFor(context, [refusing.target, serving.target, refusing.target]);
    await client.unary(METHODS.echo, "");
    const failure = failureOf(client.unary(METHODS.echo, Buffer.alloc(300_000)));
    const { connection, stream } = await refusing.request();
    connection.habits.credits = true;
    connection.send(f.windowUpdate(0, 1 << 20), f.windowUpdate(stream, 1 << 20));
    for (let seen = 0; seen < 200_000; ) seen += (await connection.expectData(stream)).payload.length;
    connection.send(f.reset(stream, f.Code.REFUSED_STREAM));
    assert.equal((await failure).code, status.UNAVAILABLE);
    assert.equal(serving.count(METHODS.echo), 1);
  });

  test("a connection that is too old is replaced before it goes, and no call fails", async (context) => {
    const service = await wireServiceFor(context, true);
    const { client } = await sceneFor(context, [service.target], { max_age: 0.5, max_age_jitter: 0 });
    let calls = 0;
    await until("three connections were used", async () => {
      await client.unary(METHODS.echo, "x");
      calls++;
      return service.connections.length >= 3;
    });
    assert.ok(calls > 3);
    const [first] = service.connections;
    await until("the first connection is closed", () => first?.ending !== undefined);
    assert.deepEqual([first?.ending, first?.transcript.some((it) => it.includes("GOAWAY"))], ["end", true]);
  });

  test("without a word (its process stands still): PING finds out, its calls end, the others take over", async (context) => {
    const [frozen, serving] = [await ServiceProcess.start(NAME), await serviceFor(context)];
    context.after(() => frozen.close());
    const keepalive = { keepalive_time: 1, keepalive_timeout: 1, connect_timeout: 1 };
    const { client } = await sceneFor(context, [frozen.target, serving.target], keepalive);
    const calls = [client.reading(METHODS.hold, "one:first"), client.reading(METHODS.hold, "two:first")];
    const ends = calls.map(statusOf);
    for (const it of calls) await nextMessage(it);
    frozen.signal("SIGSTOP");
    for (const it of calls) it.resume();
    assert.equal((await Promise.race(ends)).code, status.UNAVAILABLE);
    for (let at = 0; at < 10; at++) assert.equal((await client.unary(METHODS.echo, "on")).body.toString(), "on");
    for (const it of calls) it.cancel();
    const codes = (await Promise.all(ends)).map((it) => it.code).sort();
    assert.deepEqual(codes, [status.CANCELLED, status.UNAVAILABLE], "the call on the living service was left alone");
  });
});

describe("calls that their callers cancel", () => {
  test("peers 8: wear no connection out that others share: the service sees few resets on each", async (context) => {
    const service = await wireServiceFor(context);
    const { gateway, client } = await sceneFor(context, [service.target], { cancel_budget: 10 });
    const cancelling = Array.from({ length: 4 }, () => new GrpcClient(gateway.port, NAME));
    for (const it of cancelling) context.after(() => it.close());
    const resetsOn = () =>
      service.connections.map((it) => it.transcript.filter((line) => line.includes("RST_STREAM")).length);
    const steady = client.unary(METHODS.echo, "steady");
    const taken = async (count: number) => {
      await until("the calls are here", () => service.untaken === count);
      const calls: Awaited<ReturnType<typeof service.request>>[] = [];
      while (calls.length < count) calls.push(await service.request());
      return calls;
    };
    const [first] = await taken(1);
    for (let round = 0; round < 15; round++) {
      const calls = cancelling.map((it) => it.reading(METHODS.hold, "x"));
      await taken(calls.length);
      const before = resetsOn().reduce((sum, it) => sum + it, 0);
      for (const it of calls) it.cancel();
      await until("the service was told", () => resetsOn().reduce((sum, it) => sum + it, 0) >= before + calls.length);
    }
    first!.connection.replyGrpc(first!.stream);
    await steady;
    const resets = resetsOn();
    assert.ok(resets.length > 1 && Math.max(...resets) <= 40, resets.join(" "));
    assert.equal(
      resets.reduce((sum, it) => sum + it, 0),
      60,
    );
  });
});

describe("a connection to a service that lies idle", { concurrency: 2 }, () => {
  test("peers 9: takes the service's PING and SETTINGS, and serves the next call", async (context) => {
    const service = await wireServiceFor(context, true);
    const { client } = await sceneFor(context, [service.target]);
    await client.unary(METHODS.echo, "x");
    const [connection] = service.connections;
    connection!.send(f.ping(Buffer.alloc(8, 7)), f.settings([f.Setting.MAX_CONCURRENT_STREAMS, 50]));
    await until("both are acknowledged", () => {
      const acknowledged = (name: string) =>
        connection!.transcript.some((it) => it.startsWith(`< ${name} stream=0 flags=1`));
      return acknowledged("PING") && acknowledged("SETTINGS");
    });
    await client.unary(METHODS.echo, "x");
    assert.equal(service.connections.length, 1);
  });

  test("peers 22: and that the service has closed is no reason for the first call afterwards to fail", async (context) => {
    const service = await wireServiceFor(context, true);
    const { client } = await sceneFor(context, [service.target], SHORT_BACK_OFF);
    for (let at = 0; at < 10; at++) {
      await client.unary(METHODS.echo, "x");
      const before = service.connections.length;
      service.connections.at(-1)!.close();
      await until("the gateway has noticed", () => service.connections.length > before);
    }
    await client.unary(METHODS.echo, "x");
  });
});

describe("calls of one connection", { concurrency: 3 }, () => {
  test("peers 24: take turns among the targets over cleartext HTTP/2, and a target that is listed twice gets twice as many", async (context) => {
    const services = [await serviceFor(context), await serviceFor(context)];
    const [one, two] = services.map((it) => it.target) as [string, string];
    const { client } = await sceneFor(context, [one, two, two]);
    for (let at = 0; at < 90; at++) await client.unary(METHODS.echo, "");
    assert.deepEqual(
      services.map((it) => it.count(METHODS.echo)),
      [30, 60],
    );
  });

  test("share few connections to the service, and open more only when those are crowded", async (context) => {
    const service = await wireServiceFor(context);
    const { client } = await sceneFor(context, [service.target], { min_connections: 1, max_connections: 2 });
    const calls = Array.from({ length: 700 }, () => client.unary(METHODS.echo, ""));
    await until("all calls have arrived", () => service.untaken === 700);
    assert.equal(service.connections.length, 1, "below three quarters of its streams one connection is enough");
    const more = Array.from({ length: 250 }, () => client.unary(METHODS.echo, ""));
    await until("more have arrived", () => service.untaken === 950);
    await until("a second connection is there", () => service.connections.length === 2);
    for (let at = 0; at < 950; at++) {
      const { connection, stream } = await service.request();
      connection.replyGrpc(stream);
    }
    await Promise.all([...calls, ...more]);
  });

  test("to a name are shared by its addresses; one that is no longer named gets no more", async (context) => {
    const one = await serviceFor(context);
    const two = await GrpcService.listen(NAME, one.port, "127.0.0.2");
    context.after(() => two.close());
    const folder = await mkdtemp(join(tmpdir(), "sluice-names-"));
    context.after(() => rm(folder, { recursive: true, force: true }));
    const names = join(folder, "names.json");
    const name = (addresses: string[]) => writeFileSync(names, JSON.stringify({ "both.test": addresses }));
    name(["127.0.0.1", "127.0.0.2"]);
    const preload = `--import ${new URL("../support/names.js", import.meta.url)}`;
    const env = { NODE_OPTIONS: preload, SLUICE_TEST_NAMES: names };
    const { client } = await sceneFor(context, [`h2c://both.test:${one.port}`], { resolve_interval: 1 }, env);
    const asked = () => [one, two].map((it) => it.count(METHODS.echo));
    await until("both addresses are connected", async () => {
      await client.unary(METHODS.echo, "");
      return asked().every((count) => count > 0);
    });
    const [first = 0, second = 0] = asked();
    for (let at = 0; at < 40; at++) await client.unary(METHODS.echo, "");
    assert.deepEqual(asked(), [first + 20, second + 20]);
    const call = client.duplex(METHODS.chat);
    const other = client.duplex(METHODS.chat);
    for (const it of [call, other]) {
      it.write(Buffer.from("begin"));
      await nextMessage(it);
    }
    name(["127.0.0.1"]);
    await until("the second address is left out", async () => {
      const before = two.count(METHODS.echo);
      for (let at = 0; at < 10; at++) await client.unary(METHODS.echo, "");
      return two.count(METHODS.echo) === before;
    });
    for (const it of [call, other]) {
      it.write(Buffer.from("still here"));
      assert.equal((await nextMessage(it)).toString(), "still here");
      it.cancel();
    }
  });

  test("to a name that nobody knows are UNAVAILABLE", async (context) => {
    const { client } = await sceneFor(context, ["h2c://no-such-name.invalid:1"]);
    const { code, details } = await failureOf(client.unary(METHODS.echo, ""));
    assert.deepEqual([code, details], [status.UNAVAILABLE, "Upstream host lookup failed"]);
  });
});
