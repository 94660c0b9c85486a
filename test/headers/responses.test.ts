// Responsible for: what a caller gets of a response whose definition changes its fields: headers, trailers and answers
// that are nothing but trailers. Governed by: spec 2.3; issue 6, item 6. Frame by frame.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { type Json, rights } from "../gate/control.js";
import { keyed, World } from "../gate/world.js";
import { textOf, valuesOf } from "../rfc9113/relay-scene.js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { grpcRequest, WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block, type Field } from "../support/wire/hpack.js";
import type { Message } from "../support/wire/peer.js";
import { WireServer } from "../support/wire/server.js";

const version = (more: Json): Json => ({
  version_data: { not_versioned: true, versions: { Default: { name: "Default", use_extended_paths: true, ...more } } },
});

const CHANGES: Json = {
  global_headers: { "X-Copy": "$tyk_context.headers_X_Given", "X-Address": "$tyk_context.remote_addr" },
  global_response_headers: {
    "X-Set": "global",
    "X-Path": "$tyk_context.path",
    "X-Echo": "$tyk_context.headers_X_Given",
    "X-Id": "$tyk_context.request_id",
  },
  global_response_headers_remove: ["Server"],
  extended_paths: {
    transform_response_headers: [
      {
        path: "/api/Path",
        method: "POST",
        add_headers: { "X-Set": "path", "X-More": "m" },
        delete_headers: ["X-Extra"],
      },
    ],
  },
};

describe("fields of responses", () => {
  let service: WireServer;
  let gateway: Gateway;
  let client: WireClient;

  before(async () => {
    service = await WireServer.listen();
    const more = { enable_context_vars: true, sluice: { retry: { statuses: ["UNAVAILABLE"] } }, ...version(CHANGES) };
    gateway = await startGateway({
      definitions: [keyless({ path: "/api/", target: service.target, more })],
      settings: { request_id: { header: "x-request-id", trust: "always" }, trusted_proxies: ["127.0.0.1"] },
    });
    client = await WireClient.ready(gateway.port);
  });
  after(async () => {
    client?.close();
    await gateway?.stop();
    await service?.close();
  });

  async function exchange(
    path: string,
    fields: Field[],
    reply: (it: Awaited<ReturnType<WireServer["request"]>>) => void,
  ): Promise<Message> {
    const stream = client.newStream();
    client.send(
      f.headers(stream, block(...grpcRequest(path), ...fields)),
      f.data(stream, Buffer.alloc(5), { end: true }),
    );
    reply(await service.request());
    return client.message(stream);
  }

  const OWN: Field[] = [
    ["content-type", "application/grpc"],
    ["server", "secret/1.0"],
    ["x-set", "service"],
    ["x-extra", "e"],
  ];

  it("headers are set and removed in every response, trailers pass as they are", async () => {
    for (let n = 0; n < 4; n++) {
      const it = await exchange("/api/Any", [["x-given", `g${n}`]], ({ connection, stream }) =>
        connection.reply(stream, {
          fields: OWN,
          body: Buffer.alloc(5),
          trailers: [
            ["grpc-status", "0"],
            ["server", "t"],
            ["x-set", "t"],
          ],
        }),
      );
      assert.equal(textOf(it.fields, "server"), undefined);
      assert.deepEqual(valuesOf(it.fields, "x-set"), ["global"]);
      assert.equal(textOf(it.fields, "x-extra"), "e");
      assert.equal(textOf(it.fields, "x-path"), "/api/Any");
      assert.equal(textOf(it.fields, "x-echo"), `g${n}`);
      assert.equal(textOf(it.fields, ":status"), "200");
      assert.deepEqual(
        it.trailers.map((field) => `${field.name}: ${field.value}`),
        ["grpc-status: 0", "server: t", "x-set: t"],
      );
    }
  });

  it("the global lists stand over a path's, as in Tyk", async () => {
    const it = await exchange("/api/Path", [], ({ connection, stream }) =>
      connection.reply(stream, { fields: OWN, body: Buffer.alloc(5), trailers: [["grpc-status", "0"]] }),
    );
    assert.deepEqual(valuesOf(it.fields, "x-set"), ["global"]);
    assert.equal(textOf(it.fields, "x-more"), "m");
    assert.equal(textOf(it.fields, "x-extra"), undefined);
  });

  it("an answer that is nothing but trailers is changed, its status is not", async () => {
    const it = await exchange("/api/Any", [], ({ connection, stream }) =>
      connection.reply(stream, { fields: [...OWN, ["grpc-status", "5"], ["grpc-message", "no such thing"]] }),
    );
    assert.equal(textOf(it.fields, "grpc-status"), "5");
    assert.equal(textOf(it.fields, "grpc-message"), "no such thing");
    assert.deepEqual(valuesOf(it.fields, "x-set"), ["global"]);
    assert.equal(textOf(it.fields, "server"), undefined);
  });

  it("a call's id is one in every attempt and in the response, and a believed caller's own where it can be one", async () => {
    const idsOf = async (sent: string): Promise<string[]> => {
      const stream = client.newStream();
      client.send(
        f.headers(stream, block(...grpcRequest("/api/Any"), ["x-request-id", sent], ["x-given", sent.slice(0, 5)])),
        f.data(stream, Buffer.alloc(5), { end: true }),
      );
      const first = await service.request();
      first.connection.reply(first.stream, { fields: [...OWN, ["grpc-status", "14"]] });
      const second = await service.request();
      second.connection.replyGrpc(second.stream);
      const it = await client.message(stream);
      for (const { fields } of [first, second]) assert.equal(textOf(fields, "x-copy"), sent.slice(0, 5));
      assert.equal(textOf(second.fields, "grpc-previous-rpc-attempts"), "1");
      return [first.fields, second.fields, it.fields].map(
        (fields, n) => textOf(fields, n < 2 ? "x-request-id" : "x-id") ?? "",
      );
    };
    assert.deepEqual(await idsOf("mine-1"), ["mine-1", "mine-1", "mine-1"]);
    for (const sent of ["two words", "x".repeat(201), ""]) {
      const [one, ...others] = await idsOf(sent);
      assert.match(one ?? "", /^[0-9a-f-]{36}$/);
      assert.deepEqual(others, [one, one]);
    }
  });

  it("the address is what a trusted proxy says", async () => {
    const it = await exchange(
      "/api/Any",
      [["x-forwarded-for", "9.9.9.9, 1.2.3.4"]],
      ({ connection, stream, fields }) => {
        assert.equal(textOf(fields, "x-forwarded-for"), "9.9.9.9, 1.2.3.4, 127.0.0.1");
        assert.equal(textOf(fields, "x-address"), "1.2.3.4");
        connection.replyGrpc(stream);
      },
    );
    assert.equal(textOf(it.fields, "grpc-status") ?? textOf(it.trailers, "grpc-status"), "0");
  });

  it("a value longer than a variable may be is none", async () => {
    const stream = client.newStream();
    client.send(f.headers(stream, block(...grpcRequest("/api/Any"), ["x-given", "g".repeat(5_000)]), { end: true }));
    const it = await service.request();
    assert.equal(textOf(it.fields, "x-copy"), "");
    it.connection.replyGrpc(it.stream);
    assert.equal(textOf((await client.message(stream)).fields, "x-echo"), "");
  });

  it("an interim response and an answer of the gateway itself are left alone", async () => {
    const it = await exchange("/api/Any", [], ({ connection, stream }) => {
      connection.send(f.headers(stream, block([":status", "103"], ["server", "early"])));
      connection.replyGrpc(stream);
    });
    assert.deepEqual(valuesOf(it.fields, "x-set"), ["global"]);
    const stream = client.newStream();
    client.send(f.headers(stream, block(...grpcRequest("/api/Any"), ["grpc-timeout", "x"]), { end: true }));
    const refused = await client.message(stream);
    assert.equal(textOf(refused.fields, "grpc-status"), "13");
    assert.equal(textOf(refused.fields, "x-set"), undefined);
  });
});

describe("fields of responses to keys", () => {
  let world: World;
  before(async () => {
    world = await World.start({
      home: "embedded",
      definitions: (target) => [
        keyed("keys", target, "/keys.Api", {
          enable_context_vars: true,
          ...version({
            global_response_headers: { "X-Team": "$tyk_meta.team", "X-Fixed": "f" },
            global_response_headers_remove: ["X-RateLimit-Other"],
          }),
        }),
      ],
    });
  });
  after(() => world?.stop());

  it("what is set comes beside the values of limits, and the service's own values of limits do not", async () => {
    const { key } = await world
      .control()
      .key({ access_rights: rights(["keys"]), quota_max: 10, quota_renewal_rate: 3_600, meta_data: { team: "blue" } });
    for (const [left, own] of [
      ["9", {}],
      ["8", { "x-own-limits": "1" }],
      ["7", {}],
    ] as const) {
      const seen = await world.caller().call("/keys.Api/Method", { authorization: key, ...own });
      assert.equal(seen.code, status.OK);
      assert.equal(seen.fields["x-team"], "blue");
      assert.equal(seen.fields["x-fixed"], "f");
      assert.equal(seen.fields["x-ratelimit-limit"], "10");
      assert.equal(seen.fields["x-ratelimit-remaining"], left);
      assert.equal(seen.fields["x-ratelimit-other"], undefined);
    }
  });
});
