// Responsible for: pain 32 of other gateways' users: a connection that lives long and slowly stops forwarding, because octets
// of calls that ended badly were never credited. Both ends keep accounts of their own, which the gateway's must equal.
// Must not know: the engine's insides. Governed by: README.md beside this file; RFC 9113, 6.9. One gateway.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Inspection } from "../../src/shared/observe/inspection.js";
import { statusOf } from "../rfc9113/relay-scene.js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { until } from "../support/waiting.js";
import { grpcRequest, WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block, type Field } from "../support/wire/hpack.js";
import type { WirePeer } from "../support/wire/peer.js";
import { type WireRequest, WireServer } from "../support/wire/server.js";

const { Code, Type } = f;
/** The smallest that a gateway may be told to grant: a leak of as many octets stops everything. */
const WINDOW = 65_535;
/** What the ends grant a stream: less than a body, so that a part of it waits in the gateway. */
const NARROW = 4_000;
const BODY = 6_000;
const ROUNDS = 3;
const GRPC: Field = ["content-type", "application/grpc"];

const message = (length: number): Buffer => {
  const bytes = Buffer.alloc(length, "abcdefghij");
  bytes[0] = 0;
  bytes.writeUInt32BE(length - 5, 1);
  return bytes;
};

/** One end's own account of what may be sent on its connection; it credits the connection for all that comes. */
class Account {
  /** What this end may still send, and what the other one may. */
  credit = WINDOW;
  granted = WINDOW;
  private readonly streams = new Map<number, number>();

  constructor(readonly peer: WirePeer) {
    const reader = new f.FrameReader();
    const send = peer.send.bind(peer);
    peer.send = (...frames) => {
      for (const it of frames) this.sent(it);
      return send(...frames);
    };
    peer.socket.on("data", (bytes) => {
      for (const it of reader.push(bytes)) this.received(it);
    });
  }

  /** Sends a body as far as credit goes, and goes on when there is more. */
  async send(stream: number, bytes: Buffer, options: { end?: boolean; padding?: number } = {}): Promise<void> {
    const { end = false, ...rest } = options;
    const extra = rest.padding === undefined ? 0 : rest.padding + 1;
    for (let at = 0; at < bytes.length; ) {
      const room = (): number => Math.min(this.credit, this.streams.get(stream) ?? WINDOW, 2_000 + extra) - extra;
      await until(`there is credit on stream ${stream}`, () => room() > 0);
      const next = Math.min(bytes.length, at + room());
      this.peer.send(f.data(stream, bytes.subarray(at, next), { ...rest, end: end && next === bytes.length }));
      at = next;
    }
  }

  /** Takes so many octets of a body, and gives the stream credit for them. */
  async take(stream: number, length: number): Promise<void> {
    for (let got = 0; got < length; ) {
      const it = await this.peer.expectData(stream);
      got += it.flags & f.Flag.PADDED ? it.payload.length - 1 - it.payload[0]! : it.payload.length;
      if (it.payload.length > 0) this.peer.send(f.windowUpdate(stream, it.payload.length));
    }
  }

  private sent(it: f.Frame): void {
    if (it.type === Type.DATA) {
      this.credit -= it.payload.length;
      this.streams.set(it.stream, (this.streams.get(it.stream) ?? WINDOW) - it.payload.length);
    }
    if (it.type === Type.WINDOW_UPDATE && it.stream === 0) this.granted += it.payload.readUInt32BE(0);
  }

  private received(it: f.Frame): void {
    if (it.type === Type.WINDOW_UPDATE) {
      const more = it.payload.readUInt32BE(0);
      if (it.stream === 0) this.credit += more;
      else this.streams.set(it.stream, (this.streams.get(it.stream) ?? WINDOW) + more);
    }
    if (it.type !== Type.DATA || it.payload.length === 0) return;
    this.granted -= it.payload.length;
    this.peer.send(f.windowUpdate(0, it.payload.length));
  }
}

interface Scene {
  client: WireClient;
  caller: Account;
  service: Account;
  request: () => Promise<WireRequest>;
}

function open({ client }: Scene, more: Field[] = [], path = "/led.Api/M"): number {
  const stream = client.newStream();
  client.send(f.headers(stream, block(...grpcRequest(path), ...more)));
  return stream;
}

const head = (it: WireRequest): void => void it.connection.send(f.headers(it.stream, block([":status", "200"], GRPC)));
const served = (it: WireRequest): void =>
  void it.connection.send(f.headers(it.stream, block(["grpc-status", "0"]), { end: true }));

/** The answer's whole way: every octet is credited. */
async function whole(scene: Scene, stream: number, it: WireRequest, padding?: number): Promise<void> {
  const padded = padding === undefined ? {} : { padding };
  await scene.service.take(it.stream, BODY);
  head(it);
  await Promise.all([scene.service.send(it.stream, message(BODY), padded), scene.caller.take(stream, BODY)]);
  served(it);
  assert.equal(statusOf(await scene.client.message(stream)), "0");
}

/** Ways in which a call ends while octets of it are somewhere: on the way, held, waiting for a receiver, thrown away. */
const fates: Record<string, (scene: Scene) => Promise<void>> = {
  async served(scene) {
    const stream = open(scene);
    const [it] = await Promise.all([scene.request(), scene.caller.send(stream, message(BODY), { end: true })]);
    await whole(scene, stream, it);
  },
  async padded(scene) {
    const stream = open(scene);
    const [it] = await Promise.all([
      scene.request(),
      scene.caller.send(stream, message(BODY), { end: true, padding: 99 }),
    ]);
    await whole(scene, stream, it, 99);
  },
  async cancelledWhileItsRequestWaits(scene) {
    const stream = open(scene);
    const [it] = await Promise.all([scene.request(), scene.caller.send(stream, message(BODY))]);
    await it.connection.expectData(it.stream);
    scene.client.send(f.reset(stream, Code.CANCEL));
    await it.connection.expectReset(it.stream, Code.CANCEL);
  },
  async resetByTheServiceWhileItsRequestWaits(scene) {
    const stream = open(scene);
    const [it] = await Promise.all([scene.request(), scene.caller.send(stream, message(BODY))]);
    it.connection.send(f.reset(it.stream, Code.INTERNAL_ERROR));
    assert.notEqual((await scene.client.message(stream)).reset, undefined);
    // A caller that has not heard of it yet.
    await scene.caller.send(stream, Buffer.alloc(1_000));
  },
  async cancelledWhileItsResponseWaits(scene) {
    const stream = open(scene);
    const [it] = await Promise.all([scene.request(), scene.caller.send(stream, message(BODY), { end: true })]);
    await scene.service.take(it.stream, BODY);
    head(it);
    await scene.service.send(it.stream, message(BODY));
    await scene.client.expectData(stream);
    scene.client.send(f.reset(stream, Code.CANCEL));
    await it.connection.expectReset(it.stream, Code.CANCEL);
    await scene.service.send(it.stream, Buffer.alloc(1_000));
  },
  async resetByTheServiceWhileItsResponseWaits(scene) {
    const stream = open(scene);
    const [it] = await Promise.all([scene.request(), scene.caller.send(stream, message(BODY), { end: true })]);
    head(it);
    await scene.service.send(it.stream, message(BODY));
    await scene.client.expectData(stream);
    it.connection.send(f.reset(it.stream, Code.INTERNAL_ERROR));
    assert.notEqual((await scene.client.message(stream)).reset, undefined);
  },
  async answeredEarly(scene) {
    const stream = open(scene);
    const [it] = await Promise.all([scene.request(), scene.caller.send(stream, message(BODY))]);
    it.connection.send(f.headers(it.stream, block([":status", "200"], GRPC, ["grpc-status", "9"]), { end: true }));
    it.connection.send(f.reset(it.stream, Code.NO_ERROR));
    assert.equal(statusOf(await scene.client.message(stream)), "9");
    await scene.caller.send(stream, Buffer.alloc(1_000));
  },
  async refusedAndMoved(scene) {
    const stream = open(scene);
    const [it] = await Promise.all([scene.request(), scene.caller.send(stream, message(BODY), { end: true })]);
    it.connection.send(f.reset(it.stream, Code.REFUSED_STREAM));
    await whole(scene, stream, await scene.request());
  },
  async nobodys(scene) {
    const stream = open(scene, [], "/unknown.Api/M");
    await scene.caller.send(stream, message(BODY), { end: true });
    assert.equal(statusOf(await scene.client.message(stream)), "12");
  },
  async late(scene) {
    const stream = open(scene, [["grpc-timeout", "30m"]]);
    const [it] = await Promise.all([scene.request(), scene.caller.send(stream, message(BODY))]);
    assert.equal(statusOf(await scene.client.message(stream)), "4");
    await it.connection.expectReset(it.stream, Code.CANCEL);
  },
};

let led: WireServer;
let gateway: Gateway;

before(async () => {
  led = await WireServer.listen({ greeting: [f.settings([f.Setting.INITIAL_WINDOW_SIZE, NARROW])] });
  const windows = { stream_window: WINDOW, max_stream_window: WINDOW, connection_window: WINDOW };
  gateway = await startGateway({
    definitions: [keyless({ target: led.target, path: "/led.Api" })],
    settings: {
      engine: { downstream: windows, upstream: windows },
      upstream: { min_connections: 1, max_connections: 1, cancel_budget: 0 },
    },
  });
});

after(async () => {
  await gateway?.stop();
  await led?.close();
});

/** What the gateway says of its only two connections. */
async function shown(): Promise<number[]> {
  const answer = await fetch(`http://127.0.0.1:${gateway.controlPort}/tyk/debug/connections`, {
    headers: { "x-tyk-authorization": "test-secret" },
  });
  const [worker] = ((await answer.json()) as { workers: Inspection[] }).workers;
  return [...worker!.callers, ...worker!.services].flatMap((it) => [it.receive_window, it.send_window]);
}

test("peers 32: a long-lived connection forwards on, however its calls end: no octet's credit is lost or given twice", async () => {
  const client = await WireClient.ready(gateway.port, [f.Setting.INITIAL_WINDOW_SIZE, NARROW]);
  // Neither side has sent DATA when the accounts are opened.
  const first = client.newStream();
  client.send(f.headers(first, block(...grpcRequest("/led.Api/M")), { end: true }));
  const it = await led.request();
  const scene: Scene = {
    client,
    caller: new Account(client),
    service: new Account(it.connection),
    request: () => led.request(),
  };
  served(it);
  await client.message(first);
  const counted = (): number[] => [scene.caller, scene.service].flatMap(({ credit, granted }) => [credit, granted]);
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, fate] of Object.entries(fates)) {
      await fate(scene);
      let seen: number[] = [];
      await until(`the gateway's accounts are right after a call was ${name}`, async () => {
        seen = await shown();
        return seen.join() === counted().join();
      });
      // Credit is given back half a window at a time.
      for (const window of seen) assert.ok(window >= WINDOW / 2, `${name}: ${seen}`);
    }
  // Several windows each way, at last.
  const stream = open(scene);
  const sending = scene.caller.send(stream, message(3 * WINDOW), { end: true });
  const last = await scene.request();
  await Promise.all([sending, scene.service.take(last.stream, 3 * WINDOW)]);
  head(last);
  await Promise.all([scene.service.send(last.stream, message(3 * WINDOW)), scene.caller.take(stream, 3 * WINDOW)]);
  served(last);
  assert.equal(statusOf(await client.message(stream)), "0");
  assert.equal(led.connections.length, 1);
  client.close();
});
