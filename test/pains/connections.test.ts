// Responsible for: pains 1, 2, 4, 10 and 34 of other gateways' users: long lives of callers' connections.
// Must not know: the gateway's insides. Governed by: README.md beside this file. Gateways of its own; answers, never time.

import assert from "node:assert/strict";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { after, before, describe, test } from "node:test";
import { status } from "@grpc/grpc-js";
import type { Inspection } from "../../src/shared/observe/inspection.js";
import { statusOf as statusIn } from "../rfc9113/relay-scene.js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { failureOf, GrpcClient, nextMessage, statusOf } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { connectionsAt, until } from "../support/waiting.js";
import { grpcRequest, WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import { WireServer, type WireServerConnection } from "../support/wire/server.js";

const NAME = "test.Echo";
/** Every timer that could end something, as short as a test can wait for. */
const SHORT = {
  proxy_default_timeout: 1,
  http_server_options: { read_timeout: 0.5, write_timeout: 0.5 },
  upstream: {
    connect_timeout: 1,
    keepalive_time: 0.5,
    keepalive_timeout: 5,
    max_age: 1,
    idle_timeout: 0.5,
    min_connections: 0,
    resolve_interval: 1,
  },
};

const message = (text: string): Buffer => Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), Buffer.from(text)]);

/** Begins a call; its request stays open unless a text is given. */
function begin(client: WireClient, path: string, text?: string): number {
  const stream = client.newStream();
  const frames = [f.headers(stream, block(...grpcRequest(path)))];
  if (text !== undefined) frames.push(f.data(stream, message(text), { end: true }));
  client.send(...frames);
  return stream;
}

const wasToldToGo = (client: WireClient): boolean => client.transcript.some((line) => line.startsWith("< GOAWAY"));

/** A unary call of node:http2's own client. */
function ask(session: ClientHttp2Session, text: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stream = session.request(Object.fromEntries(grpcRequest(`/${NAME}/Echo`)));
    const parts: Buffer[] = [];
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("error", reject);
    stream.on("end", () => resolve(Buffer.concat(parts)));
    stream.end(message(text));
  });
}

/**
 * One call; false where it is refused: node:http2 refuses, on its own, what it has not sent yet when it is told to go, and
 * such a request may be sent again elsewhere (RFC 9113, 8.7).
 */
async function askUnlessRefused(session: ClientHttp2Session): Promise<boolean> {
  try {
    assert.deepEqual(await ask(session, "x"), message("x"));
    return true;
  } catch (error) {
    if (session.closed && /REFUSED_STREAM/.test(String(error))) return false;
    throw error;
  }
}

/** A stream that speaks when its session begins, and after it was told to go. */
class Talk {
  private readonly parts: Buffer[] = [];
  private readonly ended: Promise<void>;

  private constructor(private readonly stream: ClientHttp2Stream) {
    stream.on("data", (part: Buffer) => this.parts.push(part));
    this.ended = new Promise((resolve, reject) => {
      stream.on("error", reject);
      stream.on("end", resolve);
    });
  }

  static async on(session: ClientHttp2Session): Promise<Talk> {
    const talk = new Talk(session.request(Object.fromEntries(grpcRequest(`/${NAME}/Chat`))));
    talk.stream.write(message("before"));
    await Promise.race([talk.ended, new Promise((resolve) => talk.stream.once("data", resolve))]);
    return talk;
  }

  async end(): Promise<void> {
    this.stream.end(message("after"));
    await this.ended;
    assert.deepEqual(Buffer.concat(this.parts), Buffer.concat([message("before"), message("after")]));
  }
}

describe("long lives of connections", () => {
  let service: GrpcService;
  /** Led frame by frame. */
  let led: WireServer;
  /** Two workers and the defaults; short timers; connections that are asked to come back every half second. */
  const gateways = [] as unknown as [plain: Gateway, short: Gateway, aged: Gateway];

  before(async () => {
    service = await GrpcService.listen(NAME);
    led = await WireServer.listen();
    const definitions = [
      keyless({ id: "echo", target: service.target, path: `/${NAME}` }),
      keyless({ id: "led", target: led.target, path: "/led.Api" }),
    ];
    // One after the other, and each in its place at once: on two cores three that start together take longer than a start
    // may, and of those that began nothing must be left when one fails.
    for (const wish of [
      { workers: 2 },
      { settings: SHORT },
      { settings: { connections: { max_age: 0.5, max_age_jitter: 0 } } },
    ])
      gateways.push(await startGateway({ definitions, ...wish }));
  });

  after(async () => {
    await Promise.all(gateways.map((it) => it.stop()));
    service?.close();
    await led?.close();
  });

  /** Connections of callers in each worker of the first gateway, once each of them says so. */
  async function perWorker(total: number): Promise<number[]> {
    let counts: number[] = [];
    await until(`${total} connections are with the workers`, async () => {
      const answer = await fetch(`http://127.0.0.1:${gateways[0].controlPort}/tyk/debug/connections`, {
        headers: { "x-tyk-authorization": "test-secret" },
      });
      const { workers } = (await answer.json()) as { workers: Partial<Inspection>[] };
      counts = workers.map(({ connections }) => connections ?? 0);
      return counts.length === 2 && counts.reduce((sum, it) => sum + it, 0) === total;
    });
    return counts;
  }

  test("peers 10: a few long connections do not meet in one worker: each gets its share of them and of their calls", async () => {
    await perWorker(0);
    const clients: WireClient[] = [];
    for (let at = 0; at < 6; at++) clients.push(await WireClient.ready(gateways[0].port));
    for (const it of clients) begin(it, `/${NAME}/Chat`);
    for (const it of clients) await it.barrier();
    assert.deepEqual(await perWorker(6), [3, 3]);
    for (const it of clients) it.close();
    await perWorker(0);
  });

  test("peers 1: no number of calls ends a connection, and a stream that was there before them goes on", async () => {
    const client = await WireClient.ready(gateways[0].port);
    client.habits.credits = true;
    const old = begin(client, `/${NAME}/Chat`);
    for (let round = 0; round < 6; round++) {
      const streams = Array.from({ length: 200 }, () => begin(client, `/${NAME}/Echo`, "x"));
      for (const it of streams) assert.equal(statusIn(await client.message(it)), "0");
    }
    client.send(f.data(old, message("still here"), { end: true }));
    assert.deepEqual((await client.message(old)).body, message("still here"));
    assert.equal(wasToldToGo(client), false);
    client.close();
  });

  test("peers 2: a session of node:http2 carries more than a thousand requests beside an open stream, and no GOAWAY", async () => {
    const session = connect(`http://127.0.0.1:${gateways[0].port}`);
    let told = 0;
    session.on("goaway", () => told++);
    const talk = session.request(Object.fromEntries(grpcRequest(`/${NAME}/Chat`)));
    talk.write(message("begin"));
    await new Promise((resolve) => talk.once("data", resolve));
    for (let round = 0; round < 11; round++) {
      const answers = await Promise.all(Array.from({ length: 100 }, () => ask(session, "x")));
      for (const it of answers) assert.deepEqual(it, message("x"));
    }
    const last = new Promise<Buffer>((resolve) => talk.once("data", resolve));
    talk.end(message("end"));
    assert.deepEqual(await last, message("end"));
    assert.equal(told, 0);
    await new Promise<void>((resolve) => session.close(resolve));
  });

  test("peers 2: a session of node:http2 that is told to go loses no request and no open stream", async () => {
    const before = service.count(METHODS.echo);
    let answered = 0;
    const lane = async (): Promise<void> => {
      for (let sessions = 0; sessions < 2; sessions++) {
        const session = connect(`http://127.0.0.1:${gateways[2].port}`);
        const talk = await Talk.on(session);
        while (!session.closed) if (await askUnlessRefused(session)) answered++;
        await talk.end();
      }
    };
    await Promise.all([lane(), lane(), lane()]);
    assert.equal(service.count(METHODS.echo) - before, answered, "what was refused had not been processed");
  });

  test("peers 4, 34: after a pause longer than every timer the next calls are served, on the connection of before", async () => {
    const { port } = gateways[1];
    const raw = await WireClient.ready(port);
    const own = new GrpcClient(port, "led.Api");
    const used = new Set<WireServerConnection>();
    const answer = async (): Promise<void> => {
      const it = await led.request();
      used.add(it.connection);
      it.connection.replyGrpc(it.stream);
    };
    const both = async (): Promise<void> => {
      const stream = begin(raw, "/led.Api/M", "x");
      const unary = own.unary(METHODS.echo, "x");
      await answer();
      await answer();
      assert.equal(statusIn(await raw.message(stream)), "0");
      await unary;
    };
    await both();
    assert.equal(connectionsAt(port), 2);
    // A connection that never says anything is cut after read_timeout; those to the service have a shorter life.
    const clock = await WireClient.connect(port);
    await clock.expectEnd();
    clock.close();
    await until("the connections to the service have gone", () =>
      [...used].every(({ ending }) => ending !== undefined),
    );
    for (let at = 0; at < 5; at++) await both();
    assert.equal(connectionsAt(port), 2);
    assert.equal(wasToldToGo(raw), false);
    raw.close();
    own.close();
  });

  test("peers 34: a client of grpc-js that cancels hundreds of streams keeps its connection, and its service keeps the gateway's", async () => {
    const client = new GrpcClient(gateways[0].port, NAME);
    const talk = client.duplex(METHODS.chat);
    const end = statusOf(talk);
    talk.write(Buffer.from("begin"));
    await nextMessage(talk);
    for (let round = 0; round < 20; round++) {
      const calls = Array.from({ length: 15 }, (_, at) => client.reading(METHODS.hold, `${round}-${at}:first`));
      const ends = calls.map((it) => statusOf(it));
      await Promise.all(calls.map(nextMessage));
      await Promise.all(calls.map(() => client.unary(METHODS.echo, "beside them")));
      for (const it of calls) it.cancel();
      for (const it of await Promise.all(ends)) assert.equal(it.code, status.CANCELLED);
    }
    talk.write(Buffer.from("on the first connections"));
    assert.equal((await nextMessage(talk)).toString(), "on the first connections");
    talk.end();
    talk.resume();
    assert.equal((await end).code, status.OK);
    client.close();
  });

  test("peers 34: grpc-js is told the status of an early answer, never that RST_STREAM came with code 0", async () => {
    const client = new GrpcClient(gateways[0].port, "led.Api");
    for (const begun of [false, true]) {
      const call = client.duplex(METHODS.chat);
      const end = statusOf(call);
      call.resume();
      call.write(Buffer.from("the first of many"));
      const it = await led.request();
      const told: [string, string][] = [
        ["grpc-status", String(status.FAILED_PRECONDITION)],
        ["grpc-message", "no more"],
      ];
      const head: [string, string] = ["content-type", "application/grpc"];
      if (begun) it.connection.reply(it.stream, { fields: [head], body: message("part"), trailers: told });
      else it.connection.reply(it.stream, { fields: [head, ...told] });
      it.connection.send(f.reset(it.stream, f.Code.NO_ERROR));
      const { code, details } = await end;
      assert.deepEqual([code, details], [status.FAILED_PRECONDITION, "no more"]);
    }
    client.close();
  });

  test("peers 34: a service's RST_STREAM with code 2 is INTERNAL to grpc-js, at once, and ends nothing else", async () => {
    const client = new GrpcClient(gateways[0].port, "led.Api");
    const beside = client.unary(METHODS.echo, "beside");
    const first = await led.request();
    const failing = failureOf(client.unary(METHODS.echo, "failing"));
    const second = await led.request();
    second.connection.send(f.reset(second.stream, f.Code.INTERNAL_ERROR));
    assert.equal((await failing).code, status.INTERNAL);
    first.connection.replyGrpc(first.stream);
    await beside;
    client.close();
  });
});
