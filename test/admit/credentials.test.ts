import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import fc from "fast-check";
import { exportJWK, SignJWT } from "jose";
import { parseBasic } from "../../src/worker/admit/credentials/basic.js";
import { cookieValue, placeOf, stripBearer, takeToken } from "../../src/worker/admit/credentials/fields.js";
import { type JwtIdentity, JwtVerifier } from "../../src/worker/admit/credentials/jwt.js";
import { Passwords, TooManyChecks } from "../../src/worker/admit/credentials/passwords.js";
import { stripCookie, stripPath, stripPlan } from "../../src/worker/admit/credentials/strip.js";
import type { GatedDefinition } from "../../src/worker/admit/gated-definition.js";
import * as verdicts from "../../src/worker/admit/verdicts.js";

const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;

describe("the prefix Bearer", () => {
  for (const [given, token] of [
    ["Bearer abc", "abc"],
    ["bearer abc", "abc"],
    ["bEaReR abc", "abc"],
    ["Bearer:abc", "Bearer:abc"],
    ["Basic abc", "Basic abc"],
    ["abc", "abc"],
    ["Bearer", "Bearer"],
    ["", ""],
  ] as const) {
    test(`"${given}" is the token "${token}"`, () => assert.equal(stripBearer(given), token));
  }
});

describe("where a token stands", () => {
  const fields = (values: Record<string, string>) => (name: string) => values[name];

  test("in Authorization unless another header is named, in none when that is disabled", () => {
    const get = fields({ authorization: "a", "x-key": "b" });
    assert.equal(takeToken(placeOf(undefined), get, "/"), "a");
    assert.equal(takeToken(placeOf({ auth_header_name: "X-Key" }), get, "/"), "b");
    assert.equal(takeToken(placeOf({ disable_header: true }), get, "/"), "");
  });

  test("a parameter replaces the header, a cookie both, empty ones nothing", () => {
    const get = fields({ authorization: "h", cookie: 'a=1; key="c"; b=2' });
    const config = { use_param: true, param_name: "key", use_cookie: true, cookie_name: "key" };
    assert.equal(takeToken(placeOf({ ...config, use_cookie: false }), get, "/x?key=p%20q"), "p q");
    assert.equal(takeToken(placeOf(config), get, "/x?key=p"), "c");
    assert.equal(takeToken(placeOf({ ...config, cookie_name: "none" }), get, "/x?key="), "h");
  });

  test("a cookie's name is compared whole", () => {
    assert.equal(cookieValue("xkey=1;key=2", "key"), "2");
    assert.equal(cookieValue("key", "key"), "");
  });

  test("stripping takes the credential and leaves the rest as it was written", () => {
    const plan = stripPlan([placeOf({ use_param: true, param_name: "key" }), placeOf({ auth_header_name: "X-Key" })]);
    assert.deepEqual(plan.headers, ["authorization", "x-key"]);
    assert.equal(stripPath("/a?b=%20&key=1&c&k%65y=2", plan.params), "/a?b=%20&c");
    assert.equal(stripPath("/a?key=1", plan.params), "/a");
    assert.equal(stripPath("/a", plan.params), "/a");
    assert.equal(stripCookie("a=1; key=2; b=3", ["key"]), "a=1; b=3");
    assert.equal(stripCookie("key=2", ["key"]), undefined);
  });
});

describe("the credential of basic authentication", () => {
  test("may have colons in its password", () => {
    assert.deepEqual(parseBasic(basic("user:pass:word:")), { user: "user", password: "pass:word:" });
    assert.deepEqual(parseBasic(basic(":p")), { user: "", password: "p" });
  });

  for (const [title, value, verdict] of [
    ["is missing", "", verdicts.BASIC_FIELD_MISSING],
    ["has another scheme", "Digest dXNlcjpw", verdicts.BASIC_NOT_BASIC],
    ["has no scheme", "dXNlcjpw", verdicts.BASIC_NOT_BASIC],
    ["has three parts", "Basic dXNlcjpw x", verdicts.BASIC_NOT_BASIC],
    ["is not base64", "Basic %%%", verdicts.BASIC_NOT_ENCODED],
    ["is cut base64", "Basic dXNlc", verdicts.BASIC_NOT_ENCODED],
    ["has no colon", basic("user"), verdicts.BASIC_NO_COLON],
    ["is endless", `Basic ${"A".repeat(5_000)}`, verdicts.BASIC_NOT_ENCODED],
  ] as const) {
    test(`that ${title} is verdict ${verdict}`, () => assert.equal(parseBasic(value), verdict));
  }

  test("never throws", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 100 }), (text) => {
        parseBasic(text);
        parseBasic(`Basic ${text}`);
        cookieValue(text, "a");
        stripPath(`/?${text}`, ["a"]);
        takeToken(placeOf({ use_param: true, use_cookie: true }), () => text, `/?${text}`);
      }),
    );
  });
});

describe("checks of passwords", () => {
  const stored = { password: "$2b$hash", hash_type: "bcrypt" };
  const slow = () => {
    const calls: string[] = [];
    const waiting: ((right: boolean) => void)[] = [];
    return {
      calls,
      waiting,
      verifyBcrypt(password: string) {
        calls.push(password);
        return new Promise<boolean>((resolve) => waiting.push(resolve));
      },
    };
  };

  test("of one credential run once at a time and are remembered", async () => {
    const check = slow();
    const passwords = new Passwords(check);
    const both = Promise.all([passwords.verify("u", "p", stored, 60_000), passwords.verify("u", "p", stored, 60_000)]);
    assert.equal(check.calls.length, 1);
    check.waiting[0]?.(true);
    assert.deepEqual(await both, [true, true]);
    assert.equal(passwords.recall("u", "p", stored), true);
    assert.equal(passwords.recall("u", "q", stored), undefined);
    assert.equal(passwords.recall("u", "p", { ...stored, password: "$2b$other" }), undefined);
  });

  test("are not remembered when caching is off", async () => {
    const check = slow();
    const passwords = new Passwords(check);
    const first = passwords.verify("u", "p", stored, 0);
    check.waiting[0]?.(true);
    assert.equal(await first, true);
    assert.equal(passwords.recall("u", "p", stored), undefined);
  });

  test("keep near-identical users and passwords apart", async () => {
    const passwords = new Passwords({ verifyBcrypt: async (password) => password === "bellbell" });
    for (const [user, password, right] of [
      ["bellbell", "bellbell", true],
      ["bellbell", "bellbell1", false],
      ["bellbell1", "bellbell", true],
      ["bell", "bellbellbell", false],
    ] as const) {
      assert.equal(await passwords.verify(user, password, stored, 60_000), right);
    }
    assert.equal(passwords.recall("bel", "lbellbell", stored), undefined);
  });

  test("that nobody waits for any more make room, and are never begun", async () => {
    const aborted: string[] = [];
    const passwords = new Passwords({
      verifyBcrypt: (password, _hash, signal) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener("abort", () => {
            aborted.push(password);
            reject(new Error("cancelled"));
          });
        }),
    });
    const calls = new Set<string>();
    const ask = (password: string, call: string): Promise<boolean> => {
      calls.add(call);
      const asked = passwords.verify("u", password, stored, 1_000, () => !calls.has(call));
      asked.catch(() => {});
      return asked;
    };
    for (let n = 0; n < 1_022; n++) void ask(`p${n}`, "stays");
    const abandoned = ask("alone", "goes");
    void ask("shared", "goes");
    void ask("shared", "stays");
    calls.delete("goes");
    assert.equal(passwords.isFull("u", "one more", stored), false);
    assert.deepEqual(aborted, ["alone"]);
    await assert.rejects(abandoned);
    // Its end takes nothing from whoever has the same password now.
    void ask("alone", "stays");
    assert.equal(passwords.isFull("u", "one more", stored), true);
  });

  test("are refused when too many are under way, and for what bcrypt would cut", async () => {
    const check = slow();
    const passwords = new Passwords(check);
    for (let n = 0; n < 1_024; n++) void passwords.verify(`u${n}`, "p", stored, 1_000);
    await assert.rejects(passwords.verify("one more", "p", stored, 1_000), TooManyChecks);
    assert.equal(passwords.recall("u", "x".repeat(73), stored), false);
    assert.equal(passwords.recall("u", "", stored), false);
    assert.equal(passwords.recall("u", "p", { hash_type: "bcrypt" }), false);
  });
});

describe("JSON web tokens", () => {
  const wall = (): number => 1_700_000_000_000;
  const seconds = wall() / 1_000;
  const secret = new TextEncoder().encode("a secret of more than thirty-two bytes");
  const base: GatedDefinition = {
    api_id: "a",
    proxy: { listen_path: "/" },
    jwt_signing_method: "hmac",
    jwt_source: Buffer.from(secret).toString("base64"),
    jwt_default_policies: ["default"],
  };
  const verifier = (
    definition: Partial<GatedDefinition> = {},
    secretOf = async (): Promise<string | undefined> => undefined,
  ) => new JwtVerifier({ ...base, ...definition }, { wall, secretOf });
  const sign = (
    claims: Record<string, unknown>,
    alg = "HS256",
    key: Parameters<SignJWT["sign"]>[0] = secret,
    kid?: string,
  ) => new SignJWT(claims).setProtectedHeader({ alg, ...(kid === undefined ? {} : { kid }) }).sign(key);

  test("of a right signature name their owner and bring policies", async () => {
    const result = (await verifier({ jwt_policy_field_name: "pol" }).verify(
      await sign({ sub: "me", pol: "gold", exp: seconds + 60 }),
    )) as JwtIdentity;
    assert.deepEqual([result.identity, result.policies, result.until], ["me", ["gold"], wall() + 60_000]);
  });

  test("are identified by another claim where one is named, and scopes bring policies", async () => {
    const result = (await verifier({
      jwt_identity_base_field: "mail",
      jwt_scope_to_policy_mapping: { read: "reader", write: "writer" },
    }).verify(await sign({ sub: "s", mail: "m@x", scope: "read other toString" }))) as JwtIdentity;
    assert.deepEqual([result.identity, result.policies], ["m@x", ["default", "reader"]]);
  });

  for (const [title, claims, definition, verdict] of [
    ["that are expired", { sub: "x", exp: seconds - 1 }, {}, verdicts.JWT_TIME],
    ["that are not valid yet", { sub: "x", nbf: seconds + 5 }, {}, verdicts.JWT_TIME],
    ["that were issued in the future", { sub: "x", iat: seconds + 5 }, {}, verdicts.JWT_TIME],
    ["for another audience", { sub: "x", aud: ["other"] }, { jwt_allowed_audiences: ["us"] }, verdicts.JWT_INVALID],
    ["of another issuer", { sub: "x", iss: "other" }, { jwt_allowed_issuers: ["us"] }, verdicts.JWT_INVALID],
    ["without an owner", {}, {}, verdicts.JWT_INVALID],
    ["without a policy", { sub: "x" }, { jwt_default_policies: [] }, verdicts.JWT_NO_POLICY],
    ["with a time that is none", { sub: "x", exp: "soon" }, {}, verdicts.JWT_INVALID],
  ] as const) {
    test(`${title} are verdict ${verdict}`, async () => {
      assert.equal(await verifier(definition).verify(await unchecked(claims)), verdict);
    });
  }

  /** SignJWT checks claims itself; these are signed as they are. */
  async function unchecked(claims: Record<string, unknown>): Promise<string> {
    const { CompactSign } = await import("jose");
    return new CompactSign(new TextEncoder().encode(JSON.stringify(claims)))
      .setProtectedHeader({ alg: "HS256" })
      .sign(secret);
  }

  test("within the configured skew pass", async () => {
    const late = verifier({ jwt_expires_at_validation_skew: 10 });
    assert.equal(typeof (await late.verify(await sign({ sub: "x", exp: seconds - 5 }))), "object");
  });

  test("that are no tokens, unsigned or signed otherwise are refused", async () => {
    const hmac = verifier();
    const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
    const none = `${encode({ alg: "none" })}.${encode({ sub: "x" })}.`;
    for (const token of ["a.b", "a.b.c", "...", "x".repeat(20_000), none, none.replace("none", "None")]) {
      assert.equal(await hmac.verify(token), verdicts.JWT_INVALID);
    }
    assert.equal(await hmac.verify(""), verdicts.JWT_MISSING);
    const other = new TextEncoder().encode("another secret of more than 32 bytes");
    assert.equal(await hmac.verify(await sign({ sub: "x" }, "HS256", other)), verdicts.JWT_INVALID);
  });

  test("of RSA and ECDSA are checked by the key in the definition, never by it as a secret", async () => {
    const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
    const ecdsa = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = (key: typeof rsa.publicKey): string => key.export({ type: "spki", format: "pem" }).toString();
    const source = (key: typeof rsa.publicKey): string => Buffer.from(pem(key)).toString("base64");
    const byRsa = verifier({ jwt_signing_method: "rsa", jwt_source: source(rsa.publicKey) });
    const byEcdsa = verifier({ jwt_signing_method: "ecdsa", jwt_source: source(ecdsa.publicKey) });
    assert.equal(typeof (await byRsa.verify(await sign({ sub: "x" }, "RS256", rsa.privateKey))), "object");
    assert.equal(typeof (await byEcdsa.verify(await sign({ sub: "x" }, "ES256", ecdsa.privateKey))), "object");
    const forged = await sign({ sub: "x" }, "HS256", new TextEncoder().encode(pem(rsa.publicKey)));
    assert.equal(await byRsa.verify(forged), verdicts.JWT_INVALID);
    assert.ok(verifier({ jwt_signing_method: "hmac", jwt_source: source(rsa.publicKey) }).problems.length > 0);
  });

  test("are checked with fetched keys, and unavailable while these cannot be fetched", async (t) => {
    const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const jwk = { ...(await exportJWK(pair.publicKey)), kid: "k1", alg: "ES256" };
    let fetched = 0;
    const server = createServer((_, response) => {
      fetched++;
      response.setHeader("content-type", "application/json").end(JSON.stringify({ keys: [jwk] }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
    const remote = verifier({ jwt_signing_method: "ecdsa", jwt_source: "", jwt_jwks_uris: [{ url }] });
    assert.equal(typeof (await remote.verify(await sign({ sub: "x" }, "ES256", pair.privateKey, "k1"))), "object");
    assert.equal(typeof (await remote.verify(await sign({ sub: "y" }, "ES256", pair.privateKey, "k1"))), "object");
    assert.equal(fetched, 1);
    assert.equal(await remote.verify(await sign({ sub: "x" }, "ES256", pair.privateKey, "k2")), verdicts.JWT_INVALID);
    const nobody = verifier({ jwt_signing_method: "ecdsa", jwt_source: "http://127.0.0.1:1/jwks" });
    assert.equal(await nobody.verify(await sign({ sub: "x" }, "ES256", pair.privateKey, "k1")), verdicts.JWT_KEYS_AWAY);
  });

  test("that are made up are no more than one fetch each five seconds while the source is in trouble", async (t) => {
    const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const jwk = { ...(await exportJWK(pair.publicKey)), kid: "k1", alg: "ES256" };
    const good = JSON.stringify({ keys: [jwk] });
    let asked = 0;
    let says: [status: number, body: string] = [503, "later"];
    const server = createServer((_, response) => {
      asked++;
      response.writeHead(says[0], { "content-type": "application/json" }).end(says[1]);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    t.after(() => server.closeAllConnections());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
    let now = 1_000;
    const options = { wall, now: () => now, secretOf: async () => undefined };
    const jwt = new JwtVerifier({ ...base, jwt_signing_method: "ecdsa", jwt_source: url }, options);
    const other = generateKeyPairSync("ec", { namedCurve: "P-256" });
    let made = 0;
    /** Five tokens at once and five one by one, none of them seen before. */
    const flood = async (): Promise<void> => {
      const next = async () => jwt.verify(await sign({ sub: `x${made++}` }, "ES256", other.privateKey, `made-${made}`));
      const results = await Promise.all(Array.from({ length: 5 }, next));
      for (let more = 0; more < 5; more++) results.push(await next());
      assert.deepEqual(new Set(results), new Set([verdicts.JWT_KEYS_AWAY]));
    };
    for (const trouble of [
      [503, "later"],
      [200, "<p>a page</p>"],
      [200, '{"keys":1}'],
    ] as const) {
      says = [...trouble];
      const before = asked;
      await flood();
      assert.equal(asked - before, 1, trouble[1]);
      now += 4_999;
      await flood();
      assert.equal(asked - before, 1, trouble[1]);
      now += 1;
    }
    says = [200, good];
    assert.equal(typeof (await jwt.verify(await sign({ sub: "x" }, "ES256", pair.privateKey, "k1"))), "object");
    assert.equal(asked, 4, "the source is back, and asked when the pause is over");
  });

  test("without a central key are signed by the secret of the key they name", async () => {
    const own = verifier({ jwt_source: "" }, async (...args: unknown[]) =>
      args[0] === "key-1" ? Buffer.from(secret).toString() : undefined,
    );
    const result = (await own.verify(await sign({ sub: "x" }, "HS256", secret, "key-1"))) as JwtIdentity;
    assert.deepEqual([result.identity, result.ownKey], ["key-1", true]);
    assert.equal(await own.verify(await sign({ sub: "x" }, "HS256", secret, "key-2")), verdicts.JWT_INVALID);
  });
});
