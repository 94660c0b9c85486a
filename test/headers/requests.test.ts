// Responsible for: what a service gets of a request whose definition changes its fields, with real gateways, keys and
// tokens. Governed by: spec 2.3, 6.1; issue 6, item 6. Must not know: how lists are made.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { SignJWT } from "jose";
import { type Caller, type Fields, token } from "../gate/caller.js";
import { type Json, rights } from "../gate/control.js";
import { keyed, World } from "../gate/world.js";
import { keyless } from "../support/gateway.js";

const SIGNING = "a secret that both sides know, long enough";

const version = (more: Json): Json => ({
  version_data: { not_versioned: true, versions: { Default: { name: "Default", use_extended_paths: true, ...more } } },
});

const definitions = (target: string): Json[] => [
  keyless({
    id: "open",
    path: "/open.Api",
    target,
    more: {
      enable_context_vars: true,
      ...version({
        global_headers: {
          "X-Fixed": "one",
          "X-Both": "global",
          "X-Where": "$tyk_context.path of $tyk_context.remote_addr, $tyk_context.path_parts",
          "X-Copy": "<$tyk_context.headers_X_Given>",
          "X-Cookie": "$tyk_context.cookies_theme",
          "X-Call": "$tyk_context.request_id",
          "X-Nobody": "$tyk_meta.team",
          "X-Copy-Bin": "$tyk_context.headers_X_Given",
        },
        global_headers_remove: ["X-Secret", "User-Agent"],
        extended_paths: {
          transform_headers: [
            { path: "/open.Api/Other", method: "GET", add_headers: { "X-Path": "never" } },
            { path: "/open.Api/Other", method: "POST", add_headers: { "X-Both": "path" }, delete_headers: ["X-Fixed"] },
            { path: "/open.Api/Other", method: "POST", add_headers: { "X-Path": "second" } },
            { path: "/open.Api/Hidden", method: "POST", delete_headers: ["X-Forwarded-For"] },
            { path: "/open.Api/Told", method: "POST", add_headers: { "X-Forwarded-For": "10.9.8.7" } },
          ],
        },
      }),
    },
  }),
  keyless({ id: "plain", path: "/plain.Api", target }),
  keyless({
    id: "blind",
    path: "/blind.Api",
    target,
    more: version({ global_headers: { "X-Call": "<$tyk_context.request_id>" } }),
  }),
  keyed("keys", target, "/keys.Api", {
    strip_auth_data: true,
    enable_context_vars: true,
    ...version({
      global_headers: {
        Authorization: "Bearer $tyk_meta.upstream",
        "X-Team": "$tyk_meta.team",
        "X-Mixed": "$tyk_meta.team/$tyk_context.headers_X_Given",
        "X-Odd": "$tyk_meta.odd",
        "X-List": "$tyk_meta.list",
      },
    }),
  }),
  keyed("claims", target, "/claims.Api", {
    use_standard_auth: false,
    enable_jwt: true,
    auth_configs: {},
    jwt_signing_method: "hmac",
    jwt_source: Buffer.from(SIGNING).toString("base64"),
    jwt_default_policies: ["all"],
    jwt_identity_base_field: "sub",
    enable_context_vars: true,
    ...version({
      global_headers: { "X-Mail": "$tyk_context.jwt_claims_email", "X-Sub": "$tyk_context.jwt_claims_sub" },
    }),
  }),
];

describe("fields of requests", () => {
  let world: World;
  let caller: Caller;

  before(async () => {
    world = await World.start({
      home: "embedded",
      definitions,
      settings: { request_id: { header: "X-Request-Id" }, trusted_proxies: ["10.0.0.0/8"] },
      policies: { all: { org_id: "test", active: true, quota_max: -1, access_rights: rights(["claims"]) } },
    });
    caller = world.caller();
  });
  after(() => world?.stop());

  const arrived = async (path: string, fields: Fields = {}): Promise<Fields> => {
    const seen = await caller.call(path, fields);
    assert.equal(seen.code, status.OK, seen.message);
    return seen.arrived!.fields;
  };

  it("global fields are set over the caller's, and those to remove are gone, in call after call", async () => {
    for (let n = 0; n < 3; n++) {
      const fields = await arrived("/open.Api/Method", { "x-fixed": "mine", "x-secret": "s", "x-kept": "k" });
      assert.equal(fields["x-fixed"], "one");
      assert.equal(fields["x-both"], "global");
      assert.equal(fields["x-secret"], undefined);
      assert.equal(fields["user-agent"], undefined);
      assert.equal(fields["x-kept"], "k");
      assert.equal(fields["x-where"], "/open.Api/Method of 127.0.0.1, open.Api,Method");
      assert.equal(fields["x-forwarded-for"], "127.0.0.1");
      assert.equal(fields["te"], "trailers");
    }
  });

  it("of a path's entries the first that fits its method counts, over the global lists", async () => {
    const fields = await arrived("/open.Api/Other");
    assert.equal(fields["x-both"], "path");
    assert.equal(fields["x-fixed"], undefined);
    assert.equal(fields["x-path"], undefined);
  });

  it("variables of the call are filled in anew, whether a value repeats or not", async () => {
    for (const given of ["a", "a", "a", ...Array.from({ length: 80 }, (_, n) => `new-${n}`)]) {
      const fields = await arrived("/open.Api/Method", { "x-given": given, cookie: `a=b; theme=${given}` });
      assert.equal(fields["x-copy"], `<${given}>`);
      assert.equal(fields["x-cookie"], given);
    }
    const none = await arrived("/open.Api/Method");
    assert.equal(none["x-copy"], "<>");
    assert.equal(none["x-cookie"], "");
    assert.equal(none["x-nobody"], "", "nobody identified the caller");
  });

  it("a value that is no base64 never becomes binary metadata", async () => {
    // What a Node service shows of an empty one is its name.
    assert.equal((await arrived("/open.Api/Method", { "x-given": "not base64!" }))["x-copy-bin"], "");
    assert.equal((await arrived("/open.Api/Method", { "x-given": "aGVsbG8=" }))["x-copy-bin"], "aGVsbG8=");
  });

  it("x-forwarded-for can be removed and set, and then nothing is added", async () => {
    assert.equal((await arrived("/open.Api/Hidden", { "x-forwarded-for": "1.2.3.4" }))["x-forwarded-for"], undefined);
    assert.equal((await arrived("/open.Api/Told", { "x-forwarded-for": "1.2.3.4" }))["x-forwarded-for"], "10.9.8.7");
  });

  it("every call has an id of its own, one that a stranger sends is replaced, and it is one within a call", async () => {
    const ids = new Set<string>();
    for (let n = 0; n < 5; n++) {
      const fields = await arrived("/open.Api/Method", { "x-request-id": "chosen" });
      assert.match(fields["x-request-id"] ?? "", /^[0-9a-f-]{36}$/);
      assert.equal(fields["x-call"], fields["x-request-id"]);
      ids.add(fields["x-request-id"] ?? "");
      assert.match((await arrived("/plain.Api/Method"))["x-request-id"] ?? "", /^[0-9a-f-]{36}$/);
    }
    assert.equal(ids.size, 5);
  });

  it("context variables are empty where the definition does not ask for them", async () => {
    assert.equal((await arrived("/blind.Api/Method"))["x-call"], "<>");
  });

  it("meta data of the key stand where the definition says, each key's own, and the credential does not", async () => {
    const control = world.control();
    const make = (team: string): Promise<{ key: string }> =>
      control.key({
        access_rights: rights(["keys"]),
        meta_data: { team, upstream: `token-${team}`, odd: "zwei\r\nzeilen", list: ["a", 1, true] },
      });
    const [blue, red] = [await make("blue"), await make("red")];
    for (let n = 0; n < 3; n++)
      for (const [name, { key }] of [
        ["blue", blue],
        ["red", red],
      ] as const) {
        const fields = await arrived("/keys.Api/Method", { ...token(key), "x-given": `${n}` });
        assert.equal(fields["authorization"], `Bearer token-${name}`);
        assert.equal(fields["x-team"], name);
        assert.equal(fields["x-mixed"], `${name}/${n}`);
        assert.equal(fields["x-odd"], "", "what cannot stand in a field is not sent");
        assert.equal(fields["x-list"], "a,1,true");
      }
    await control.done("PUT", `/tyk/keys/${blue.key}`, {
      org_id: "test",
      access_rights: rights(["keys"]),
      meta_data: { team: "green" },
    });
    const changed = await arrived("/keys.Api/Method", token(blue.key));
    assert.equal(changed["x-team"], "green", "a changed key counts at once");
    assert.equal(changed["authorization"], "Bearer");
  });

  it("claims of a token stand where the definition says", async () => {
    const sign = (claims: Record<string, unknown>) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: "HS256" })
        .setExpirationTime("1h")
        .sign(new TextEncoder().encode(SIGNING));
    for (let n = 0; n < 3; n++) {
      const fields = await arrived(
        "/claims.Api/Method",
        token(await sign({ sub: `user-${n}`, email: `${n}@example.org` })),
      );
      assert.equal(fields["x-mail"], `${n}@example.org`);
      assert.equal(fields["x-sub"], `user-${n}`);
    }
    const odd = await arrived("/claims.Api/Method", token(await sign({ sub: "u", email: "ä\n" })));
    assert.equal(odd["x-mail"], "");
  });
});
