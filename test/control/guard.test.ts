// Who gets in: the secret, its absence, guesses, sizes.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { pino } from "pino";
import { ControlServer } from "../../src/primary/control/server.js";
import { ControlPort } from "../../src/primary/control-port.js";
import { Desk, SECRET } from "./desk.js";

const desks: Desk[] = [];
after(async () => {
  for (const desk of desks) await desk.close();
});

function open(settings: Record<string, unknown> = {}): Desk {
  const desk = new Desk(settings);
  desks.push(desk);
  return desk;
}

const REFUSAL = { status: "error", message: "Attempted administrative access with invalid or missing key!" };

test("without the right secret nothing is answered but health", async () => {
  const desk = open();
  for (const secret of ["", "wrong", `${SECRET}!`, SECRET.slice(1), SECRET.toUpperCase()]) {
    const answer = await desk.ask("GET", "/tyk/apis", undefined, { "x-tyk-authorization": secret });
    assert.deepEqual([answer.status, answer.body], [403, REFUSAL], secret);
  }
  assert.equal((await desk.ask("GET", "/hello", undefined, { "x-tyk-authorization": "" })).status, 200);
  assert.equal((await desk.ask("GET", "/tyk/apis")).status, 200);
});

test("there is no default secret: none, and the one that Tyk publishes, open nothing", async () => {
  for (const secret of ["", "352d20ee67be67f6340b4c0605b044b7"]) {
    const desk = open({ secret });
    for (const given of [secret, "", SECRET]) {
      const answer = await desk.ask("GET", "/tyk/apis", undefined, { "x-tyk-authorization": given });
      assert.deepEqual([answer.status, answer.body], [403, REFUSAL]);
    }
    assert.equal((await desk.ask("GET", "/ready")).status, 200);
  }
});

test("an address that guesses is told to wait; the right secret is heard from it all the same", async (t) => {
  const desk = open();
  const { port, close } = await listening(t, desk);
  const ask = (secret: string, localAddress: string) => get({ port, host: "127.0.0.1", localAddress }, secret);
  for (let guess = 0; guess < 10; guess += 1) assert.equal((await ask(`guess ${guess}`, "127.0.0.2")).status, 403);
  const told = await ask("one more", "127.0.0.2");
  assert.equal(told.status, 429);
  assert.ok(Number(told.headers["retry-after"]) > 0);
  assert.equal((await ask("a first one", "127.0.0.3")).status, 403);
  assert.equal((await ask(SECRET, "127.0.0.2")).status, 200);
  assert.equal((await ask("one more", "127.0.0.2")).status, 429, "that somebody knows the secret begins no new count");
  await close();
});

test("over the relay's socket the address that asked the worker counts, on a port it may not be claimed", async (t) => {
  const desk = open();
  const folder = mkdtempSync(join(tmpdir(), "sluice-relay-"));
  const relay = new ControlServer(desk.app, true);
  t.after(async () => {
    await relay.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const socketPath = join(folder, "control.sock");
  await relay.listenOn(socketPath);
  const ask = (secret: string, peer: string) => get({ socketPath }, secret, peer);
  for (let guess = 0; guess < 10; guess += 1) await ask("wrong", "2001:db8:1:2::7");
  assert.equal((await ask("wrong", "2001:db8:1:2:3::9")).status, 429);
  assert.equal((await ask("wrong", "2001:db8:1:3::7")).status, 403);

  const { port, close } = await listening(t, desk);
  const host = "127.0.0.1";
  for (let guess = 0; guess < 10; guess += 1)
    await get({ port, host, localAddress: "127.0.0.4" }, "wrong", `10.0.0.${guess}`);
  assert.equal((await get({ port, host, localAddress: "127.0.0.4" }, "wrong", "10.0.0.99")).status, 429);
  await close();
});

test("the folder of a gateway that was killed goes with the next start, that of a living one stays", async (t) => {
  const log = pino({ level: "silent" });
  const living = new ControlPort(open().app, log);
  t.after(() => living.close());
  await living.open(open().settings);
  const killed = mkdtempSync(join(tmpdir(), "sluice-control-"));
  t.after(() => rmSync(killed, { recursive: true, force: true }));
  const server = `require("node:net").createServer().listen(${JSON.stringify(join(killed, "control.sock"))}, () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["-e", server]);
  assert.equal(existsSync(join(killed, "control.sock")), true);
  const next = new ControlPort(open().app, log);
  await next.open(open().settings);
  assert.equal(existsSync(killed), false);
  assert.equal(existsSync(living.socket), true);
  await next.close();
  assert.equal(next.socket, "");
});

test("a body larger than a session may be is refused, with and without its length", async (t) => {
  const desk = open();
  const large = JSON.stringify({ alias: "x".repeat(1_100_000) });
  const answer = await desk.ask("POST", "/tyk/keys/create", large);
  assert.deepEqual([answer.status, answer.body], [413, { status: "error", message: "Request entity too large" }]);
  const { port, close } = await listening(t, desk);
  const request = http.request({ port, host: "127.0.0.1", path: "/tyk/keys/create", method: "POST" });
  request.setHeader("x-tyk-authorization", SECRET);
  request.on("error", () => {});
  const answered = once(request, "response") as Promise<[http.IncomingMessage]>;
  request.write(large);
  request.end();
  const [chunked] = await answered;
  assert.equal(chunked.statusCode, 413);
  chunked.resume();
  request.destroy();
  await close();
});

test("a method that a path does not have is refused as such", async () => {
  const desk = open();
  for (const [method, path] of [
    ["DELETE", "/tyk/keys"],
    ["PATCH", "/tyk/keys/x"],
    ["POST", "/tyk/reload"],
    ["PATCH", "/tyk/apis/x"],
    ["DELETE", "/tyk/policies"],
    ["POST", "/tyk/org/keys"],
    ["PUT", "/tyk/schema"],
  ] as const) {
    const answer = await desk.ask(method, path);
    assert.deepEqual([answer.status, answer.body.message], [405, "Method not supported"], `${method} ${path}`);
  }
  assert.equal((await desk.ask("GET", "/tyk/nothing")).status, 404);
});

async function listening(t: TestContext, desk: Desk): Promise<{ port: number; close: () => Promise<void> }> {
  const server = new ControlServer(desk.app);
  const port = await server.listen("127.0.0.1", 0);
  const close = () => server.close();
  t.after(close);
  return { port, close };
}

interface Got {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
}

function get(options: http.RequestOptions, secret: string, peer = ""): Promise<Got> {
  return new Promise((resolve, reject) => {
    const headers = { "x-tyk-authorization": secret, ...(peer === "" ? {} : { "x-sluice-peer": peer }) };
    const request = http.get({ ...options, path: "/tyk/apis", headers, agent: false }, (answer) => {
      answer.resume();
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers }));
    });
    request.on("error", reject);
  });
}
