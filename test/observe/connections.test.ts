// GET /tyk/debug/connections of a real gateway: what is live, why it waits, and what is not told.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { ConnectionReport, Inspection, StreamReport } from "../../src/shared/observe/inspection.js";
import { freePorts, type Gateway, keyless, startGateway } from "../support/gateway.js";
import { GrpcClient } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { until } from "../support/waiting.js";
import { grpcRequest, WireClient } from "../support/wire/client.js";
import { data, headers, Setting } from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";

const SERVICE = "test.Echo";
const SECRET = { "x-tyk-authorization": "test-secret" };

/** Nothing but the pid of a worker that is still starting. */
type Shown = { pid: number } & Partial<Inspection>;

let service: GrpcService;
let gateway: Gateway;

before(async () => {
  service = await GrpcService.listen(SERVICE);
  const [nobody = 0] = await freePorts(1);
  gateway = await startGateway({
    definitions: [
      keyless({ target: service.target, id: "echo", path: `/${SERVICE}` }),
      keyless({ target: `h2c://127.0.0.1:${nobody}`, id: "gone", path: "/gone.Service" }),
    ],
    workers: 2,
  });
});

after(async () => {
  await gateway?.stop();
  service?.close();
});

async function ask(query = ""): Promise<Shown[]> {
  const answer = await fetch(`http://127.0.0.1:${gateway.controlPort}/tyk/debug/connections${query}`, {
    headers: SECRET,
  });
  assert.equal(answer.status, 200);
  return ((await answer.json()) as { workers: Shown[] }).workers;
}

const connectionsOf = (shown: readonly Shown[]): ConnectionReport[] => shown.flatMap(({ callers }) => callers ?? []);

async function streamWaiting(reason: string): Promise<StreamReport> {
  let found: StreamReport | undefined;
  await until(`a stream waits for ${reason}`, async () => {
    const streams = connectionsOf(await ask()).flatMap(({ streams }) => streams);
    found = streams.find(({ waits_for }) => waits_for === reason);
    return found !== undefined;
  });
  return found!;
}

const message = (text: string): Buffer => Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), Buffer.from(text)]);

function call(client: WireClient, method: string, text: string, extra: Record<string, string> = {}): void {
  const stream = client.newStream();
  client.send(headers(stream, block(...grpcRequest(`/${SERVICE}/${method}`, extra))));
  client.send(data(stream, message(text), { end: true }));
}

test("a caller that grants nothing is told apart from a service that says nothing", async () => {
  const stingy = await WireClient.ready(gateway.port, [Setting.INITIAL_WINDOW_SIZE, 10]);
  call(stingy, "Give", "1200:10000", { authorization: "a-credential" });
  const credit = await streamWaiting("caller_credit");
  assert.equal(credit.api, "echo");
  assert.equal(credit.path, `/${SERVICE}/Give`);
  assert.equal(credit.to_caller.window, 0);
  assert.ok(credit.to_caller.bytes > 0);
  assert.equal(credit.service?.target, service.target.slice("h2c://".length));
  call(stingy, "Watch", "nobody?token=hidden", { "grpc-timeout": "1H" });
  const silent = await streamWaiting("service");
  assert.equal(silent.path, `/${SERVICE}/Watch`);
  assert.ok((silent.deadline_ms ?? 0) > 3_000_000);
  const shown = await ask();
  assert.equal(JSON.stringify(shown).includes("a-credential"), false);
  assert.equal(JSON.stringify(shown).includes("hidden"), false);
  assert.equal(
    shown.reduce((sum, { waits }) => sum + (waits?.["caller_credit"] ?? 0), 0),
    1,
  );
  assert.ok(shown.some(({ services }) => services?.some(({ state, open }) => state === "ready" && open === 2)));
  stingy.socket.destroy();
});

test("a caller in the middle of its request is waited for", async () => {
  const slow = await WireClient.ready(gateway.port);
  slow.send(headers(slow.newStream(), block(...grpcRequest(`/${SERVICE}/Echo`))));
  await streamWaiting("caller");
  slow.socket.destroy();
});

test("the answer is bounded, and narrowed by caller and API", async () => {
  const client = new GrpcClient(gateway.port, SERVICE);
  const held = Array.from({ length: 8 }, (_, n) => client.reading(METHODS.hold, `h${n}`));
  await until("all are there", async () => {
    const all = connectionsOf(await ask("?api=echo"));
    return all.reduce((sum, { open }) => sum + open, 0) === 8;
  });
  const few = connectionsOf(await ask("?api=echo&limit=3"));
  assert.equal(
    few.reduce((sum, { streams }) => sum + streams.length, 0),
    3,
  );
  assert.equal(
    few.reduce((sum, { open }) => sum + open, 0),
    8,
  );
  assert.deepEqual(connectionsOf(await ask("?api=gone")), []);
  assert.deepEqual(connectionsOf(await ask("?address=192.0.2.1")), []);
  for (const call of held) call.cancel();
  client.close();
  const url = `http://127.0.0.1:${gateway.controlPort}/tyk/debug/connections`;
  for (const limit of ["0", "-1", "1001", "x", "1.5"])
    assert.equal((await fetch(`${url}?limit=${limit}`, { headers: SECRET })).status, 400);
  assert.equal((await fetch(url)).status, 403);
});
