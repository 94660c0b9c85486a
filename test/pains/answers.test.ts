// Responsible for: pains 16, 21, 23 and 28 of other gateways' users: what is said besides messages: statuses instead of
// pages, te, two protocols on one port, large metadata. Must not know: the gateway's insides.
// Governed by: README.md beside this file. One gateway.

import assert from "node:assert/strict";
import { createServer, type Server } from "node:net";
import { after, before, describe, test } from "node:test";
import { status } from "@grpc/grpc-js";
import { statusOf, textOf, valuesOf } from "../rfc9113/relay-scene.js";
import { freePorts, type Gateway, keyless, startGateway } from "../support/gateway.js";
import { failureOf, GrpcClient } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { grpcRequest, WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block, type Field } from "../support/wire/hpack.js";
import type { Message } from "../support/wire/peer.js";
import { WireServer } from "../support/wire/server.js";
import { exchange, httpGet } from "../system/http1.js";

const EMPTY_MESSAGE = Buffer.alloc(5);
const PAGE = "<html><body>Bad Request</body></html>";
const GRPC: Field = ["content-type", "application/grpc"];

const version = (more: Record<string, unknown>) => ({
  version_data: { not_versioned: true, versions: { Default: { name: "Default", use_extended_paths: true, ...more } } },
});

/** What speaks no HTTP/2: it answers whatever comes with a page, as servers of HTTP/1.1 do. */
function pageServer(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () =>
      socket.end(
        `HTTP/1.1 400 Bad Request\r\ncontent-type: text/html\r\ncontent-length: ${PAGE.length}\r\n\r\n${PAGE}`,
      ),
    );
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

/** A header block in as many frames as it needs. */
function sections(stream: number, bytes: Buffer, end: boolean): f.Frame[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += f.DEFAULT_FRAME_SIZE)
    pieces.push(bytes.subarray(at, at + f.DEFAULT_FRAME_SIZE));
  return pieces.map((piece, at) =>
    at === 0
      ? f.headers(stream, piece, { end, endHeaders: pieces.length === 1 })
      : f.continuation(stream, piece, at === pieces.length - 1),
  );
}

const fields = (octets: number): Field[] =>
  Array.from({ length: Math.ceil(octets / 4_000) }, (_, at): Field => [`x-large-${at}`, "v".repeat(4_000)]);

describe("what is said besides messages", () => {
  let led: WireServer;
  /** Its header lists may not be larger than 8 KiB. */
  let narrow: WireServer;
  let page: Server;
  let gateway: Gateway;
  let client: WireClient;

  before(async () => {
    led = await WireServer.listen();
    narrow = await WireServer.listen({ greeting: [f.settings([f.Setting.MAX_HEADER_LIST_SIZE, 8_192])] });
    page = await pageServer();
    const at = page.address();
    const pagePort = typeof at === "object" && at !== null ? at.port : 0;
    const [nobody = 0] = await freePorts(1);
    const { target } = led;
    gateway = await startGateway({
      definitions: [
        keyless({ id: "plain", target, path: "/plain.Api" }),
        keyless({ id: "stripped", target, path: "/stripped/", proxy: { strip_listen_path: true } }),
        keyless({
          id: "changed",
          target,
          path: "/changed.Api",
          more: {
            enable_context_vars: true,
            sluice: { retry: { statuses: ["UNAVAILABLE"], backoff: 0 } },
            ...version({
              global_headers: { "X-Set": "$tyk_context.path" },
              global_headers_remove: ["X-Gone"],
              extended_paths: {
                url_rewrites: [
                  {
                    path: "/changed.Api/Old",
                    match_pattern: "/changed.Api/Old",
                    rewrite_to: "/changed.Api/New",
                    method: "POST",
                  },
                ],
              },
            }),
          },
        }),
        keyless({
          id: "limited",
          target,
          path: "/limited.Api",
          more: { sluice: { message_limits: { request_bytes: 4 } } },
        }),
        keyless({
          id: "listed",
          target,
          path: "/listed.Api",
          more: version({ extended_paths: { black_list: [{ path: "/listed.Api/No", method_actions: {} }] } }),
        }),
        keyless({ id: "narrow", target: narrow.target, path: "/narrow.Api" }),
        keyless({ id: "page", target: `h2c://127.0.0.1:${pagePort}`, path: "/page.Api" }),
        keyless({ id: "nobody", target: `h2c://127.0.0.1:${nobody}`, path: "/nobody.Api" }),
        keyless({
          id: "keyed",
          target,
          path: "/keyed.Api",
          more: { use_keyless: false, use_standard_auth: true, auth: { auth_header_name: "authorization" } },
        }),
      ],
      settings: {
        upstream: { min_connections: 1, max_connections: 1 },
        override_messages: { "auth.auth_field_missing": { message: `who are you ${"?".repeat(20_000)}`, code: 401 } },
      },
    });
    client = await WireClient.ready(gateway.port);
  });

  after(async () => {
    client?.close();
    await gateway?.stop();
    await led?.close();
    await narrow?.close();
    page?.close();
  });

  function start(path: string, more: Field[] = [], body: Buffer = EMPTY_MESSAGE): number {
    const stream = client.newStream();
    client.send(...sections(stream, block(...grpcRequest(path), ...more), false), f.data(stream, body, { end: true }));
    return stream;
  }

  /** As `start`, with other fields in the place of the usual ones. */
  function startWith(overrides: Record<string, string>): number {
    const stream = client.newStream();
    client.send(f.headers(stream, block(...grpcRequest("/plain.Api/M", overrides)), { end: true }));
    return stream;
  }

  const refusals: [says: string, grpc: number, start: () => number][] = [
    ["a path that nobody serves", status.UNIMPLEMENTED, () => start("/unknown.Api/M")],
    ["a method of HTTP that is not gRPC's", status.UNIMPLEMENTED, () => startWith({ ":method": "GET" })],
    ["a service that is not there", status.UNAVAILABLE, () => start("/nobody.Api/M")],
    ["a service that speaks HTTP/1.1 and answers with a page", status.UNAVAILABLE, () => start("/page.Api/M")],
    ["a header list that is too large", status.RESOURCE_EXHAUSTED, () => start("/plain.Api/M", fields(68_000))],
    [
      "a message that is too large",
      status.RESOURCE_EXHAUSTED,
      () => start("/limited.Api/M", [], Buffer.from([0, 0, 0, 0, 5, 1, 2, 3, 4, 5])),
    ],
    ["a timeout that nobody can read", status.INTERNAL, () => start("/plain.Api/M", [["grpc-timeout", "soon"]])],
    ["no credential", status.UNAUTHENTICATED, () => start("/keyed.Api/M")],
    ["a credential that nobody has", status.UNAUTHENTICATED, () => start("/keyed.Api/M", [["authorization", "x"]])],
    ["a method on a black list", status.PERMISSION_DENIED, () => start("/listed.Api/No")],
  ];

  for (const [says, grpc, begin] of refusals)
    test(`peers 16: ${says} is answered by a grpc-status, never by a page`, async () => {
      const answer = await client.message(begin());
      assert.equal(answer.reset, undefined);
      assert.equal(textOf(answer.fields, ":status"), "200");
      assert.deepEqual(valuesOf(answer.fields, "content-type"), ["application/grpc"]);
      assert.deepEqual(valuesOf(answer.fields, "grpc-status"), [String(grpc)]);
      assert.equal(answer.body.length, 0);
      assert.deepEqual(answer.trailers, []);
    });

  test("peers 16: grpc-js finds a status and a sentence in a refusal, not an unexpected HTTP answer", async () => {
    for (const [name, code] of [
      ["unknown.Api", status.UNIMPLEMENTED],
      ["page.Api", status.UNAVAILABLE],
      ["keyed.Api", status.UNAUTHENTICATED],
    ] as const) {
      const caller = new GrpcClient(gateway.port, name);
      const failure = await failureOf(caller.unary(METHODS.echo, "x"));
      assert.equal(failure.code, code);
      assert.doesNotMatch(failure.details, /HTTP|html|RST_STREAM/i);
      caller.close();
    }
  });

  test("peers 16: a page of the service itself arrives as it is: the gateway neither makes one nor hides one", async () => {
    const stream = start("/plain.Api/M");
    const it = await led.request();
    it.connection.reply(it.stream, { status: "503", fields: [["content-type", "text/html"]], body: PAGE });
    const answer = await client.message(stream);
    assert.equal(textOf(answer.fields, ":status"), "503");
    assert.equal(textOf(answer.fields, "content-type"), "text/html");
    assert.equal(answer.body.toString(), PAGE);
  });

  test("peers 21: te: trailers reaches the service on every way a call can take, once", async () => {
    for (const path of [
      "/plain.Api/M",
      "/stripped/plain.Api/M",
      "/changed.Api/M",
      "/changed.Api/Old",
      "/limited.Api/M",
    ])
      for (let again = 0; again < 3; again++) {
        const stream = start(path, [["x-gone", "1"]]);
        let it = await led.request();
        assert.deepEqual(valuesOf(it.fields, "te"), ["trailers"], path);
        if (path.startsWith("/changed.")) {
          // Tried again, it is the same request.
          it.connection.reply(it.stream, { fields: [GRPC, ["grpc-status", String(status.UNAVAILABLE)]] });
          it = await led.request();
          assert.deepEqual(valuesOf(it.fields, "te"), ["trailers"], `${path}, tried again`);
        }
        it.connection.replyGrpc(it.stream);
        assert.equal(statusOf(await client.message(stream)), "0");
      }
  });

  test("peers 23: one cleartext port takes HTTP/2 by prior knowledge and HTTP/1.1 health checks, with or without an upgrade", async () => {
    const upgrade =
      "connection: close, Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n";
    const stream = start("/plain.Api/M");
    const it = await led.request();
    assert.equal((await httpGet(gateway.port, "/hello")).status, 200);
    // Whoever offers to upgrade may be answered in the protocol it speaks (RFC 9110, 7.8), as probes of curl --http2 are.
    const offered = await exchange(gateway.port, [`GET /hello HTTP/1.1\r\nhost: x\r\n${upgrade}\r\n`]);
    assert.match(offered, /^HTTP\/1\.1 200 /);
    const call = `POST /plain.Api/M HTTP/1.1\r\nhost: x\r\n${upgrade}content-length: 0\r\n\r\n`;
    const refused = await exchange(gateway.port, [call]);
    assert.match(refused, /^HTTP\/1\.1 505 /);
    assert.match(refused, /HTTP\/2 only \(with prior knowledge\)/);
    it.connection.replyGrpc(it.stream);
    assert.equal(statusOf(await client.message(stream)), "0");
  });

  /** A call goes on, on the connections to the caller and to the service, while another one has its trouble. */
  async function beside(service: WireServer, path: string, trouble: () => Promise<void>): Promise<void> {
    const stream = start(path);
    const it = await service.request();
    await trouble();
    it.connection.replyGrpc(it.stream);
    assert.equal(statusOf(await client.message(stream)), "0");
    assert.equal(
      client.transcript.some((line) => line.startsWith("< GOAWAY")),
      false,
    );
  }

  const told = (it: Message) => [it.reset, statusOf(it)];

  test("peers 28: metadata above the bound costs a caller that call, as RESOURCE_EXHAUSTED, and not its connection", () =>
    beside(led, "/plain.Api/M", async () => {
      assert.deepEqual(told(await client.message(start("/plain.Api/M", fields(68_000)))), [undefined, "8"]);
    }));

  test("peers 28: metadata that the service does not take is refused by the gateway, and not by the end of the service's connection", () =>
    beside(narrow, "/narrow.Api/M", async () => {
      assert.deepEqual(told(await client.message(start("/narrow.Api/M", fields(8_000)))), [undefined, "8"]);
      assert.equal(narrow.untaken, 0);
    }));

  test("peers 28: metadata of a service above the bound is RESOURCE_EXHAUSTED to its caller, in headers and in trailers", () =>
    beside(led, "/plain.Api/M", async () => {
      for (const inTrailers of [false, true]) {
        const stream = start("/plain.Api/M");
        const it = await led.request();
        const large = block(...(inTrailers ? [] : [[":status", "200"] as Field, GRPC]), ...fields(68_000), [
          "grpc-status",
          "0",
        ]);
        if (inTrailers)
          it.connection.send(f.headers(it.stream, block([":status", "200"], GRPC)), f.data(it.stream, EMPTY_MESSAGE));
        it.connection.send(...sections(it.stream, large, true));
        assert.deepEqual(told(await client.message(stream)), [undefined, "8"]);
      }
    }));

  test("peers 28: a service's long grpc-message arrives whole, one of the gateway is cut to what every client takes", async () => {
    const text = "m".repeat(18_013);
    const stream = start("/plain.Api/M");
    const it = await led.request();
    const bytes = block([":status", "200"], GRPC, ["grpc-status", "13"], ["grpc-message", text]);
    it.connection.send(...sections(it.stream, bytes, true));
    assert.equal(textOf((await client.message(stream)).fields, "grpc-message"), text);
    const own = textOf((await client.message(start("/keyed.Api/M"))).fields, "grpc-message") ?? "";
    assert.match(own, /^who are you \?+$/);
    assert.ok(own.length <= 1_024, `${own.length} octets`);
  });
});
