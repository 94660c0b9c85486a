// Responsible for: JSON Web Tokens at the gate, signed and forged. Governed by: RFC 7519, RFC 8725, spec 2.1 (jwt_*).

import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { exportJWK, type JWTPayload, SignJWT, UnsecuredJWT } from "jose";
import { type Caller, token } from "./caller.js";
import { type Json, rights } from "./control.js";
import { keyed, onBothHomes, World } from "./world.js";

const { OK, UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAVAILABLE } = status;
const SECRET = "a secret that both sides know, long enough";
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const rsaOther = generateKeyPairSync("rsa", { modulusLength: 2048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const pem = (key: KeyObject): string => String(key.export({ type: "spki", format: "pem" }));
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const secret = new TextEncoder().encode(SECRET);

const jwt = (id: string, target: string, more: Json): Json =>
  keyed(id, target, `/${id}.Api`, {
    use_standard_auth: false,
    enable_jwt: true,
    auth_configs: {},
    jwt_default_policies: ["all"],
    jwt_identity_base_field: "sub",
    ...more,
  });

const definitions = (target: string, jwks: string): Json[] => [
  jwt("hmac", target, {
    jwt_signing_method: "hmac",
    jwt_source: base64(SECRET),
    jwt_policy_field_name: "pol",
    jwt_allowed_audiences: ["us"],
    jwt_allowed_issuers: ["them"],
  }),
  jwt("rsa", target, { jwt_signing_method: "rsa", jwt_source: base64(pem(rsa.publicKey)) }),
  jwt("ecdsa", target, { jwt_signing_method: "ecdsa", jwt_source: base64(pem(ec.publicKey)) }),
  jwt("jwks", target, { jwt_signing_method: "rsa", jwt_source: `${jwks}/keys` }),
  jwt("away", target, { jwt_signing_method: "rsa", jwt_source: `${jwks}/broken` }),
  jwt("scopes", target, {
    jwt_signing_method: "hmac",
    jwt_source: base64(SECRET),
    jwt_default_policies: [],
    scopes: { jwt: { scope_claim_name: "scope", scope_to_policy: { read: "all" } } },
  }),
  jwt("own", target, { jwt_signing_method: "hmac", jwt_default_policies: [] }),
];

const all = rights(["hmac", "rsa", "ecdsa", "jwks", "away", "scopes", "own"]);
const policies = {
  all: { org_id: "test", active: true, quota_max: -1, access_rights: all },
  none: { org_id: "test", active: true, quota_max: -1, access_rights: rights(["other"]) },
  two: { org_id: "test", active: true, quota_max: 2, quota_renewal_rate: 86_400, access_rights: all },
};

const CLAIMS: JWTPayload = { sub: "ann", aud: "us", iss: "them" };
const now = (): number => Math.floor(Date.now() / 1_000);

type Key = Parameters<SignJWT["sign"]>[0];
const signed = (alg: string, key: Key, claims: JWTPayload = CLAIMS, kid?: string): Promise<string> =>
  new SignJWT({ exp: now() + 600, ...claims }).setProtectedHeader(kid === undefined ? { alg } : { alg, kid }).sign(key);
const hs = (claims: JWTPayload = {}): Promise<string> => signed("HS256", secret, { ...CLAIMS, ...claims });

interface Case {
  readonly says: string;
  readonly api: string;
  readonly token: () => Promise<string> | string;
  readonly code: number;
  readonly message?: string;
}

const NOT = "Key not authorized";
const LATE = "Key not authorized: token is expired or not valid yet";

const CASES: Case[] = [
  { says: "signed with the secret", api: "hmac", token: () => hs(), code: OK },
  { says: "after Bearer", api: "hmac", token: async () => `Bearer ${await hs()}`, code: OK },
  { says: "signed with HS512", api: "hmac", token: () => signed("HS512", Buffer.concat([secret])), code: OK },
  { says: "signed with RSA", api: "rsa", token: () => signed("RS256", rsa.privateKey), code: OK },
  { says: "signed with RSA-PSS", api: "rsa", token: () => signed("PS256", rsa.privateKey), code: OK },
  { says: "signed with ECDSA", api: "ecdsa", token: () => signed("ES256", ec.privateKey), code: OK },
  {
    says: "signed with a key of the set",
    api: "jwks",
    token: () => signed("RS256", rsa.privateKey, CLAIMS, "one"),
    code: OK,
  },
  {
    says: "with a kid that the set has not",
    api: "jwks",
    token: () => signed("RS256", rsa.privateKey, CLAIMS, "two"),
    code: UNAUTHENTICATED,
    message: NOT,
  },
  {
    says: "signed with another key than the set's",
    api: "jwks",
    token: () => signed("RS256", rsaOther.privateKey, CLAIMS, "one"),
    code: UNAUTHENTICATED,
    message: NOT,
  },
  {
    says: "whose keys cannot be fetched",
    api: "away",
    token: () => signed("RS256", rsa.privateKey, CLAIMS, "one"),
    code: UNAVAILABLE,
  },
  { says: "with a scope that has a policy", api: "scopes", token: () => hs({ scope: "write read" }), code: OK },
  { says: "with a scope that has none", api: "scopes", token: () => hs({ scope: "write" }), code: PERMISSION_DENIED },
  { says: "missing", api: "hmac", token: () => "", code: UNAUTHENTICATED, message: "Authorization field missing" },
  { says: "that is none", api: "hmac", token: () => "nonsense", code: UNAUTHENTICATED, message: NOT },
  { says: "of broken base64", api: "hmac", token: () => "a$b.c%d.e^f", code: UNAUTHENTICATED, message: NOT },
  { says: "of empty parts", api: "hmac", token: () => "..", code: UNAUTHENTICATED, message: NOT },
  {
    says: "too long",
    api: "hmac",
    token: async () => `${await hs()}${"x".repeat(20_000)}`,
    code: UNAUTHENTICATED,
    message: NOT,
  },
  {
    says: "without a signature",
    api: "hmac",
    token: () => new UnsecuredJWT({ ...CLAIMS, exp: now() + 600 }).encode(),
    code: UNAUTHENTICATED,
    message: NOT,
  },
  {
    says: "whose signature was changed",
    api: "hmac",
    token: async () => flipped(await hs(), 2),
    code: UNAUTHENTICATED,
    message: NOT,
  },
  {
    says: "whose claims were changed",
    api: "hmac",
    token: async () => flipped(await hs(), 1),
    code: UNAUTHENTICATED,
    message: NOT,
  },
  {
    says: "signed with another secret",
    api: "hmac",
    token: () => signed("HS256", Buffer.from("x".repeat(40))),
    code: UNAUTHENTICATED,
    message: NOT,
  },
  {
    says: "signed with HMAC by the public key",
    api: "rsa",
    token: () => signed("HS256", Buffer.from(pem(rsa.publicKey))),
    code: UNAUTHENTICATED,
    message: NOT,
  },
  {
    says: "of another family of algorithms",
    api: "ecdsa",
    token: () => signed("RS256", rsa.privateKey),
    code: UNAUTHENTICATED,
    message: NOT,
  },
  { says: "expired", api: "hmac", token: () => hs({ exp: now() - 5 }), code: UNAUTHENTICATED, message: LATE },
  { says: "not valid yet", api: "hmac", token: () => hs({ nbf: now() + 600 }), code: UNAUTHENTICATED, message: LATE },
  {
    says: "issued in the future",
    api: "hmac",
    token: () => hs({ iat: now() + 600 }),
    code: UNAUTHENTICATED,
    message: LATE,
  },
  {
    says: "for another audience",
    api: "hmac",
    token: () => hs({ aud: "others" }),
    code: UNAUTHENTICATED,
    message: NOT,
  },
  { says: "for several audiences, ours among them", api: "hmac", token: () => hs({ aud: ["others", "us"] }), code: OK },
  { says: "from another issuer", api: "hmac", token: () => hs({ iss: "nobody" }), code: UNAUTHENTICATED, message: NOT },
  { says: "of nobody", api: "hmac", token: () => hs({ sub: "" }), code: UNAUTHENTICATED, message: NOT },
  { says: "whose policy gives no right", api: "hmac", token: () => hs({ pol: "none" }), code: PERMISSION_DENIED },
  { says: "whose policy is missing", api: "hmac", token: () => hs({ pol: "gone" }), code: PERMISSION_DENIED },
  {
    says: "of a key that nobody stored",
    api: "own",
    token: () => signed("HS256", secret, CLAIMS, "unknown"),
    code: UNAUTHENTICATED,
    message: NOT,
  },
];

function flipped(jws: string, part: number): string {
  const parts = jws.split(".");
  const it = parts[part] ?? "";
  parts[part] = it.slice(0, 4) + (it[4] === "A" ? "B" : "A") + it.slice(5);
  return parts.join(".");
}

onBothHomes("JSON Web Tokens", (home) => {
  let world: World;
  let caller: Caller;
  let server: Server;
  let fetched = 0;
  let keys = "";
  before(async () => {
    keys = JSON.stringify({
      keys: [{ ...(await exportJWK(rsa.publicKey)), kid: "one", alg: "RS256", use: "sig" }],
    });
    server = createServer((request, response) => {
      fetched += 1;
      if (request.url === "/keys") response.setHeader("content-type", "application/json").end(keys);
      else response.writeHead(500).end("no");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    world = await World.start({ home, definitions: (target) => definitions(target, url), policies });
    caller = world.caller();
  });
  after(async () => {
    await world?.stop();
    server?.closeAllConnections();
    server?.close();
  });

  for (const { says, api, token: make, code, message } of CASES) {
    it(`a token ${says} is ${code === OK ? "let in" : status[code]}`, async () => {
      const value = await make();
      const fields = value === "" ? {} : token(value);
      for (const time of ["first", "second"]) {
        const seen = await caller.call(`/${api}.Api/M`, fields);
        assert.equal(seen.code, code, `${time} time: ${seen.message}`);
        if (message !== undefined) assert.equal(seen.message, message);
      }
    });
  }

  it("the set of keys is fetched once for many tokens", async () => {
    const before = fetched;
    for (let n = 0; n < 5; n++) {
      const value = await signed("RS256", rsa.privateKey, { ...CLAIMS, sub: `user${n}` }, "one");
      assert.equal(await caller.code("/jwks.Api/M", token(value)), OK);
    }
    assert.equal(fetched, before);
  });

  it("a quota is the identity's, whatever token it comes with", async () => {
    const as = async (sub: string, jti: string): Promise<number> =>
      caller.code("/hmac.Api/M", token(await hs({ sub, jti, pol: "two" })));
    assert.deepEqual(
      [await as("quota", "1"), await as("quota", "2"), await as("quota", "3")],
      [OK, OK, RESOURCE_EXHAUSTED],
    );
    assert.equal(await as("another", "4"), OK);
  });

  it("a token that names a key is signed with that key's secret and has its rights", async () => {
    const { key } = await world.control().key({ access_rights: rights(["own"]), jwt_data: { secret: SECRET } });
    assert.equal(await caller.code("/own.Api/M", token(await signed("HS256", secret, CLAIMS, key))), OK);
    const forged = await signed("HS256", Buffer.from("y".repeat(40)), CLAIMS, key);
    assert.equal(await caller.code("/own.Api/M", token(forged)), UNAUTHENTICATED);
    await world.control().done("DELETE", `/tyk/keys/${encodeURIComponent(key)}`);
    assert.equal(await caller.code("/own.Api/M", token(await signed("HS256", secret, CLAIMS, key))), UNAUTHENTICATED);
  });

  it("keys that their source has withdrawn stop when an operator says so", async () => {
    const value = token(await signed("RS256", rsa.privateKey, { ...CLAIMS, sub: "withdrawn" }, "one"));
    const all = keys;
    assert.equal(await caller.code("/jwks.Api/M", value), OK);
    keys = '{"keys":[]}';
    assert.equal(await caller.code("/jwks.Api/M", value), OK);
    assert.equal((await world.control().ask("DELETE", "/tyk/cache/jwks/none")).status, 404);
    await world.control().done("DELETE", "/tyk/cache/jwks/jwks");
    assert.equal(await caller.code("/jwks.Api/M", value), UNAUTHENTICATED);
    keys = all;
    await world.control().done("DELETE", "/tyk/cache/jwks");
    assert.equal(await caller.code("/jwks.Api/M", value), OK);
    assert.deepEqual(await world.control().done("DELETE", "/tyk/cache/jwks"), {
      status: "ok",
      message: "cache invalidated",
    });
    const nothing = await world.control().done("DELETE", "/tyk/cache/hmac");
    assert.equal(nothing["message"], "nothing is cached");
  });
});
