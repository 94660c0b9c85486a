// The access log of a real gateway: which calls get a line, what stands in it, and what never does.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Metadata } from "@grpc/grpc-js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { GrpcClient } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { isRunning, until } from "../support/waiting.js";
import { WireServer } from "../support/wire/server.js";

const SERVICE = "test.Echo";
const SECRET = { "x-tyk-authorization": "test-secret" };

type Line = Record<string, string | number>;

let service: GrpcService;
/** Says nothing, and so keeps no deadline of its own. */
let silent: WireServer;
let gateway: Gateway;
let client: GrpcClient;

before(async () => {
  service = await GrpcService.listen(SERVICE);
  silent = await WireServer.listen({});
  const gated = { use_keyless: false, use_standard_auth: true, auth: { auth_header_name: "authorization" } };
  gateway = await startGateway({
    definitions: [
      keyless({ target: service.target, id: "open", path: `/${SERVICE}` }),
      keyless({ target: silent.target, id: "silent", path: "/silent.Api" }),
      keyless({
        target: service.target,
        id: "gated",
        path: "/gated/",
        more: gated,
        proxy: { strip_listen_path: true },
      }),
    ],
    settings: { access_logs: { enabled: true } },
    env: {},
    workers: 2,
  });
  client = new GrpcClient(gateway.port, SERVICE);
});

after(async () => {
  client?.close();
  await gateway?.stop();
  service?.close();
  await silent?.close();
});

const linesOf = (text: string): Line[] =>
  text
    .split("\n")
    .filter((line) => line.includes('"name":"access"'))
    .map((line) => JSON.parse(line) as Line);

const lines = (): Line[] => linesOf(gateway.logs);

const lineOf = async (holds: (line: Line) => boolean): Promise<Line> => {
  await until("the line is there", () => lines().some(holds));
  return lines().find(holds)!;
};

async function reload(access_logs: Record<string, unknown>): Promise<void> {
  const settings = JSON.parse(await readFile(gateway.configPath, "utf8"));
  await writeFile(gateway.configPath, JSON.stringify({ ...settings, access_logs }));
  const answer = await fetch(`http://127.0.0.1:${gateway.controlPort}/tyk/reload?block=true`, { headers: SECRET });
  assert.equal(answer.status, 200, await answer.text());
}

test("a call gets one line: what it was, how it ended, how long, how much, where", async () => {
  await client.unary(METHODS.echo, "hello");
  const line = await lineOf(({ path }) => path === `/${SERVICE}/Echo`);
  assert.equal(lines().filter(({ path }) => path === `/${SERVICE}/Echo`).length, 1);
  const { pid, time, level, stream, latency_total, upstream_latency, ...rest } = line;
  for (const number of [pid, time, level, stream, latency_total, upstream_latency])
    assert.equal(typeof number, "number");
  assert.deepEqual(rest, {
    name: "access",
    client_ip: "127.0.0.1",
    port: gateway.port,
    method: "POST",
    path: `/${SERVICE}/Echo`,
    status: 200,
    grpc_status: "OK",
    ended_by: "service",
    api_id: "open",
    api_name: "open",
    upstream_addr: service.target.slice("h2c://".length),
    bytes_in: 10,
    bytes_out: 10,
    messages_in: 1,
    messages_out: 1,
  });
});

test("the line says which timer of the gateway ended a call", async () => {
  const metadata = new Metadata();
  // A caller without a timer of its own.
  metadata.set("grpc-timeout", "60m");
  const mute = new GrpcClient(gateway.port, "silent.Api");
  await assert.rejects(mute.unary(METHODS.echo, "nobody", metadata));
  mute.close();
  const { ended_by, reason, grpc_status } = await lineOf(({ path }) => path === "/silent.Api/Echo");
  assert.deepEqual(
    { ended_by, reason, grpc_status },
    { ended_by: "gateway", reason: "deadline", grpc_status: "DEADLINE_EXCEEDED" },
  );
});

test("keys are called by their alias or their hash, and no credential is ever written", async () => {
  const made = await fetch(`http://127.0.0.1:${gateway.controlPort}/tyk/keys/create`, {
    method: "POST",
    headers: SECRET,
    body: JSON.stringify({
      org_id: "test",
      alias: "the shop",
      rate: 100,
      per: 1,
      access_rights: { gated: { api_id: "gated", api_name: "gated", versions: ["Default"] } },
    }),
  });
  const { key } = (await made.json()) as { key: string };
  const call = (token: string, query: string) => {
    const metadata = new Metadata();
    metadata.set("authorization", token);
    const name = { name: `Echo${query}`, requestStream: false, responseStream: false };
    return new GrpcClient(gateway.port, `gated/${SERVICE}`).unary(name, "x", metadata).catch(() => undefined);
  };
  await call(key, "");
  await call("a-wrong-credential", "?token=another-secret");
  const good = await lineOf(({ api_key }) => api_key === "the shop");
  assert.equal(good["grpc_status"], "OK");
  const bad = await lineOf(({ reason }) => reason === "credential_unknown");
  assert.equal(bad["ended_by"], "gateway");
  assert.equal(bad["grpc_status"], "UNAUTHENTICATED");
  assert.match(String(bad["api_key"]), /^[0-9a-f]{8,12}$/);
  for (const secret of [key, "a-wrong-credential", "another-secret", "test-secret"])
    assert.equal(gateway.logs.includes(secret), false);
});

test("only errors, a share, a choice of fields, and a file: as the operator says, from one reload on", async () => {
  const file = join(gateway.directory, "log", "access.log");
  await reload({ enabled: true, errors_only: true, file, template: ["path", "grpc_status"] });
  await client.unary(METHODS.echo, "fine");
  await assert.rejects(client.unary(METHODS.fail, "5:no"));
  const read = async () => linesOf(await readFile(file, "utf8").catch(() => ""));
  await until("the failed call is in the file", async () => (await read()).length > 0);
  assert.deepEqual(
    (await read()).map(({ path, grpc_status }) => ({ path, grpc_status })),
    [{ path: `/${SERVICE}/Fail`, grpc_status: "NOT_FOUND" }],
  );
  assert.deepEqual(Object.keys((await read())[0]!).sort(), ["grpc_status", "level", "name", "path", "pid", "time"]);
  await reload({ enabled: true, share: 0.25, file: `${file}.2` });
  for (let n = 0; n < 40; n++) await client.unary(METHODS.echo, "some");
  await until("a quarter is there", async () => {
    return linesOf(await readFile(`${file}.2`, "utf8").catch(() => "")).length >= 10;
  });
  assert.equal(linesOf(await readFile(`${file}.2`, "utf8")).length, 10);
  await reload({ enabled: false });
  await client.unary(METHODS.echo, "unseen");
  assert.equal(linesOf(await readFile(`${file}.2`, "utf8")).length, 10);
});

test("lines beyond what is allowed in a second are counted, not written", async () => {
  await reload({ enabled: true, max_per_second: 1, file: join(gateway.directory, "few.log") });
  await Promise.all(Array.from({ length: 200 }, () => client.unary(METHODS.echo, "many")));
  await until("they are counted", async () => {
    const text = await (await fetch(`http://127.0.0.1:${gateway.controlPort}/metrics`)).text();
    return Number(/^sluice_log_lines_dropped_total (\d+)/m.exec(text)?.[1] ?? 0) > 0;
  });
});

test("a log that nobody reads any more holds up no call, and not the end of the gateway", async () => {
  const fifo = join(gateway.directory, "unread.log");
  execFileSync("mkfifo", [fifo]);
  // Somebody has it open and takes nothing out of it.
  const reader = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
  try {
    await reload({ enabled: true, file: fifo });
    // Some 300 octets each, for either worker more than a FIFO holds.
    for (let n = 0; n < 10; n++) await Promise.all(Array.from({ length: 100 }, () => client.unary(METHODS.echo, "on")));
    const { pid } = gateway;
    await gateway.stop();
    assert.equal(isRunning(pid), false);
    assert.deepEqual(gateway.exited, { code: 0, signal: null });
  } finally {
    closeSync(reader);
  }
});
