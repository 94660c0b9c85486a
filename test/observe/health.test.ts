// The gateway's own grpc.health.v1.Health on both ports, asked by @grpc/grpc-js: Check, Watch, changes, and whose path it is.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { status } from "@grpc/grpc-js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { failureOf, GrpcClient, readAll } from "../support/grpc/client.js";
import type { Method } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { until } from "../support/waiting.js";

const HEALTH = "grpc.health.v1.Health";
const check: Method = { name: "Check", requestStream: false, responseStream: false };
const watch: Method = { name: "Watch", requestStream: false, responseStream: true };
const about = (service: string): Buffer => Buffer.concat([Buffer.from([0x0a, service.length]), Buffer.from(service)]);
const NOTHING = Buffer.alloc(0);
const SERVING = Buffer.from([8, 1]);
const NOT_SERVING = Buffer.from([8, 2]);
const SERVICE_UNKNOWN = Buffer.from([8, 3]);

let service: GrpcService;
let gateway: Gateway;

before(async () => {
  service = await GrpcService.listen("test.Echo");
  gateway = await startGateway({
    definitions: [keyless({ target: service.target, path: "/test.Echo" })],
    settings: { graceful_shutdown_delay_seconds: 1, graceful_shutdown_timeout_duration: 5 },
  });
});

after(async () => {
  await gateway?.stop();
  service?.close();
});

/** Every message as it comes, and how it ended. */
function watching(port: number, request: Buffer = NOTHING) {
  const client = new GrpcClient(port, HEALTH);
  const call = client.reading(watch, request.toString("latin1"));
  const heard: Buffer[] = [];
  call.on("data", (message: Buffer) => heard.push(message));
  const ended = readAll(call).then(({ status }) => {
    client.close();
    return status.code;
  });
  return { heard, ended, call };
}

for (const place of ["main", "control"] as const) {
  const port = (): number => (place === "main" ? gateway.port : gateway.controlPort);

  test(`the ${place} port answers Check, about itself only`, async () => {
    const client = new GrpcClient(port(), HEALTH);
    assert.deepEqual((await client.unary(check, NOTHING)).body, SERVING);
    assert.deepEqual((await client.unary(check, about(""))).body, SERVING);
    assert.equal((await failureOf(client.unary(check, about("test.Echo")))).code, status.NOT_FOUND);
    for (const malformed of [Buffer.from([0x0a, 200, 1]), Buffer.from([0xff]), Buffer.alloc(100_000, 0x0a)])
      assert.equal((await failureOf(client.unary(check, malformed))).code, status.INTERNAL);
    assert.equal((await failureOf(client.unary({ ...check, name: "Other" }, NOTHING))).code, status.UNIMPLEMENTED);
    client.close();
  });

  test(`the ${place} port lets callers watch, also what it does not know`, async () => {
    const known = watching(port());
    const unknown = watching(port(), about("a.Service"));
    await until("both are told", () => known.heard.length === 1 && unknown.heard.length === 1);
    assert.deepEqual([known.heard, unknown.heard], [[SERVING], [SERVICE_UNKNOWN]]);
    for (const { call, ended } of [known, unknown]) {
      call.cancel();
      assert.equal(await ended, status.CANCELLED);
    }
  });
}

test("an API that claims the path has it", async (context) => {
  const everything = await startGateway({ definitions: [keyless({ target: service.target, path: "/" })] });
  context.after(() => everything.stop());
  const client = new GrpcClient(everything.port, HEALTH);
  // The service has no such method: it is its answer.
  assert.equal((await failureOf(client.unary(check, NOTHING))).code, status.UNIMPLEMENTED);
  client.close();
});

test("who watches a worker that is replaced is told and finds its successor", async () => {
  const watcher = watching(gateway.port);
  await until("it is told", () => watcher.heard.length === 1);
  gateway.signal("SIGUSR2");
  assert.equal(await watcher.ended, status.UNAVAILABLE);
  assert.deepEqual(watcher.heard, [SERVING, NOT_SERVING]);
  const client = new GrpcClient(gateway.port, HEALTH);
  assert.deepEqual((await client.unary(check, NOTHING)).body, SERVING);
  client.close();
});

test("who watches a gateway that shuts down is told before its calls end", async () => {
  const main = watching(gateway.port);
  const control = watching(gateway.controlPort);
  await until("both are told", () => main.heard.length === 1 && control.heard.length === 1);
  gateway.signal("SIGTERM");
  await until("both are told again", () => main.heard.length === 2 && control.heard.length === 2);
  assert.deepEqual(main.heard, [SERVING, NOT_SERVING]);
  assert.deepEqual(control.heard, [SERVING, NOT_SERVING]);
  assert.equal(await main.ended, status.UNAVAILABLE);
  assert.equal(await control.ended, status.UNAVAILABLE);
  await until("it has ended", () => gateway.exited !== undefined);
});
