// The control port: two protocols on one socket, health, and a closed control API.

import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { after, type TestContext, test } from "node:test";
import { ControlServer } from "../../src/primary/control/server.js";
import { healthOf, STARTING } from "../../src/primary/health.js";
import { Desk } from "../control/desk.js";

const LEFT_OUT = [
  { name: "orders", reason: "needs keys" },
  { name: "orders", reason: "has no target" },
];

const desk = new Desk();
after(() => desk.close());

function app(notReady = "", leftOut = LEFT_OUT) {
  desk.health = healthOf({ version: "1.2.3", leftOut, notReady }, new Date(0));
  return desk.app;
}

async function listening(t: TestContext): Promise<number> {
  const server = new ControlServer(app());
  t.after(() => server.close());
  return server.listen("127.0.0.1", 0);
}

/** What the peer sends back to these pieces, one write each, until it closes. */
async function exchange(t: TestContext, port: number, pieces: readonly string[]): Promise<string> {
  const socket = net.connect(port, "127.0.0.1").setNoDelay();
  t.after(() => socket.destroy());
  let answer = "";
  socket.on("data", (bytes) => {
    answer += bytes.toString("latin1");
  });
  await once(socket, "connect");
  for (const piece of pieces) await new Promise<void>((resolve) => socket.write(piece, () => resolve()));
  await once(socket, "close");
  return answer;
}

test("/hello passes when every definition is served and warns by name when one is not", async () => {
  const good = (await (await app("", []).request("/hello")).json()) as object;
  assert.deepEqual(good, { status: "pass", version: "1.2.3", description: "Tyk GW", details: {} });
  const answer = await app().request("/hello");
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-type")!, /application\/json/);
  const body = (await answer.json()) as { status: string; details: Record<string, { output: string }> };
  assert.equal(body.status, "warn");
  assert.equal(body.details["api:orders"]!.output, "needs keys; has no target");
});

test("/ready says why not, and /hello passes all the while", async () => {
  const starting = app(STARTING);
  const answer = await starting.request("/ready");
  assert.equal(answer.status, 503);
  assert.deepEqual(await answer.json(), { status: "error", message: STARTING });
  assert.equal((await starting.request("/hello")).status, 200);
  assert.equal((await app().request("/ready")).status, 200);
});

test("health is asked by GET only", async () => {
  for (const method of ["POST", "PUT", "DELETE", "HEAD", "OPTIONS"]) {
    assert.equal((await app().request("/hello", { method })).status, 405, method);
    assert.equal((await app().request("/ready", { method })).status, 405, method);
  }
});

test("every path of the control API is closed, and others are not found", async () => {
  for (const path of ["/tyk", "/tyk/", "/tyk/keys", "/tyk/apis/1"]) {
    const answer = await app().request(path, { headers: { "x-tyk-authorization": "anything" } });
    assert.equal(answer.status, 403, path);
    const message = "Attempted administrative access with invalid or missing key!";
    assert.deepEqual(await answer.json(), { status: "error", message });
  }
  assert.equal((await app().request("/else")).status, 404);
});

test("HTTP/1.1 is answered however its bytes are cut", async (t) => {
  const port = await listening(t);
  const request = "GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
  assert.match(await exchange(t, port, [request]), /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(await exchange(t, port, [...request]), /^HTTP\/1\.1 200 OK\r\n/);
});

test("HTTP/1.1 methods that begin like the HTTP/2 preface are still HTTP/1.1", async (t) => {
  const port = await listening(t);
  const request = "PROPFIND /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
  assert.match(await exchange(t, port, [...request]), /^HTTP\/1\.1 405 /);
});

test("HTTP/2 with prior knowledge is answered on the same port", async (t) => {
  const port = await listening(t);
  const session = http2.connect(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  for (const [path, status] of [
    ["/hello", 200],
    ["/tyk/keys", 403],
  ] as const) {
    const request = session.request({ ":path": path });
    const [headers] = (await once(request, "response")) as [http2.IncomingHttpHeaders];
    assert.equal(headers[":status"], status);
    request.resume();
    await once(request, "end");
  }
});

test("an HTTP/2 preface that comes byte by byte is understood", async (t) => {
  const port = await listening(t);
  const socket = net.connect(port, "127.0.0.1").setNoDelay();
  t.after(() => socket.destroy());
  await once(socket, "connect");
  const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
  for (const byte of preface) await new Promise<void>((resolve) => socket.write(byte, "latin1", () => resolve()));
  const [answer] = (await once(socket, "data")) as [Buffer];
  // A SETTINGS frame comes first.
  assert.equal(answer[3], 4);
});

test("closing takes silent connections with it", async (t) => {
  const server = new ControlServer(app());
  const port = await server.listen("127.0.0.1", 0);
  const socket = net.connect(port, "127.0.0.1");
  t.after(() => socket.destroy());
  await once(socket, "connect");
  await Promise.all([once(socket, "close"), server.close()]);
});
