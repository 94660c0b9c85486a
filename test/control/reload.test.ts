// Reloads of real gateways: what comes into force, what is refused as a whole, what running calls notice.

import assert from "node:assert/strict";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import http2 from "node:http2";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { redisMissing, startRedis } from "../store/redis-server.js";
import { freePorts, type Gateway, keyless, startGateway } from "../support/gateway.js";
import { until } from "../support/waiting.js";
import { request, WireClient } from "../support/wire/client.js";
import { WireServer } from "../support/wire/server.js";
import { httpGet } from "../system/http1.js";
import { make } from "../tls/certificates.js";

const SECRET = "test-secret";

interface Answer {
  readonly status: number;
  readonly body: { readonly [name: string]: unknown } & { readonly message?: string };
}

async function ask(gateway: Gateway, method: string, path: string, body?: unknown): Promise<Answer> {
  const answer = await fetch(`http://127.0.0.1:${gateway.controlPort}${path}`, {
    method,
    headers: { "x-tyk-authorization": SECRET },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Answer["body"] };
}

const reload = (gateway: Gateway) => ask(gateway, "GET", "/tyk/reload?block=true");

/** HTTP status of one gRPC call, and what its body says. */
async function call(port: number, path: string): Promise<string> {
  const client = await WireClient.ready(port);
  try {
    const message = await client.get(request({ ":path": path }));
    const field = (name: string) => message.fields.find((each) => each.name === name)?.value;
    return field("grpc-status") === undefined ? `${field(":status")} ${message.body}` : `grpc ${field("grpc-status")}`;
  } finally {
    client.close();
  }
}

const put = (gateway: Gateway, name: string, document: unknown) =>
  writeFile(join(gateway.appPath, name), typeof document === "string" ? document : JSON.stringify(document));

describe("reload", () => {
  let gateway: Gateway;
  let service: WireServer;

  const api = (id: string, more: Record<string, unknown> = {}) =>
    keyless({ id, path: `/${id}.Service`, target: service.target, more });

  before(async () => {
    service = await WireServer.listen({
      answer: ({ connection, stream }) => connection.reply(stream, { body: "api" }),
    });
    gateway = await startGateway({ definitions: [api("first")], workers: 2 });
  });

  after(async () => {
    await gateway?.stop();
    await service?.close();
  });

  test("a new definition is served by every worker, a removed one is not", async () => {
    await put(gateway, "second.json", api("second"));
    assert.match(await call(gateway.port, "/second.Service/Get"), /^404|grpc 12/);
    assert.deepEqual((await reload(gateway)).body, { status: "ok", message: "" });
    for (let turn = 0; turn < 4; turn += 1) assert.equal(await call(gateway.port, "/second.Service/Get"), "200 api");
    assert.deepEqual(
      ((await ask(gateway, "GET", "/tyk/apis")).body as unknown as { api_id: string }[]).map(({ api_id }) => api_id),
      ["first", "second"],
    );
    assert.equal((await ask(gateway, "DELETE", "/tyk/apis/second")).status, 200);
    await reload(gateway);
    assert.match(await call(gateway.port, "/second.Service/Get"), /^404|grpc 12/);
    assert.equal(await call(gateway.port, "/first.Service/Get"), "200 api");
  });

  test("SIGHUP reads everything again", async () => {
    await put(gateway, "third.json", api("third"));
    gateway.signal("SIGHUP");
    while ((await call(gateway.port, "/third.Service/Get")) !== "200 api") assert.equal(gateway.exited, undefined);
  });

  const BROKEN: [string, Record<string, unknown>][] = [
    ["is no JSON", { "zz.json": "{" }],
    [
      "has the path of another",
      { "zz.json": { ...keyless({ id: "zz", path: "/first.Service", target: "h2c://a:1" }) } },
    ],
    ["names a certificate that is not there", { "zz.json": { certificates: ["/none.pem"] } }],
    ["asks for what is not supported", { "0.json": { use_keyless: false, use_oauth2: true } }],
    ["wants a port that another process has", { "zz.json": {} }],
  ];
  for (const [name, files] of BROKEN) {
    test(`a set in which a definition ${name} changes nothing and says why everywhere`, async () => {
      const [file = "", change] = Object.entries(files)[0]!;
      const before = await readFile(join(gateway.appPath, file), "utf8").catch(() => undefined);
      const base = before === undefined ? api("zz", { domain: "zz.example" }) : JSON.parse(before);
      await put(gateway, file, typeof change === "string" ? change : { ...base, ...(change as object) });
      await put(gateway, "other.json", api("other"));
      const blocker = name.endsWith("another process has") ? await blockedPort() : undefined;
      if (blocker !== undefined) await put(gateway, file, { ...base, listen_port: blocker.port });
      const refused = await reload(gateway);
      await blocker?.close();
      assert.equal(refused.status, 400);
      assert.match(refused.body.message!, /^Reload refused: /);
      assert.match(await call(gateway.port, "/other.Service/Get"), /^404|grpc 12/);
      assert.equal(await call(gateway.port, "/first.Service/Get"), "200 api");
      const hello = JSON.parse((await httpGet(gateway.controlPort, "/hello")).body);
      assert.equal(hello.status, "warn");
      assert.equal(`Reload refused: ${hello.details.reload.output}`, refused.body.message);
      assert.match(gateway.logs, /reload refused: everything stays as it was/);
      if (before === undefined) await rm(join(gateway.appPath, file));
      else await put(gateway, file, before);
      assert.equal((await reload(gateway)).status, 200);
      assert.equal(JSON.parse((await httpGet(gateway.controlPort, "/hello")).body).status, "pass");
      await rm(join(gateway.appPath, "other.json"));
      await reload(gateway);
    });
  }

  test("settings that cannot be used change nothing, those that need a restart are told", async () => {
    const text = await readFile(gateway.configPath, "utf8");
    const settings = JSON.parse(text);
    await writeFile(gateway.configPath, JSON.stringify({ ...settings, listen_port: "x" }));
    assert.match((await reload(gateway)).body.message!, /listen_port: must be a whole number/);
    const storage = { ...settings.storage, password: "not to be told" };
    await writeFile(gateway.configPath, JSON.stringify({ ...settings, accept: "round_robin", storage }));
    const message = "in force only after a restart: accept, storage.password";
    assert.deepEqual((await reload(gateway)).body, { status: "ok", message });
    const line = /"settings":\["accept","storage\.password"\].*in force only after a restart/g;
    const told = () => gateway.logs.match(line)?.length ?? 0;
    await until("the log tells it", () => told() === 1);
    gateway.signal("SIGHUP");
    await until("it is told again, by a signal too", () => told() === 2);
    assert.doesNotMatch(gateway.logs, /not to be told/);
    await writeFile(gateway.configPath, text);
    assert.deepEqual((await reload(gateway)).body, { status: "ok", message: "" });
  });

  test("certificates that nobody accepts now are told by the reload that brings them, and in /hello while they are in use", async () => {
    const [late, early] = await Promise.all([
      make({ name: "late", from: -9, until: -2 }),
      make({ name: "early", from: 2, until: 9 }),
    ]);
    const upstream_certificates = { "one.example": late.pem, "two.example": early.pem };
    await put(gateway, "dated.json", api("dated", { upstream_certificates }));
    const { status, body } = await reload(gateway);
    assert.equal(status, 200);
    const [first = "", second = ""] = body.message!.split("; ");
    assert.match(first, new RegExp(`^certificate ${late.fingerprint} \\(late\\) expired on 20`));
    assert.match(second, new RegExp(`^certificate ${early.fingerprint} \\(early\\) is not valid before 20`));
    const hello = async () => JSON.parse((await httpGet(gateway.controlPort, "/hello")).body);
    const { status: all, details } = await hello();
    assert.deepEqual(
      [all, details.certificates.status, details.certificates.output],
      ["warn", "warn", `${first}; ${second}`],
    );
    await until("the log tells it", () =>
      gateway.logs.split("\n").some((line) => /"level":40/.test(line) && line.includes(first) && line.includes(second)),
    );
    assert.equal((await reload(gateway)).body.message, "", "they were in use before");
    await rm(join(gateway.appPath, "dated.json"));
    await reload(gateway);
    assert.equal((await hello()).status, "pass");
  });

  test("a field that nothing knows is told by the reload that brought it, and not again by the next", async () => {
    const told = () =>
      gateway.logs.split("is not a known field and has no effect; did you mean access_logs?").length - 1;
    const text = await readFile(gateway.configPath, "utf8");
    await writeFile(gateway.configPath, JSON.stringify({ ...JSON.parse(text), acess_logs: { enabled: true } }));
    await reload(gateway);
    await until("it is told", () => told() > 0);
    await reload(gateway);
    await writeFile(gateway.configPath, text);
    await reload(gateway);
    assert.equal(told(), 1);
  });

  test("ports are opened and closed, and the control port moves", async () => {
    const [own = 0, control = 0] = await freePorts(2);
    await put(gateway, "own.json", api("own", { listen_port: own }));
    await reload(gateway);
    assert.equal(await call(own, "/own.Service/Get"), "200 api");
    await rm(join(gateway.appPath, "own.json"));
    await reload(gateway);
    await assert.rejects(call(own, "/own.Service/Get"));

    const text = await readFile(gateway.configPath, "utf8");
    await writeFile(gateway.configPath, JSON.stringify({ ...JSON.parse(text), control_api_port: control }));
    gateway.signal("SIGHUP");
    while ((await httpGet(control, "/hello")).status !== 200) assert.equal(gateway.exited, undefined);
    await writeFile(gateway.configPath, text);
    const answer = await fetch(`http://127.0.0.1:${control}/tyk/reload?block=true`, {
      headers: { "x-tyk-authorization": SECRET },
    }).catch(() => undefined);
    // The port that asked may be gone before its answer is read: what counts is where the API is now.
    if (answer !== undefined) assert.equal(answer.status, 200);
    while ((await httpGet(gateway.controlPort, "/hello")).status !== 200) assert.equal(gateway.exited, undefined);
    while ((await httpGet(control, "/hello")).status !== 0) assert.equal(gateway.exited, undefined);
  });

  test("calls that run while everything is read again do not notice", async () => {
    const client = http2.connect(`http://127.0.0.1:${gateway.port}`);
    let failed = 0;
    let done = 0;
    let reloading = true;
    const one = () =>
      new Promise<void>((resolve) => {
        const stream = client.request({ ":path": "/first.Service/Get", ":method": "POST", te: "trailers" });
        stream.on("response", (headers) => {
          if (headers[":status"] !== 200) failed += 1;
        });
        stream.on("error", () => {
          failed += 1;
        });
        stream.on("close", () => {
          done += 1;
          resolve();
        });
        stream.resume();
        stream.end();
      });
    const caller = async () => {
      while (reloading) await one();
    };
    const callers = Array.from({ length: 20 }, caller);
    for (let turn = 0; turn < 10; turn += 1) assert.equal((await reload(gateway)).status, 200);
    reloading = false;
    await Promise.all(callers);
    client.destroy();
    assert.equal(failed, 0);
    assert.ok(done >= 20, String(done));
  });
});

describe("reload where workers accept by themselves", () => {
  test("a port is opened in every worker, and closed in every worker, also after a refusal", async (t) => {
    const service = await WireServer.listen({
      answer: ({ connection, stream }) => connection.reply(stream, { body: "api" }),
    });
    t.after(() => service.close());
    const definitions = [keyless({ id: "first", path: "/first.Service", target: service.target })];
    const gateway = await startGateway({ definitions, workers: 2, settings: { accept: "shared" } });
    t.after(() => gateway.stop());
    const [own = 0] = await freePorts(1);
    const api = keyless({ id: "own", path: "/own.Service", target: service.target, more: { listen_port: own } });
    for (let turn = 0; turn < 2; turn += 1) {
      await put(gateway, "own.json", api);
      await put(gateway, "zz.json", "{");
      assert.equal((await reload(gateway)).status, 400);
      await assert.rejects(call(own, "/own.Service/Get"));
      await rm(join(gateway.appPath, "zz.json"));
      assert.equal((await reload(gateway)).status, 200);
      for (let each = 0; each < 4; each += 1) assert.equal(await call(own, "/own.Service/Get"), "200 api");
      await rm(join(gateway.appPath, "own.json"));
      assert.equal((await reload(gateway)).status, 200);
      let open = true;
      while (open)
        open = await call(own, "/own.Service/Get").then(
          () => true,
          () => false,
        );
      assert.equal(await call(gateway.port, "/first.Service/Get"), "200 api");
    }
  });
});

describe("a gateway without definitions", () => {
  test("starts, takes its first by the control API, and gives up its last", async (t) => {
    const service = await WireServer.listen({
      answer: ({ connection, stream }) => connection.reply(stream, { body: "api" }),
    });
    t.after(() => service.close());
    const gateway = await startGateway({ definitions: [] });
    t.after(() => gateway.stop());
    assert.equal(await call(gateway.port, "/first.Service/Get"), "404 Not Found");
    assert.deepEqual((await ask(gateway, "GET", "/tyk/apis")).body, []);
    const first = keyless({ id: "first", path: "/first.Service", target: service.target });
    assert.equal((await ask(gateway, "POST", "/tyk/apis", first)).status, 200);
    assert.equal((await reload(gateway)).status, 200);
    assert.equal(await call(gateway.port, "/first.Service/Get"), "200 api");
    assert.equal((await ask(gateway, "DELETE", "/tyk/apis/first")).status, 200);
    assert.equal((await reload(gateway)).status, 200);
    assert.equal(await call(gateway.port, "/first.Service/Get"), "404 Not Found");
  });
});

describe("watching", () => {
  test("with watch_files a changed folder is read again without being asked", async (t) => {
    const service = await WireServer.listen({
      answer: ({ connection, stream }) => connection.reply(stream, { body: "api" }),
    });
    t.after(() => service.close());
    const definitions = [keyless({ id: "first", path: "/first.Service", target: service.target })];
    const gateway = await startGateway({ definitions, settings: { watch_files: true, reload_interval: 0.05 } });
    t.after(() => gateway.stop());
    await put(gateway, "late.json", keyless({ id: "late", path: "/late.Service", target: service.target }));
    while ((await call(gateway.port, "/late.Service/Get")) !== "200 api") assert.equal(gateway.exited, undefined);
  });
});

describe("reload of every replica", { skip: redisMissing() }, () => {
  test("a replica that is asked tells the others over Redis", async (t) => {
    const redis = await startRedis();
    t.after(() => redis.stop());
    const service = await WireServer.listen({
      answer: ({ connection, stream }) => connection.reply(stream, { body: "api" }),
    });
    t.after(() => service.close());
    const open = keyless({ id: "first", path: "/first.Service", target: service.target });
    const settings = { storage: { type: "redis", host: "127.0.0.1", port: redis.port }, reload_interval: 0.05 };
    const gateways: Gateway[] = [];
    t.after(async () => {
      for (const gateway of gateways) await gateway.stop();
    });
    // Keys are not what it is for: a gateway without any listens too.
    for (const it of [{ ...open, use_keyless: false }, open])
      gateways.push(await startGateway({ definitions: [it], settings }));
    for (const gateway of gateways) {
      await mkdir(gateway.appPath, { recursive: true });
      await put(gateway, "late.json", keyless({ id: "late", path: "/late.Service", target: service.target }));
    }
    assert.deepEqual((await ask(gateways[0]!, "GET", "/tyk/reload/group")).body, { status: "ok", message: "" });
    for (const gateway of gateways)
      while ((await call(gateway.port, "/late.Service/Get")) !== "200 api") assert.equal(gateway.exited, undefined);
  });
});

/** A port that somebody else has. */
async function blockedPort(): Promise<{ port: number; close(): Promise<void> }> {
  const other = await WireServer.listen({});
  return { port: Number(other.target.split(":").at(-1)), close: () => other.close() };
}
