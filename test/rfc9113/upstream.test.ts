// Responsible for: the gateway's client side against a service that misbehaves: what the service is told, what the
// caller sees, and that the next call is served. Must not know: the engine's insides.
// Governed by: RFC 9113; issue 2, sections 6 and 7. One gateway, one service per case.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { grpcRequest, WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import type { Message } from "../support/wire/peer.js";
import { WireServer } from "../support/wire/server.js";
import { type UpstreamFault, upstreamFaults } from "./upstream-cases.js";

let gateway: Gateway;
const services: WireServer[] = [];

const textOf = (it: Message, name: string): string | undefined =>
  [...it.fields, ...it.trailers].find((field) => field.name === name)?.value;

/** A gRPC call to a case's service, with one empty message. */
function call(client: WireClient, at: number): number {
  const stream = client.newStream();
  client.send(
    f.headers(stream, block(...grpcRequest(`/case-${at}/Call`))),
    f.data(stream, Buffer.alloc(5), { end: true }),
  );
  return stream;
}

async function seen(client: WireClient, stream: number, it: UpstreamFault): Promise<void> {
  const message = await client.message(stream);
  if (it.caller === "reset") {
    assert.equal(textOf(message, ":status"), "200");
    assert.notEqual(message.reset, undefined, "a reply that breaks off in a message ends with RST_STREAM");
    return;
  }
  assert.equal(message.reset, undefined);
  assert.equal(textOf(message, ":status"), "200");
  assert.equal(textOf(message, "grpc-status"), it.caller === "reply" ? "0" : "14");
  if (it.caller === "unavailable") assert.equal(message.body.length, 0);
}

async function run(it: UpstreamFault, at: number): Promise<void> {
  const service = services[at]!;
  const client = await WireClient.ready(gateway.port);
  const stream = call(client, at);
  const request = await service.request();
  it.send(request);
  if (it.connection) {
    const goaway = await request.connection.expect("GOAWAY", (frame) => frame.type === f.Type.GOAWAY);
    assert.ok(it.connection.includes(f.codeOf(goaway)), `GOAWAY came with ${f.codeName(f.codeOf(goaway))}`);
    await request.connection.expectEnd();
    request.connection.close();
  }
  if (it.stream !== undefined) await request.connection.expectReset(request.stream, it.stream);
  await seen(client, stream, it);
  const again = call(client, at);
  const next = await service.request();
  if (it.stream !== undefined) assert.equal(next.connection, request.connection, "a stream error costs no connection");
  next.connection.replyGrpc(next.stream);
  assert.equal(textOf(await client.message(again), "grpc-status"), "0");
  client.close();
}

describe("faults of a service", () => {
  before(async () => {
    for (const _ of upstreamFaults) services.push(await WireServer.listen());
    gateway = await startGateway({
      definitions: services.map((it, at) => keyless({ id: `case-${at}`, path: `/case-${at}/`, target: it.target })),
    });
  });

  after(async () => {
    await gateway?.stop();
    for (const it of services) await it.close();
  });

  for (const [at, it] of upstreamFaults.entries()) {
    const told = it.connection
      ? `GOAWAY(${it.connection.map(f.codeName)})`
      : `RST_STREAM(${f.codeName(it.stream ?? 0)})`;
    test(`${it.says}: the service is told ${told}, the caller sees ${it.caller}`, () => run(it, at));
  }
});
