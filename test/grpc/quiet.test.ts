// Responsible for: calls that say nothing for longer than every timeout of the gateway, all of them made short.
// Must not know: the gateway's insides. Governed by: issue 2, section 6: by default no timer ends a call.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { status } from "@grpc/grpc-js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { GrpcClient, nextMessage, statusOf } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { until } from "../support/waiting.js";

const NAME = "test.Echo";
const SHORTEST = 1;
/** Longer than any of them, with the PING that asks and its patience, and a new connection for one that is too old. */
const QUIET_MS = 4_000;

const short = {
  proxy_default_timeout: SHORTEST,
  max_conn_time: 0,
  http_server_options: { read_timeout: SHORTEST, write_timeout: SHORTEST },
  upstream: {
    connect_timeout: SHORTEST,
    keepalive_time: SHORTEST,
    keepalive_timeout: SHORTEST,
    max_age: SHORTEST,
    idle_timeout: SHORTEST,
    resolve_interval: SHORTEST,
  },
};

describe("silent calls", { concurrency: true }, () => {
  let service: GrpcService;
  let gateways: Gateway[] = [];
  const clients: GrpcClient[] = [];

  before(async () => {
    service = await GrpcService.listen(NAME);
    const definitions = [keyless({ target: service.target, path: `/${NAME}` })];
    gateways = await Promise.all([
      startGateway({ definitions, settings: short }),
      startGateway({ definitions, settings: { stream_idle_timeout: SHORTEST, access_logs: { enabled: true } } }),
    ]);
    for (const it of gateways) clients.push(new GrpcClient(it.port, NAME));
  });

  after(async () => {
    for (const it of clients) it.close();
    for (const it of gateways) await it.stop();
    service?.close();
  });

  test("a bidirectional stream outlives every timeout of its connections in silence", async () => {
    const call = clients[0]!.duplex(METHODS.chat);
    const end = statusOf(call);
    call.write(Buffer.from("before"));
    await nextMessage(call);
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    call.write(Buffer.from("after"));
    assert.equal((await nextMessage(call)).toString(), "after");
    call.end();
    call.resume();
    assert.equal((await end).code, status.OK);
  });

  test("a call that was never answered outlives them too, and its cancel still arrives", async () => {
    const call = clients[0]!.reading(METHODS.hold, "silent");
    const end = statusOf(call);
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    call.cancel();
    assert.equal((await end).code, status.CANCELLED);
    await service.whenCancelled("silent");
  });

  test("peers 31: stream_idle_timeout ends a silent call with DEADLINE_EXCEEDED, the service sees it, and the log says why", async () => {
    const call = clients[1]!.reading(METHODS.hold, "idle:first");
    const end = statusOf(call);
    call.resume();
    assert.equal((await end).code, status.DEADLINE_EXCEEDED);
    await service.whenCancelled("idle");
    await until("the log says why", () => /"ended_by":"gateway","reason":"idle"/.test(gateways[1]!.logs));
  });

  test("stream_idle_timeout spares a call on which either side speaks", async () => {
    const call = clients[1]!.duplex(METHODS.chat);
    const end = statusOf(call);
    for (let at = 0; at < 8; at++) {
      call.write(Buffer.from("tick"));
      await nextMessage(call);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
    call.end();
    call.resume();
    assert.equal((await end).code, status.OK);
  });
});
