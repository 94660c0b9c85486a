// Traces of a real gateway, with a collector of the test's own: whose trace a call belongs to, what the service is told, what
// the collector gets, and what becomes of both when there is no collector.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { Metadata, status } from "@grpc/grpc-js";
import { parseTraceparent } from "../../src/worker/call/call-trace.js";
import { freePorts, type Gateway, keyless, startGateway } from "../support/gateway.js";
import { GrpcClient } from "../support/grpc/client.js";
import type { Method } from "../support/grpc/contract.js";
import { until } from "../support/waiting.js";

interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly status: { readonly code?: number };
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
}

/** Takes OTLP as JSON. */
class Collector {
  readonly spans: Span[] = [];
  readonly resources: string[] = [];
  readonly headers: (string | undefined)[] = [];
  readonly server: Server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      this.headers.push(request.headers["x-collector-key"] as string | undefined);
      this.#take(request.url, JSON.parse(Buffer.concat(parts).toString()));
      response.end("{}");
    });
  });

  #take(
    url: string | undefined,
    body: { resourceSpans: { resource: object; scopeSpans: { spans: Span[] }[] }[] },
  ): void {
    assert.equal(url, "/v1/traces");
    for (const { resource, scopeSpans } of body.resourceSpans) {
      this.resources.push(JSON.stringify(resource));
      for (const { spans } of scopeSpans) this.spans.push(...spans);
    }
  }

  async spanOf(traceId: string): Promise<Span> {
    const find = () => this.spans.find((span) => span.traceId === traceId);
    await until(`the span of ${traceId} has come`, () => find() !== undefined);
    return find()!;
  }
}

const PARENT = { trace: "0af7651916cd43dd8448eb211c80319c", span: "b7ad6b7169203331" };
const method = (name: string): Method => ({ name, requestStream: false, responseStream: false });

/** The traceparents that each call's headers had, by path. */
const seen = new Map<string, string[]>();
const collector = new Collector();
const sessions = new Set<ServerHttp2Session>();
let service: Http2Server;
let gateway: Gateway;
let client: GrpcClient;

before(async () => {
  service = createHttp2Server();
  service.on("session", (session) => sessions.add(session));
  service.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, raw: string[]) => {
    const values = raw.flatMap((text, at) => (at % 2 === 0 && text === "traceparent" ? [raw[at + 1] ?? ""] : []));
    seen.set(String(headers[":path"]), values);
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    const code = String(headers[":path"]).includes("Fail") ? "13" : "0";
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": code }));
    stream.end(Buffer.alloc(5));
  });
  service.listen(0, "127.0.0.1");
  collector.server.listen(0, "127.0.0.1");
  await Promise.all([once(service, "listening"), once(collector.server, "listening")]);
  gateway = await startGateway({
    definitions: [keyless({ target: `h2c://127.0.0.1:${(service.address() as AddressInfo).port}`, id: "traced" })],
    settings: {
      opentelemetry: {
        enabled: true,
        exporter: "http",
        endpoint: `127.0.0.1:${(collector.server.address() as AddressInfo).port}`,
        headers: { "x-collector-key": "of-the-collector" },
        resource_name: "the gateway",
        sampling: { type: "AlwaysOff", parent_based: true },
      },
      access_logs: { enabled: true },
    },
  });
  client = new GrpcClient(gateway.port, "pkg.Service");
});

after(async () => {
  client?.close();
  await gateway?.stop();
  for (const session of sessions) session.destroy();
  service?.close();
  collector.server.close();
  collector.server.closeAllConnections();
});

async function call(name: string, traceparent: string, more: Record<string, string> = {}): Promise<string[]> {
  const metadata = new Metadata();
  if (traceparent !== "") metadata.set("traceparent", traceparent);
  for (const [key, value] of Object.entries(more)) metadata.set(key, value);
  await client.unary(method(name), "x", metadata).catch(() => undefined);
  return seen.get(`/pkg.Service/${name}`) ?? [];
}

test("a sampled caller's trace goes on: the service's parent is the gateway's span, whose parent is the caller's", async () => {
  const [told, ...others] = await call("One", `00-${PARENT.trace}-${PARENT.span}-01`, { tracestate: "a=b" });
  assert.deepEqual(others, []);
  const parent = parseTraceparent(told ?? "");
  assert.equal(parent?.traceId, PARENT.trace);
  assert.equal(parent?.sampled, true);
  const span = await collector.spanOf(PARENT.trace);
  assert.equal(span.spanId, parent?.spanId);
  assert.equal(span.parentSpanId, PARENT.span);
  assert.equal(span.name, "pkg.Service/One");
  assert.equal(span.kind, 2);
  const attributes = Object.fromEntries(span.attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
  assert.equal(attributes["rpc.system"], "grpc");
  assert.equal(attributes["rpc.service"], "pkg.Service");
  assert.equal(attributes["rpc.method"], "One");
  assert.equal(Number(attributes["rpc.grpc.status_code"]), status.OK);
  assert.equal(attributes["sluice.api_id"], "traced");
  assert.match(collector.resources.join(), /"the gateway"/);
  assert.ok(collector.headers.every((value) => value === "of-the-collector"));
  await until("the access log names the trace", () => gateway.logs.includes(`"trace_id":"${PARENT.trace}"`));
  assert.equal(gateway.logs.includes("of-the-collector"), false);
});

test("a caller's trace that is not sampled passes as it came, and makes no span", async () => {
  const trace = "1af7651916cd43dd8448eb211c80319c";
  const sent = `00-${trace}-${PARENT.span}-00`;
  assert.deepEqual(await call("Two", sent), [sent]);
  assert.deepEqual(await call("Three", ""), []);
  for (const wrong of ["00-0-0-01", `ff-${trace}-${PARENT.span}-01`, `00-${"0".repeat(32)}-${PARENT.span}-01`])
    assert.deepEqual(await call("Wrong", wrong), [wrong]);
  await call("Last", `00-2af7651916cd43dd8448eb211c80319c-${PARENT.span}-01`);
  await collector.spanOf("2af7651916cd43dd8448eb211c80319c");
  assert.equal(
    collector.spans.some(({ traceId }) => traceId === trace),
    false,
  );
});

test("a failed call's span says so", async () => {
  const trace = "3af7651916cd43dd8448eb211c80319c";
  await call("Fail", `00-${trace}-${PARENT.span}-01`);
  assert.equal((await collector.spanOf(trace)).status.code, 2);
});

async function reload(opentelemetry: Record<string, unknown>): Promise<Response> {
  const settings = JSON.parse(await readFile(gateway.configPath, "utf8"));
  await writeFile(gateway.configPath, JSON.stringify({ ...settings, opentelemetry }));
  const secret = { "x-tyk-authorization": "test-secret" };
  return fetch(`http://127.0.0.1:${gateway.controlPort}/tyk/reload?block=true`, { headers: secret });
}

test("where the gateway decides, a trace begins here when the caller brings none", async () => {
  const endpoint = `http://127.0.0.1:${(collector.server.address() as AddressInfo).port}/v1/traces`;
  assert.equal((await reload({ enabled: true, exporter: "http", endpoint })).status, 200);
  const [told = ""] = await call("Begins", "", { "grpc-timeout": "10S" });
  const parent = parseTraceparent(told);
  assert.notEqual(parent, null);
  const span = await collector.spanOf(parent!.traceId);
  assert.equal(span.spanId, parent!.spanId);
  assert.equal(span.parentSpanId ?? "", "");
  const metrics = await (await fetch(`http://127.0.0.1:${gateway.controlPort}/metrics`)).text();
  assert.match(metrics, /sluice_spans_total\{outcome="sent"\} [1-9]/);
});

test("a collector that is away costs calls nothing and one line of the log", async () => {
  const [nobody = 0] = await freePorts(1);
  const away = { enabled: true, exporter: "http", endpoint: `127.0.0.1:${nobody}`, connection_timeout: 0.5 };
  assert.equal((await reload(away)).status, 200);
  for (let n = 0; n < 20; n++) assert.equal((await call(`Away${n}`, "")).length, 1);
  await until("it is told", () => gateway.logs.includes("spans cannot be sent to the collector"));
  assert.equal(gateway.logs.split("spans cannot be sent").length, 2);
});

test("an exporter that is not there is refused by name", async () => {
  const answer = await reload({ enabled: true, exporter: "grpc" });
  assert.equal(answer.status, 400);
  assert.match(await answer.text(), /opentelemetry\.exporter.*must be/s);
});
