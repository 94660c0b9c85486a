// Responsible for: callers and services that speak HTTP/2 without gRPC, with node:http2 as the independent peer of both
// sides. Must not know: the gateway's insides. Governed by: RFC 9113, 8; RFC 9110, 15.2. One gateway, one service.

import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";

interface Seen {
  headers: http2.IncomingHttpHeaders;
  body: string;
  trailers: http2.IncomingHttpHeaders;
}

interface Reply {
  status: number;
  headers: http2.IncomingHttpHeaders;
  informational: http2.IncomingHttpHeaders[];
  continued: boolean;
  body: string;
  trailers: http2.IncomingHttpHeaders;
}

const sessions = new Set<http2.ServerHttp2Session>();
let last: Seen;

async function bodyOf(stream: http2.Http2Stream): Promise<string> {
  let body = "";
  for await (const bytes of stream) body += String(bytes);
  return body;
}

async function answer(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): Promise<void> {
  let trailers: http2.IncomingHttpHeaders = {};
  stream.on("trailers", (it) => {
    trailers = it;
  });
  stream.on("error", () => undefined);
  if (headers[":path"] === "/hints") stream.additionalHeaders({ ":status": 103, link: "</style.css>; rel=preload" });
  if (headers.expect === "100-continue") stream.additionalHeaders({ ":status": 100 });
  last = { headers, body: await bodyOf(stream), trailers };
  if (headers[":path"] === "/missing") {
    stream.respond({ ":status": 404, "content-type": "text/plain" });
    stream.end("nothing here");
    return;
  }
  if (headers[":path"] === "/empty") return stream.respond({ ":status": 204 }, { endStream: true });
  const text = `${headers[":method"]} ${last.body}`;
  stream.respond(
    { ":status": 200, "content-type": "text/plain", "content-length": text.length, "x-service": "here" },
    { waitForTrailers: headers[":path"] === "/trailers" },
  );
  stream.on("wantTrailers", () => stream.sendTrailers({ "x-checksum": "abc" }));
  stream.end(headers[":method"] === "HEAD" ? undefined : text);
}

/** One request; `trailers` end it if given. */
async function ask(
  client: http2.ClientHttp2Session,
  headers: http2.OutgoingHttpHeaders,
  body?: string,
  trailers?: http2.OutgoingHttpHeaders,
): Promise<Reply> {
  const request = client.request(headers, { endStream: body === undefined, waitForTrailers: trailers !== undefined });
  const reply: Reply = { status: 0, headers: {}, informational: [], continued: false, body: "", trailers: {} };
  request.on("headers", (it) => reply.informational.push(it));
  request.on("continue", () => {
    reply.continued = true;
    request.end(body);
  });
  request.on("trailers", (it) => {
    reply.trailers = it;
  });
  request.on("response", (it) => {
    reply.headers = it;
    reply.status = Number(it[":status"]);
  });
  if (trailers !== undefined) request.on("wantTrailers", () => request.sendTrailers(trailers));
  if (body !== undefined && headers["expect"] === undefined) request.end(body);
  reply.body = await bodyOf(request);
  return reply;
}

describe("plain HTTP/2 through the gateway", () => {
  const server = http2.createServer();
  let gateway: Gateway;
  let client: http2.ClientHttp2Session;

  before(async () => {
    server.on("session", (session) => sessions.add(session));
    server.on("stream", (stream, headers) => void answer(stream, headers));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    gateway = await startGateway({ definitions: [keyless({ target: `h2c://127.0.0.1:${port}` })] });
    client = http2.connect(`http://127.0.0.1:${gateway.port}`);
  });

  after(async () => {
    client?.destroy();
    await gateway?.stop();
    for (const session of sessions) session.destroy();
    server.close();
  });

  test("GET brings status, headers and body", async () => {
    const { status, headers, body } = await ask(client, { ":path": "/a?b=1" });
    assert.deepEqual([status, headers["x-service"], body], [200, "here", "GET "]);
    assert.equal(last.headers[":path"], "/a?b=1");
  });

  test("POST carries its body", async () => {
    const { body } = await ask(client, { ":method": "POST", ":path": "/" }, "something");
    assert.equal(body, "POST something");
  });

  test("a body of 3 MB comes back", async () => {
    const large = "0123456789".repeat(300_000);
    assert.equal((await ask(client, { ":method": "POST", ":path": "/" }, large)).body, `POST ${large}`);
  });

  test("the reply to HEAD has a content-length and no body", async () => {
    const { status, headers, body } = await ask(client, { ":method": "HEAD", ":path": "/" });
    assert.deepEqual([status, headers["content-length"], body], [200, "5", ""]);
  });

  test("methods without a name of their own pass", async () => {
    assert.equal((await ask(client, { ":method": "PROPFIND", ":path": "/" })).body, "PROPFIND ");
  });

  test("a status that is no success passes with its body", async () => {
    const { status, body } = await ask(client, { ":path": "/missing" });
    assert.deepEqual([status, body], [404, "nothing here"]);
  });

  test("204 ends with its headers", async () => {
    const { status, body } = await ask(client, { ":path": "/empty" });
    assert.deepEqual([status, body], [204, ""]);
  });

  test("response trailers arrive", async () => {
    const { body, trailers } = await ask(client, { ":path": "/trailers" });
    assert.deepEqual([body, trailers["x-checksum"]], ["GET ", "abc"]);
  });

  test("request trailers arrive", async () => {
    await ask(client, { ":method": "POST", ":path": "/" }, "body", { "x-digest": "123" });
    assert.deepEqual([last.body, last.trailers["x-digest"]], ["body", "123"]);
  });

  test("103 arrives before the reply", async () => {
    const { status, informational } = await ask(client, { ":path": "/hints" });
    assert.deepEqual(
      informational.map((it) => [it[":status"], it["link"]]),
      [[103, "</style.css>; rel=preload"]],
    );
    assert.equal(status, 200);
  });

  test("a caller that expects 100-continue sends its body once the service says so", async () => {
    const { continued, body } = await ask(
      client,
      { ":method": "POST", ":path": "/", expect: "100-continue" },
      "after 100",
    );
    assert.deepEqual([continued, body], [true, "POST after 100"]);
  });

  test("cookies and repeated fields arrive as without a gateway", async () => {
    await ask(client, { ":path": "/", cookie: "a=1; b=2", accept: ["x/y", "z/w"] as unknown as string });
    assert.deepEqual([last.headers.cookie, last.headers.accept], ["a=1; b=2", "x/y, z/w"]);
  });

  test("a gRPC content type with GET is answered by the gateway as gRPC", async () => {
    const { headers } = await ask(client, { ":path": "/", "content-type": "application/grpc+proto" });
    assert.deepEqual([headers[":status"], headers["grpc-status"]], [200, "12"]);
  });
});
