// Certificates as identity through real gateways, on both homes of the store: the certificate is the key, keys are bound to
// certificates, and what one connection may is never another's. Governed by: spec 3.1, 6.2, 6.7, 7.3 (TestKeyWithCertificateTLS,
// TestDynamicMTLS*, TestStaticAndDynamicMTLS, TestCertificateTokenBinding*, TestMultipleCertificateBindings).

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { status } from "@grpc/grpc-js";
import { type Control, type Json, rights, SECRET } from "../gate/control.js";
import { keyed, onBothHomes, World } from "../gate/world.js";
import { freePorts } from "../support/gateway.js";
import { until } from "../support/waiting.js";
import { TlsCaller } from "./caller.js";
import { type Made, make } from "./certificates.js";

const NAMES = ["server", "alice", "bob", "carol", "old", "early"] as const;
const APIS = ["own", "strict", "bound", "token"];
const DISALLOWED = "Access to this API has been disallowed";
const REQUIRED = "Client certificate required";

type People = Record<(typeof NAMES)[number], Made>;

async function people(): Promise<People> {
  const made = await Promise.all([
    make({ name: "localhost" }),
    make({ name: "alice" }),
    make({ name: "bob" }),
    make({ name: "carol" }),
    make({ name: "old", from: -10, until: -1 }),
    make({ name: "early", from: 1, until: 10 }),
  ]);
  return Object.fromEntries(NAMES.map((name, at) => [name, made[at]])) as People;
}

const byCertificate = { authToken: { auth_header_name: "authorization", use_certificate: true } };

/** APIs on a TLS port of their own: the control port stays one that plain requests reach. */
function definitionsFor(made: People, port: number): (target: string) => Json[] {
  const listed = { use_mutual_tls_auth: true, client_certificates: [made.alice.cert, made.bob.cert, made.old.cert] };
  const api = (id: string, target: string, more: Json): Json =>
    keyed(id, target, `/${id}.Api`, { protocol: "https", listen_port: port, ...more });
  return (target) => [
    api("own", target, { auth_configs: byCertificate }),
    api("strict", target, { auth_configs: byCertificate, ...listed }),
    api("bound", target, listed),
    api("token", target, {}),
  ];
}

const settingsFor = (made: People, more: Json = {}): Json => ({
  http_server_options: { ssl_certificates: [made.server.pem] },
  ...more,
});

/** The certificate's id. */
async function upload(world: World, made: Made): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${world.gateway().controlPort}/tyk/certs?org_id=test`, {
    method: "POST",
    headers: { "x-tyk-authorization": SECRET },
    body: made.cert,
  });
  const { id, message } = (await answer.json()) as { id: string; message: string };
  assert.equal(answer.status, 200, message);
  assert.equal(id, `test${made.fingerprint}`);
  return id;
}

onBothHomes("a certificate is a key", (home) => {
  let world: World;
  let port: number;
  let made: People;
  let control: Control;
  let aliceToken: string;
  const callers: TlsCaller[] = [];
  const as = (own?: Made): TlsCaller => {
    const caller = new TlsCaller(port, made.server.cert, own);
    callers.push(caller);
    return caller;
  };

  before(async () => {
    made = await people();
    [port = 0] = await freePorts(1);
    world = await World.start({ home, definitions: definitionsFor(made, port), settings: settingsFor(made) });
    control = world.control();
    for (const one of [made.alice, made.bob, made.old, made.early]) await upload(world, one);
    const access_rights = rights(APIS);
    aliceToken = (await control.key({ access_rights, certificate: `test${made.alice.fingerprint}` })).key;
    for (const one of [made.old, made.early])
      await control.key({ access_rights, certificate: `test${one.fingerprint}` });
  });

  after(async () => {
    for (const caller of callers) caller.close();
    await world?.stop();
  });

  const rows = (): [string, Made | undefined, string, string, number, string, number][] => [
    ["the certificate of a key", made.alice, "/own.Api/Do", "", status.OK, "", 200],
    ["the same with its token", made.alice, "/own.Api/Do", aliceToken, status.OK, "", 200],
    ["no certificate", undefined, "/own.Api/Do", "", status.UNAUTHENTICATED, REQUIRED, 401],
    ["its token alone", undefined, "/own.Api/Do", aliceToken, status.UNAUTHENTICATED, REQUIRED, 401],
    ["one without a key", made.bob, "/own.Api/Do", "", status.UNAUTHENTICATED, DISALLOWED, 401],
    [
      "one without a key with another's token",
      made.bob,
      "/own.Api/Do",
      aliceToken,
      status.UNAUTHENTICATED,
      DISALLOWED,
      401,
    ],
    ["one that nobody uploaded", made.carol, "/own.Api/Do", "", status.UNAUTHENTICATED, DISALLOWED, 401],
    ["an expired one", made.old, "/own.Api/Do", "", status.UNAUTHENTICATED, "Certificate has expired", 403],
    ["one before its time", made.early, "/own.Api/Do", "", status.UNAUTHENTICATED, "Certificate is not valid yet", 403],
    ["listed and with a key", made.alice, "/strict.Api/Do", "", status.OK, "", 200],
    ["listed, but without a key", made.bob, "/strict.Api/Do", "", status.UNAUTHENTICATED, DISALLOWED, 401],
    ["not listed", made.early, "/strict.Api/Do", "", status.PERMISSION_DENIED, "Certificate is not valid yet", 403],
    [
      "none where a list asks",
      undefined,
      "/strict.Api/Do",
      "",
      status.PERMISSION_DENIED,
      "Client TLS certificate is required",
      403,
    ],
    [
      "its token on an API of tokens, without it",
      undefined,
      "/token.Api/Do",
      aliceToken,
      status.UNAUTHENTICATED,
      REQUIRED,
      401,
    ],
    ["its token on an API of tokens, with it", made.alice, "/token.Api/Do", aliceToken, status.OK, "", 200],
  ];

  test("every row, by gRPC and by HTTP", async (t) => {
    for (const [says, own, path, authorization, code, message, http] of rows()) {
      await t.test(`${says}: ${path}`, async () => {
        const caller = as(own);
        const told = await caller.call(path, authorization);
        assert.deepEqual([told.code, told.message], [code, message === "" ? told.message : message]);
        const answer = await caller.http(path, authorization);
        assert.equal(answer.status, http, answer.body);
        if (message !== "") assert.match(answer.body, RegExp(message));
        caller.close();
      });
    }
  });

  test("a stranger with a listed certificate appended is a stranger", async () => {
    const both = { cert: made.carol.cert + made.alice.cert, key: made.carol.key };
    const caller = new TlsCaller(port, made.server.cert, both);
    callers.push(caller);
    assert.equal((await caller.call("/own.Api/Do")).code, status.UNAUTHENTICATED);
    assert.equal((await caller.call("/token.Api/Do", aliceToken)).code, status.UNAUTHENTICATED);
  });

  test("equal calls on connections with other certificates, or none, are each decided for themselves", async () => {
    const [alice, bob, nobody] = [as(made.alice), as(made.bob), as()];
    for (let round = 0; round < 5; round++) {
      for (const [path, authorization] of [
        ["/own.Api/Do", ""],
        ["/token.Api/Do", aliceToken],
      ] as const) {
        assert.equal((await alice.call(path, authorization)).code, status.OK);
        assert.equal((await bob.call(path, authorization)).code, status.UNAUTHENTICATED);
        assert.equal((await nobody.call(path, authorization)).code, status.UNAUTHENTICATED);
      }
    }
  });

  test("a bound token counts with each of its certificates and with no other", async () => {
    const access_rights = rights(APIS);
    const ids = [made.alice, made.old].map((one) => `test${one.fingerprint}`);
    const { key } = await control.key({ access_rights, mtls_static_certificate_bindings: ids });
    const [alice, bob, old] = [as(made.alice), as(made.bob), as(made.old)];
    assert.equal((await alice.call("/bound.Api/Do", key)).code, status.OK);
    const other = await bob.call("/bound.Api/Do", key);
    assert.deepEqual([other.code, other.message], [status.UNAUTHENTICATED, DISALLOWED]);
    assert.equal((await bob.http("/bound.Api/Do", key)).status, 401);
    const expired = await old.call("/bound.Api/Do", key);
    assert.deepEqual([expired.code, expired.message], [status.PERMISSION_DENIED, "Certificate has expired"]);
    const { key: free } = await control.key({ access_rights });
    for (const caller of [alice, bob]) assert.equal((await caller.call("/bound.Api/Do", free)).code, status.OK);
  });

  test("a certificate that is removed opens nothing any more, and again when it is back", async () => {
    const id = `test${made.bob.fingerprint}`;
    const { hash } = await control.key({ access_rights: rights(APIS), certificate: id });
    const bob = as(made.bob);
    assert.equal((await bob.call("/own.Api/Do")).code, status.OK);
    await control.done("DELETE", `/tyk/certs/${id}?org_id=test`);
    await until("the certificate is gone", async () => (await bob.call("/own.Api/Do")).code !== status.OK);
    const told = await bob.call("/own.Api/Do");
    assert.deepEqual([told.code, told.message], [status.UNAUTHENTICATED, DISALLOWED]);
    assert.equal((await bob.http("/own.Api/Do")).status, 403);
    await upload(world, made.bob);
    await until("the certificate is back", async () => (await bob.call("/own.Api/Do")).code === status.OK);
    await control.done("DELETE", `/tyk/keys/${hash}?hashed=true`);
    await until("its key is gone", async () => (await bob.call("/own.Api/Do")).code === status.UNAUTHENTICATED);
    assert.equal((await bob.http("/own.Api/Do")).status, 401);
  });
});

describe("where a token alone is allowed for certificates' keys", () => {
  let world: World;
  let port: number;
  let made: People;
  let token: string;
  const callers: TlsCaller[] = [];

  before(async () => {
    made = await people();
    [port = 0] = await freePorts(1);
    const settings = settingsFor(made, { security: { allow_unsafe_dynamic_mtls_token: true } });
    world = await World.start({ home: "embedded", definitions: definitionsFor(made, port), settings });
    for (const one of [made.alice, made.bob]) await upload(world, one);
    const session = { access_rights: rights(APIS), certificate: `test${made.alice.fingerprint}` };
    token = (await world.control().key(session)).key;
  });

  after(async () => {
    for (const caller of callers) caller.close();
    await world?.stop();
  });

  const cases = (): [string, Made | undefined, string, number][] => [
    ["the token alone opens", undefined, token, status.OK],
    ["the certificate alone opens", made.alice, "", status.OK],
    ["both open", made.alice, token, status.OK],
    ["another certificate beside the token does not", made.bob, token, status.UNAUTHENTICATED],
    ["an unknown token does not, whatever the certificate", made.alice, "unknown", status.UNAUTHENTICATED],
    ["an expired certificate does not", made.old, token, status.UNAUTHENTICATED],
    ["nothing does not", undefined, "", status.UNAUTHENTICATED],
  ];

  test("every row", async (t) => {
    for (const [says, own, authorization, code] of cases()) {
      await t.test(says, async () => {
        const caller = new TlsCaller(port, made.server.cert, own);
        callers.push(caller);
        assert.equal((await caller.call("/own.Api/Do", authorization)).code, code);
      });
    }
  });
});
