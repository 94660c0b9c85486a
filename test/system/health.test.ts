// Responsible for: /hello and /ready over both versions of HTTP, and what other HTTP/1.1 requests get.
// Must not know: the gateway's insides. Governed by: issue 2, section 8; spec 5.2. One gateway with two ports.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { freePorts, type Gateway, keyless, startGateway } from "../support/gateway.js";
import { request, WireClient } from "../support/wire/client.js";
import type { Field } from "../support/wire/hpack.js";
import type { Message } from "../support/wire/peer.js";
import { WireServer } from "../support/wire/server.js";
import { exchange, httpGet } from "./http1.js";

const fieldOf = (it: Message, name: string): string | undefined =>
  it.fields.find((field) => field.name === name)?.value;

describe("health", () => {
  let gateway: Gateway;
  let service: WireServer;
  let ownPort = 0;

  const ask = async (port: number, ...fields: Field[]): Promise<Message> => {
    const client = await WireClient.ready(port);
    const message = await client.get(fields);
    client.close();
    return message;
  };

  before(async () => {
    service = await WireServer.listen({
      answer: ({ connection, stream }) => connection.reply(stream, { body: "api" }),
    });
    [ownPort = 0] = await freePorts(1);
    gateway = await startGateway({
      definitions: [
        keyless({ id: "main", target: service.target }),
        keyless({ id: "own", target: service.target, more: { listen_port: ownPort } }),
      ],
    });
  });

  after(async () => {
    await gateway?.stop();
    await service?.close();
  });

  for (const path of ["/hello", "/ready", "/hello?verbose=1"]) {
    test(`${path} says pass over HTTP/1.1 on the main and the control port`, async () => {
      for (const port of [gateway.port, gateway.controlPort]) {
        const { status, headers, body } = await httpGet(port, path);
        assert.deepEqual([status, headers["content-type"]], [200, "application/json"]);
        const { status: said, description } = JSON.parse(body) as Record<string, unknown>;
        assert.deepEqual([said, description], ["pass", "Tyk GW"]);
      }
    });

    test(`${path} says pass over HTTP/2, before an API whose listen path is /`, async () => {
      const message = await ask(gateway.port, ...request({ ":path": path }));
      assert.deepEqual([fieldOf(message, ":status"), fieldOf(message, "content-type")], ["200", "application/json"]);
      assert.equal(JSON.parse(message.body.toString()).status, "pass");
    });
  }

  test("HEAD has the length and no body, over both versions", async () => {
    const old = await httpGet(gateway.port, "/hello", "HEAD");
    const now = await ask(gateway.port, ...request({ ":method": "HEAD", ":path": "/hello" }));
    assert.deepEqual([old.status, old.body, fieldOf(now, ":status"), now.body.length], [200, "", "200", 0]);
    assert.equal(old.headers["content-length"], fieldOf(now, "content-length"));
  });

  test("other methods are not allowed, over both versions", async () => {
    assert.equal((await httpGet(gateway.port, "/hello", "POST")).status, 405);
    const now = await ask(gateway.port, ...request({ ":method": "DELETE", ":path": "/ready" }));
    assert.equal(fieldOf(now, ":status"), "405");
  });

  test("on an API's own port /hello belongs to the API", async () => {
    const message = await ask(ownPort, ...request({ ":path": "/hello" }));
    assert.equal(message.body.toString(), "api");
    assert.equal((await httpGet(ownPort, "/hello")).status, 505);
  });

  test("any other HTTP/1.1 request gets 505 as JSON that says HTTP/2 is needed, and the connection closes", async () => {
    for (const line of [
      "GET /505 HTTP/1.1",
      "POST /pkg.Service/Method HTTP/1.1",
      "OPTIONS * HTTP/1.1",
      "GET / HTTP/1.0",
    ]) {
      const seen = await exchange(gateway.port, [`${line}\r\nhost: x\r\ncontent-length: 0\r\n\r\n`]);
      assert.match(seen, /^HTTP\/1\.1 505 /);
      assert.match(seen, /content-type: application\/json/i);
      assert.match(seen, /HTTP\/2/);
    }
  });

  test("a health check that arrives byte by byte is understood", async () => {
    const text = "GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert.match(await exchange(gateway.port, [...text]), /^HTTP\/1\.1 200 /);
  });

  test("two health checks share a connection", async () => {
    const one = "GET /hello HTTP/1.1\r\nhost: x\r\n\r\n";
    const last = "GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    const seen = await exchange(gateway.port, [one + last]);
    assert.equal(seen.split("HTTP/1.1 200 ").length, 3);
  });

  test("bytes that are no HTTP at all do not disturb the next caller", async () => {
    await exchange(gateway.port, ["\u0016\u0003\u0001\u0002\u0000 no HTTP, whatever this is"]);
    await exchange(gateway.port, ["GET nonsense\u0000\r\n\r\n"]);
    assert.equal((await httpGet(gateway.port, "/hello")).status, 200);
  });
});
