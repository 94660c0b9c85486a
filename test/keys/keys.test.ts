import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { decodeSession, encodeSession } from "../../src/shared/keys/codec.js";
import { algorithmOf, hashText } from "../../src/shared/keys/hash.js";
import { sessionTtl } from "../../src/shared/keys/lifetime.js";
import { hashPassword, hasPassword, verifyQuickly } from "../../src/shared/keys/password.js";
import { equalSecrets } from "../../src/shared/keys/secret.js";
import {
  generateToken,
  hashKey,
  keyRules,
  nameCandidates,
  parseToken,
  tokenOrg,
  userCandidates,
} from "../../src/shared/keys/token.js";
import type { Session } from "../../src/shared/model/session.js";

const rules = keyRules({});
const plain = keyRules({ hash_keys: false });

describe("hash functions", () => {
  test("give the digests of the reference implementations, zero-padded", () => {
    assert.equal(hashText("", "murmur32"), "00000000");
    assert.equal(hashText("hello", "murmur32"), "248bfa47");
    assert.equal(hashText("hello", "murmur128"), "cbd8a7b341bd9b025b1e906a48ae1d19");
    assert.equal(hashText("hello", "murmur64"), "cbd8a7b341bd9b02");
    assert.equal(hashText("abc", "sha256"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });

  test("have the lengths 8, 16, 32 and 64, and an unknown name means murmur64", () => {
    const lengths = ["", "murmur32", "murmur64", "murmur128", "sha256", "nonsense"].map(
      (name) => hashText("key", algorithmOf(name)).length,
    );
    assert.deepEqual(lengths, [8, 8, 16, 32, 64, 16]);
  });
});

describe("tokens", () => {
  test("name their organisation, id and hash function", () => {
    const token = generateToken("default", "me", "murmur128");
    assert.equal(Buffer.from(token, "base64").toString(), '{"org":"default","id":"me","h":"murmur128"}');
    assert.deepEqual(parseToken(token), { org: "default", id: "me", h: "murmur128" });
  });

  test("without an id get a random one, and without a function the legacy form", () => {
    assert.match(parseToken(generateToken("o", "", "sha256"))?.id ?? "", /^[0-9a-f]{32}$/);
    assert.equal(generateToken("o", "x", ""), "ox");
  });

  test("of the legacy form name an organisation of 24 hexadecimal digits", () => {
    const org = "53ac07777cbb8c2d53000002";
    assert.equal(tokenOrg(`${org}abcdef`), org);
    assert.equal(tokenOrg(org), "");
    assert.equal(tokenOrg(`zz${org.slice(2)}abc`), "");
  });

  test("made of a hostile id cannot name another organisation", () => {
    fc.assert(
      fc.property(fc.string(), (id) => {
        assert.equal(tokenOrg(generateToken("mine", id, "sha256")), "mine");
      }),
    );
  });

  test("that are broken name nothing and never throw", () => {
    for (const token of ["eyJ", "eyJhbGc=", "eyJvcmciOjF9", "eyJvcmciOm51bGx9", "eyJ\u0000\u00ff", ""]) {
      assert.equal(tokenOrg(token), "");
    }
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        nameCandidates("default", `eyJ${text}`, rules);
      }),
    );
  });

  test("are stored under their own function's hash, custom ones wrapped first", () => {
    const token = generateToken("default", "x", "sha256");
    assert.deepEqual(nameCandidates("default", token, rules), [hashText(token, "sha256")]);
    assert.deepEqual(nameCandidates("default", "custom", rules), [
      hashText(generateToken("default", "custom", "sha256"), "sha256"),
      hashText("custom", "murmur32"),
    ]);
  });

  test("of earlier hash functions are found by the fallbacks", () => {
    const migrating = keyRules({ hash_key_function: "sha256", hash_key_function_fallback: ["murmur64"] });
    const old = generateToken("default", "custom", "murmur64");
    assert.ok(nameCandidates("default", "custom", migrating).includes(hashText(old, "murmur64")));
    assert.ok(
      userCandidates("default", "user", migrating).includes(
        hashText(generateToken("default", "user", "murmur64"), "murmur64"),
      ),
    );
    assert.deepEqual(nameCandidates("default", old, migrating), [hashText(old, "murmur64")]);
  });

  test("without hashing are stored as they are, wrapped first", () => {
    assert.deepEqual(nameCandidates("default", "custom", plain), [
      generateToken("default", "custom", "sha256"),
      "custom",
    ]);
  });

  test("that are a stored hash do not open the session stored under it", () => {
    const name = hashKey(generateToken("default", "x", "sha256"), rules);
    assert.ok(!nameCandidates("default", name, rules).includes(name));
    assert.ok(!userCandidates("default", name, rules).includes(name));
  });

  test("with three more characters are different keys, except under nothing", () => {
    for (const algorithm of ["murmur32", "murmur64", "murmur128", "sha256"] as const) {
      for (const key of ["abcd", "abcde", "5e9d9544a1dcd60001d0ed20e3e6b1"]) {
        assert.notEqual(hashText(key, algorithm), hashText(`${key}abc`, algorithm));
      }
    }
  });
});

describe("the session codec", () => {
  const session: Session = {
    org_id: "default",
    rate: 10,
    per: 1,
    quota_max: -1,
    quota_renews: 1_893_456_000,
    last_updated: 1_700_000_000,
    access_rights: { a: { api_id: "a", versions: ["v1"], allowed_urls: [{ url: "/x", methods: ["POST"] }] } },
    meta_data: { nested: { list: [1, "two", null] } },
    unknown_field: "kept",
  };

  test("reads what it wrote in both encodings", () => {
    assert.deepEqual(decodeSession(encodeSession(session, "msgpack")), { session });
    const json = decodeSession(encodeSession(session, "json"));
    assert.deepEqual(json, { session: { ...session, last_updated: "1700000000" } });
  });

  test("reads Tyk's JSON with its nulls", () => {
    const bytes = Buffer.from(
      '{"rate":5,"access_rights":null,"tags":null,"apply_policies":null,"basic_auth_data":{"password":"p","hash_type":""}}',
    );
    const decoded = decodeSession(bytes);
    assert.ok("session" in decoded);
    assert.equal(decoded.session.rate, 5);
    assert.equal(decoded.session.access_rights, undefined);
  });

  test("answers broken bytes with a problem that shows no value", () => {
    for (const bytes of [
      new Uint8Array(),
      Buffer.from("{"),
      Buffer.from("[]"),
      new Uint8Array([0xc1]),
      Buffer.from("5"),
    ]) {
      assert.ok("problem" in decodeSession(bytes));
    }
    const decoded = decodeSession(Buffer.from('{"rate":"secret-value"}'));
    assert.ok("problem" in decoded);
    assert.doesNotMatch(decoded.problem, /secret-value/);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void decodeSession(bytes)));
  });
});

describe("the time a session stays stored", () => {
  const now = 1_000_000;
  const soon = { expires: 1_100 };
  for (const [title, session, given, ttl] of [
    ["nothing set: stays", {}, {}, 0],
    ["the API's lifetime", {}, { apiLifetime: 60 }, 60_000],
    ["the session's own before the API's", { session_lifetime: 30 }, { apiLifetime: 60 }, 30_000],
    [
      "a forced global one before all",
      { session_lifetime: 30 },
      { force_global_session_lifetime: true, global_session_lifetime: 5 },
      5_000,
    ],
    [
      "not shorter than the expiry when that is respected",
      { ...soon, session_lifetime: 30 },
      { session_lifetime_respects_key_expiration: true },
      100_000,
    ],
    [
      "for ever when it never expires and that is respected",
      { session_lifetime: 30 },
      { apiRespectsExpiration: true },
      0,
    ],
    ["deleted at its expiry", { ...soon, post_expiry_action: "delete" }, {}, 100_000],
    [
      "kept for the grace period after it",
      { ...soon, post_expiry_action: "retain", post_expiry_grace_period: 10 },
      {},
      110_000,
    ],
    [
      "kept for ever after it",
      { ...soon, post_expiry_action: "retain", post_expiry_grace_period: -1 },
      { apiLifetime: 1 },
      0,
    ],
  ] as const) {
    test(title, () => assert.equal(sessionTtl(session, given, now), ttl));
  }
});

describe("passwords", () => {
  test("are compared by the stored function", () => {
    for (const kind of ["sha256", "murmur32", "murmur64", "murmur128"]) {
      const stored = hashPassword("pass:word", kind);
      assert.equal(verifyQuickly("pass:word", stored ?? {}), true);
      assert.equal(verifyQuickly("pass:wore", stored ?? {}), false);
    }
    assert.equal(verifyQuickly("p", { password: "p", hash_type: "" }), true);
    assert.equal(hashPassword("p", "bcrypt"), undefined);
  });

  test("that are not stored never match, not even nothing", () => {
    for (const stored of [{}, { password: "" }, { password: "", hash_type: "sha256" }, { hash_type: "" }]) {
      assert.equal(hasPassword(stored), false);
      assert.equal(verifyQuickly("", stored), false);
      assert.equal(verifyQuickly("x", stored), false);
    }
  });

  test("of an unknown function are refused instead of taken for plain text", () => {
    assert.equal(verifyQuickly("p", { password: "p", hash_type: "argon9" }), false);
  });

  test("are compared whole", () => {
    assert.equal(equalSecrets("abc", "abc"), true);
    assert.equal(equalSecrets("abc", "abcd"), false);
    assert.equal(equalSecrets("", "a"), false);
  });
});
