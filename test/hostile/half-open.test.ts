// Responsible for: peers that are gone without a word: found by PING, cut, and their calls ended on the other side.
// Must not know: the engine's insides. Governed by: issue 2, section 6. One gateway with short times; answers, never time.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { until } from "../support/waiting.js";
import { grpcRequest, WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import { WireServer } from "../support/wire/server.js";

let gateway: Gateway;
let service: WireServer;

function call(client: WireClient): number {
  const stream = client.newStream();
  client.send(f.headers(stream, block(...grpcRequest("/a/B"))));
  return stream;
}

const isPing = (it: f.Frame) => it.type === f.Type.PING && !(it.flags & f.Flag.ACK);

describe("half-open connections", () => {
  before(async () => {
    service = await WireServer.listen();
    gateway = await startGateway({
      definitions: [keyless({ target: service.target })],
      settings: { upstream: { keepalive_time: 0.5, keepalive_timeout: 0.5 }, access_logs: { enabled: true } },
    });
  });

  after(async () => {
    await gateway?.stop();
    await service?.close();
  });

  test("a service that does not answer PING is cut, and its caller gets UNAVAILABLE", async () => {
    const client = await WireClient.ready(gateway.port);
    const stream = call(client);
    const it = await service.request();
    it.connection.habits.answers = false;
    await it.connection.expect("PING", isPing);
    const message = await client.message(stream);
    assert.equal(message.fields.find(({ name }) => name === "grpc-status")?.value, "14");
    assert.notEqual(it.connection.ending, undefined);
    it.connection.close();
    client.close();
  });

  test("a silent call whose service answers PING goes on, longer than every limit", async () => {
    const client = await WireClient.ready(gateway.port);
    const stream = call(client);
    const it = await service.request();
    for (let at = 0; at < 2; at++) await it.connection.expect("PING", isPing);
    it.connection.replyGrpc(it.stream);
    const message = await client.message(stream);
    assert.equal(message.trailers.find(({ name }) => name === "grpc-status")?.value, "0");
    client.close();
  });

  test("peers 31: a caller that does not answer PING is cut, its call is cancelled at the service, and the log says why", async () => {
    const client = await WireClient.ready(gateway.port);
    client.habits.answers = false;
    call(client);
    const it = await service.request();
    await client.expect("PING", isPing);
    await it.connection.expectReset(it.stream, f.Code.CANCEL);
    await until("the log says why", () => /"ended_by":"gateway","reason":"keepalive_timeout"/.test(gateway.logs));
    client.close();
  });
});
