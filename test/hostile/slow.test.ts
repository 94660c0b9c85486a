// Responsible for: peers that are slow, silent or greedy: what they may hold is bounded, and others go on.
// Must not know: the engine's insides. Governed by: RFC 9113, 10.5; issue 2, section 5. One gateway with small bounds
// and short time limits where a limit is tested; bounds are bytes and answers, never time.

import assert from "node:assert/strict";
import { createServer, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { grpcRequest, request, WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block, indexed, literal } from "../support/wire/hpack.js";
import { bomb } from "./flood-cases.js";

const { Code, Setting } = f;
const MIB = 1024 * 1024;
const LARGE = 64 * MIB;

let gateway: Gateway;
let service: Http2Server;
let neighbour: WireClient;

/** `/large` answers with 64 MiB as fast as it is read, `/sink` reads what it gets, all else answers "ok". */
function startService(): Promise<Http2Server> {
  const chunk = Buffer.alloc(64 * 1024);
  const server = createServer((incoming, response) => {
    incoming.on("error", () => response.destroy());
    incoming.resume();
    if (!incoming.url.startsWith("/large")) {
      incoming.on("end", () => response.end("ok"));
      return;
    }
    let left = LARGE;
    const pump = () => {
      while (left > 0) {
        left -= chunk.length;
        written += chunk.length;
        if (!response.write(chunk)) return void response.once("drain", pump);
      }
      response.end();
    };
    pump();
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

let written = 0;

/** The service is not asked for more: all that will be held is held. Answers to a neighbour are the clock. */
async function stalled(): Promise<void> {
  for (let seen = -1; seen !== written; ) {
    seen = written;
    for (let at = 0; at < 100; at++) assert.equal((await neighbour.get()).body.toString(), "ok");
  }
}

/** The gateway's memory grew by less than this, and the neighbour is served. */
async function calm(before: number, bound: number): Promise<void> {
  assert.equal((await neighbour.get()).body.toString(), "ok");
  const growth = (await gateway.rss()) - before;
  assert.ok(growth < bound, `memory grew by ${Math.round(growth / MIB)} MiB, the bound is ${bound / MIB}`);
}

/** Status and code of the gateway's answer on a stream: fields, or a reset. */
async function refusal(client: WireClient, stream: number): Promise<string> {
  const it = await client.message(stream);
  if (it.reset !== undefined) return `reset ${f.codeName(it.reset)}`;
  const value = (name: string) => [...it.fields, ...it.trailers].find((field) => field.name === name)?.value;
  return `status ${value(":status")} grpc ${value("grpc-status") ?? "-"}`;
}

describe("slow and greedy peers", () => {
  before(async () => {
    service = await startService();
    gateway = await startGateway({
      definitions: [keyless({ target: `h2c://127.0.0.1:${(service.address() as AddressInfo).port}` })],
      settings: { http_server_options: { read_timeout: 1, write_timeout: 1 } },
    });
    neighbour = await WireClient.ready(gateway.port);
    assert.equal((await neighbour.get()).body.toString(), "ok");
  });

  after(async () => {
    neighbour?.close();
    await gateway?.stop();
    service?.close();
  });

  test("a header list that grows beyond its bound by repetition (HPACK bomb) is refused without being built", async () => {
    const before = await gateway.rss();
    const client = await WireClient.ready(gateway.port);
    const stream = client.newStream();
    const bytes = Buffer.concat([block(...request()), bomb()]);
    client.send(f.headers(stream, bytes.subarray(0, 16_000), { end: true, endHeaders: false }));
    client.send(f.continuation(stream, bytes.subarray(16_000)));
    const answer = await refusal(client, stream);
    assert.ok(["status 431 grpc -", "reset ENHANCE_YOUR_CALM", "reset PROTOCOL_ERROR"].includes(answer), answer);
    assert.equal((await client.get()).body.toString(), "ok", "the table is still in step");
    client.close();
    await calm(before, 32 * MIB);
  });

  test("a gRPC caller whose header list is too large gets RESOURCE_EXHAUSTED or a reset", async () => {
    const client = await WireClient.ready(gateway.port);
    const stream = client.newStream();
    const entry = literal("x-bomb", "b".repeat(4_000), 0x40);
    const again = Buffer.concat(Array.from({ length: 30 }, () => indexed(62)));
    client.send(f.headers(stream, Buffer.concat([block(...grpcRequest("/a/B")), entry, again]), { end: true }));
    const answer = await refusal(client, stream);
    assert.ok(["status 200 grpc 8", "reset ENHANCE_YOUR_CALM"].includes(answer), answer);
    client.close();
  });

  test("more fields than the bound are refused although they are small", async () => {
    const client = await WireClient.ready(gateway.port);
    const stream = client.newStream();
    const many = Buffer.concat(Array.from({ length: 1_200 }, () => literal("a", "")));
    client.send(f.headers(stream, Buffer.concat([block(...request()), many]), { end: true }));
    const answer = await refusal(client, stream);
    assert.ok(["status 431 grpc -", "reset ENHANCE_YOUR_CALM"].includes(answer), answer);
    client.close();
  });

  test("a caller that grants no window holds a bounded part of a large reply", async () => {
    const before = await gateway.rss();
    const client = await WireClient.ready(gateway.port, [Setting.INITIAL_WINDOW_SIZE, 0]);
    const streams = Array.from({ length: 20 }, () => client.newStream());
    client.send(...streams.map((it) => f.headers(it, block(...request({ ":path": "/large" })), { end: true })));
    for (const it of streams) await client.expectHeaders(it);
    await stalled();
    await calm(before, 48 * MIB);
    client.close();
  });

  test("a caller that grants windows but does not read holds a bounded part of large replies", async () => {
    const before = await gateway.rss();
    const client = await WireClient.ready(gateway.port, [Setting.INITIAL_WINDOW_SIZE, f.MAX_WINDOW]);
    client.send(f.windowUpdate(0, f.MAX_WINDOW - 65_535));
    client.socket.pause();
    const streams = Array.from({ length: 20 }, () => client.newStream());
    client.send(...streams.map((it) => f.headers(it, block(...request({ ":path": "/large" })), { end: true })));
    await stalled();
    assert.ok(written < 20 * LARGE, "the service was held back");
    await calm(before, 64 * MIB);
    client.close();
  });

  test("a caller that asks for answers without reading them is cut or stopped", async () => {
    const before = await gateway.rss();
    const client = await WireClient.ready(gateway.port);
    client.socket.pause();
    const bytes = block(...request({ ":method": "GET", ":path": "/nothing", "content-type": "application/grpc" }));
    for (let at = 0; at < 200 && client.socket.writableLength < 4 * MIB; at++) {
      client.socket.write(
        Buffer.concat(Array.from({ length: 500 }, () => f.encode(f.headers(client.newStream(), bytes, { end: true })))),
      );
      await new Promise((resolve) => setImmediate(resolve));
    }
    await calm(before, 64 * MIB);
    client.close();
  });

  test("a zero window does not keep a caller's RST_STREAM from freeing its stream", async () => {
    const client = await WireClient.ready(gateway.port, [Setting.INITIAL_WINDOW_SIZE, 0]);
    for (let round = 0; round < 3; round++) {
      const streams = Array.from({ length: 250 }, () => client.newStream());
      client.send(...streams.map((it) => f.headers(it, block(...request()), { end: true })));
      for (const it of streams) await client.expectHeaders(it);
      client.send(f.settings([Setting.INITIAL_WINDOW_SIZE, 2]), f.settings([Setting.INITIAL_WINDOW_SIZE, 0]));
      for (const it of streams) assert.equal((await client.message(it)).body.toString(), "ok");
    }
    client.close();
  });

  test("a header block that is begun and not finished ends the connection after read_timeout", async () => {
    const client = await WireClient.ready(gateway.port);
    client.send(f.headers(1, block(...request()), { end: true, endHeaders: false }));
    await client.expectEnd();
    client.close();
  });

  test("a preface that is begun and not finished ends the connection after read_timeout", async () => {
    const client = await WireClient.connect(gateway.port);
    client.sendBytes(f.PREFACE.subarray(0, 10));
    await client.expectEnd();
    client.close();
  });

  test("a connection that says nothing at all ends after read_timeout", async () => {
    const client = await WireClient.connect(gateway.port);
    await client.expectEnd();
    client.close();
  });

  test("a hundred connections torn in the middle of a frame leave nothing behind", async () => {
    const before = await gateway.rss();
    for (let at = 0; at < 100; at++) {
      const client = await WireClient.connect(gateway.port);
      client.sendBytes(f.PREFACE).send(f.settings(), f.headers(1, block(...request({ ":method": "POST" }))));
      await client.barrier();
      client.sendBytes(f.encode(f.data(1, "x".repeat(10_000))).subarray(0, 5_000));
      client.socket.resetAndDestroy();
    }
    await calm(before, 32 * MIB);
  });

  test("a call that is silent for longer than every time limit goes on", async () => {
    const client = await WireClient.ready(gateway.port);
    const stream = client.newStream();
    client.send(f.headers(stream, block(...grpcRequest("/a/B"))));
    // Two connections that live exactly as long as read_timeout, one after the other, are the clock here.
    for (let at = 0; at < 2; at++) {
      const clock = await WireClient.connect(gateway.port);
      await clock.expectEnd();
      clock.close();
    }
    client.send(f.data(stream, "", { end: true }));
    assert.equal((await client.message(stream)).body.toString(), "ok");
    client.close();
  });

  test("an unreadable peer's GOAWAY code is never an internal error", async () => {
    const client = await WireClient.ready(gateway.port);
    client.sendBytes(Buffer.alloc(200, 0xff));
    await client.expectConnectionError(Code.FRAME_SIZE_ERROR);
    client.close();
  });
});
