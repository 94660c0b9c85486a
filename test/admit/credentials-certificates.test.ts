// Certificates as keys and keys bound to certificates, decided by the gate alone: every row of `use_certificate`, of
// `certificate` and of `mtls_static_certificate_bindings`, and what must never be shared between certificates.
// Governed by: spec 3.1, 6.2, 7.3 (TestDynamicMTLS*, TestCertificateTokenBinding*, TestMultipleCertificateBindings).

import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { generateToken, hashKey, keyRules } from "../../src/shared/keys/token.js";
import { CERTIFICATES_CHANGED, type Store } from "../../src/shared/store/store.js";
import { type ShownCertificate, StoredIds } from "../../src/worker/admit/credentials/certificates.js";
import * as verdicts from "../../src/worker/admit/verdicts.js";
import { type Bench, type BenchOptions, definition, makeBench } from "./gate-bench.js";
import { MemoryStore } from "./memory-store.js";

const A = "a".repeat(64);
const B = "b".repeat(64);
const ORG = "default";
const WALL = 1_700_000_000_000;
const shown = (fingerprint: string, from = -1_000, until = 1_000_000): ShownCertificate => ({
  fingerprint,
  notBefore: WALL + from,
  notAfter: WALL + until,
});
const rights = { access_rights: { test: { api_id: "test", versions: [] } } };
const byCertificate = definition({
  use_standard_auth: true,
  auth_configs: { authToken: { use_certificate: true } },
});
const byToken = definition({ use_standard_auth: true });

describe("certificates in the gate", () => {
  let store: MemoryStore;
  let bench: Bench;

  const start = (options: BenchOptions = {}, api = byCertificate): void => {
    bench = makeBench(store, [api], options);
  };
  const upload = (fingerprint: string): Promise<boolean> =>
    store.put(`cert-raw-${ORG}${fingerprint}`, Buffer.from("x"));
  const verdictOf = async (certificate?: ShownCertificate, token = ""): Promise<number> => {
    const fields = token === "" ? {} : { authorization: token };
    const call = certificate === undefined ? { fields } : { fields, certificate };
    return (await bench.ask(call)).verdict;
  };

  beforeEach(() => {
    store = new MemoryStore();
  });
  afterEach(() => bench.gate.close());

  describe("as keys", () => {
    beforeEach(async () => {
      start();
      await upload(A);
      await bench.key(A, { ...rights, certificate: ORG + A });
    });

    test("the certificate of a key opens, with and without a token beside it", async () => {
      assert.equal(await verdictOf(shown(A)), 0);
      assert.equal(await verdictOf(shown(A), "some token"), 0);
    });

    test("no certificate, or only the token, is refused", async () => {
      assert.equal(await verdictOf(), verdicts.CERTIFICATE_REQUIRED);
      assert.equal(await verdictOf(undefined, generateToken(ORG, A, "sha256")), verdicts.CERTIFICATE_REQUIRED);
    });

    test("another certificate is refused, also with the key's token", async () => {
      await upload(B);
      assert.equal(await verdictOf(shown(B)), verdicts.CERTIFICATE_MISMATCH);
      assert.equal(await verdictOf(shown(B), generateToken(ORG, A, "sha256")), verdicts.CERTIFICATE_MISMATCH);
    });

    test("expired and not yet valid ones are refused, and an early one is let in when its time comes", async () => {
      assert.equal(await verdictOf(shown(A, -2_000, -1)), verdicts.CERTIFICATE_EXPIRED);
      const early = await bench.ask({ certificate: shown(A, 500) });
      assert.equal(early.verdict, verdicts.CERTIFICATE_EARLY);
      bench.clock.now += 501;
      bench.clock.wall += 501;
      assert.equal(bench.gate.holds(early, bench.clock.now), false);
      assert.equal(await verdictOf(shown(A, 500)), 0);
    });

    test("a decision ends with its certificate", async () => {
      const decision = await bench.ask({ certificate: shown(A, -1, 3_000) });
      assert.equal(bench.gate.holds(decision, bench.clock.now + 2_999), true);
      assert.equal(bench.gate.holds(decision, bench.clock.now + 3_001), false);
    });

    test("a certificate that leaves the store ends the decisions that hang on it", async () => {
      const decision = await bench.ask({ certificate: shown(A) });
      assert.equal(bench.gate.holds(decision, bench.clock.now), true);
      await store.delete(`cert-raw-${ORG}${A}`);
      await store.publish({ command: CERTIFICATES_CHANGED, payload: ORG + A });
      assert.equal(bench.gate.holds(decision, bench.clock.now), false);
      const gone = await bench.ask({ certificate: shown(A) });
      assert.equal(gone.verdict, verdicts.CERTIFICATE_GONE);
      await upload(A);
      await store.publish({ command: CERTIFICATES_CHANGED, payload: ORG + A });
      assert.equal(bench.gate.holds(gone, bench.clock.now), false);
      assert.equal(await verdictOf(shown(A)), 0);
    });

    test("its removal is seen within some seconds when nobody tells of it", async () => {
      assert.equal(await verdictOf(shown(A)), 0);
      await store.delete(`cert-raw-${ORG}${A}`);
      bench.clock.now += 8_001;
      bench.clock.wall += 8_001;
      // The first question after that time goes on with what is known, and has it read.
      await verdictOf(shown(A));
      await new Promise(setImmediate);
      assert.equal(await verdictOf(shown(A)), verdicts.CERTIFICATE_GONE);
    });

    test("a token cannot be spelt so that it means a certificate", async () => {
      assert.equal(await verdictOf(shown(A)), 0);
      bench.reload([byCertificate, { ...byToken, api_id: "plain", auth: { use_param: true, param_name: "key" } }]);
      assert.equal(await verdictOf(shown(A)), 0);
      for (const token of [A, `${ORG}${A}`, `%00${ORG}%0A${A}`, `%0A${A}`]) {
        const { verdict } = await bench.ask({ api: "plain", path: `/pkg.Service/Method?key=${token}` });
        assert.notEqual(verdict, 0, token);
      }
    });

    test("a key that names another certificate is not opened by the one it is stored under", async () => {
      await bench.key(A, { ...rights, certificate: ORG + B });
      assert.equal(await verdictOf(shown(A)), verdicts.CERTIFICATE_MISMATCH);
    });

    test("a deleted key ends what its certificate opened", async () => {
      const decision = await bench.ask({ certificate: shown(A) });
      await bench.revoke(generateToken(ORG, A, "sha256"));
      assert.equal(bench.gate.holds(decision, bench.clock.now), false);
      assert.equal(await verdictOf(shown(A)), verdicts.CERTIFICATE_MISMATCH);
    });
  });

  for (const [form, id, rules] of [
    ["with the organisation in its id", ORG + A, keyRules({})],
    [
      "made with a function of the past",
      A,
      keyRules({ hash_key_function: "sha256", hash_key_function_fallback: ["murmur64"] }),
    ],
    ["of a home without hashes", A, keyRules({ hash_keys: false })],
  ] as const) {
    test(`a certificate's key is found ${form}`, async () => {
      start({ keys: rules });
      await upload(A);
      const algorithm = rules.fallbacks[0] ?? rules.algorithm;
      await bench.write(hashKey(generateToken(ORG, id, algorithm), rules), { org_id: ORG, ...rights });
      assert.equal(await verdictOf(shown(A)), 0);
    });
  }

  test("a certificate that was never uploaded opens nothing, though a key names it", async () => {
    start();
    await bench.key(A, { ...rights, certificate: ORG + A });
    assert.equal(await verdictOf(shown(A)), verdicts.CERTIFICATE_GONE);
  });

  describe("as keys, where tokens alone are allowed", () => {
    let token: string;
    beforeEach(async () => {
      start({ settings: { allow_unsafe_dynamic_mtls_token: true } });
      await upload(A);
      await upload(B);
      token = await bench.key(A, { ...rights, certificate: ORG + A });
    });

    test("the token alone, the certificate alone and both together open", async () => {
      assert.equal(await verdictOf(undefined, token), 0);
      assert.equal(await verdictOf(shown(A)), 0);
      assert.equal(await verdictOf(shown(A), token), 0);
    });

    test("another, an expired or no credential does not", async () => {
      assert.equal(await verdictOf(shown(B), token), verdicts.CERTIFICATE_MISMATCH);
      assert.equal(await verdictOf(shown(A, -2, -1), token), verdicts.CERTIFICATE_EXPIRED);
      assert.equal(await verdictOf(), verdicts.CERTIFICATE_REQUIRED);
      assert.equal(await verdictOf(shown(A), "unknown token"), verdicts.KEY_NOT_FOUND);
    });

    test("a token whose own certificate is not in the store is refused", async () => {
      const other = await bench.key("other", { ...rights, certificate: `${ORG}${"c".repeat(64)}` });
      assert.equal(await verdictOf(undefined, other), verdicts.CERTIFICATE_GONE);
    });
  });

  describe("as what tokens are bound to", () => {
    test("a bound token counts with one of its certificates and not otherwise", async () => {
      start({}, byToken);
      const token = await bench.key("bound", { ...rights, mtls_static_certificate_bindings: [ORG + A, ORG + B] });
      assert.equal(await verdictOf(shown(A), token), 0);
      assert.equal(await verdictOf(shown(B), token), 0);
      assert.equal(await verdictOf(shown("c".repeat(64)), token), verdicts.CERTIFICATE_MISMATCH);
      assert.equal(await verdictOf(undefined, token), verdicts.CERTIFICATE_REQUIRED);
      assert.equal(await verdictOf(shown(A, -2, -1), token), verdicts.CERTIFICATE_EXPIRED);
    });

    test("bindings hold also where tokens alone are allowed for certificates", async () => {
      start({ settings: { allow_unsafe_dynamic_mtls_token: true } }, byToken);
      const token = await bench.key("bound", { ...rights, mtls_static_certificate_bindings: [ORG + A] });
      assert.equal(await verdictOf(undefined, token), verdicts.CERTIFICATE_REQUIRED);
    });

    test("a key with a certificate of its own needs it on every API, and a free key needs none", async () => {
      start({}, byToken);
      const token = await bench.key(A, { ...rights, certificate: ORG + A });
      assert.equal(await verdictOf(undefined, token), verdicts.CERTIFICATE_REQUIRED);
      assert.equal(await verdictOf(shown(B), token), verdicts.CERTIFICATE_MISMATCH);
      assert.equal(await verdictOf(shown(A), token), 0);
      const free = await bench.key("free", rights);
      assert.equal(await verdictOf(undefined, free), 0);
      assert.equal(await verdictOf(shown(B, -2, -1), free), 0);
    });

    test("a user of basic authentication is bound in the same way", async () => {
      start({}, definition({ use_basic_auth: true }));
      await bench.key("user", {
        ...rights,
        basic_auth_data: { password: "$2b$p", hash_type: "bcrypt" },
        mtls_static_certificate_bindings: [ORG + A],
      });
      const authorization = `Basic ${Buffer.from("user:p").toString("base64")}`;
      assert.equal(await verdictOf(undefined, authorization), verdicts.CERTIFICATE_REQUIRED);
      assert.equal(await verdictOf(shown(A), authorization), 0);
    });
  });

  test("an API says that its decisions depend on the certificate, an open one that they do not", () => {
    start();
    assert.equal(bench.gate.api("test")?.dependsOnCertificate, true);
    bench.reload([definition({ use_keyless: true })]);
    assert.equal(bench.gate.api("test")?.dependsOnCertificate, false);
  });

  test("use_certificate without use_standard_auth beside another way closes the API", () => {
    start({}, definition({ use_basic_auth: true, auth_configs: { authToken: { use_certificate: true } } }));
    assert.equal(bench.gate.api("test")?.closed, true);
    assert.match(String(bench.gate.api("test")?.problems), /use_certificate: needs use_standard_auth/);
  });
});

describe("what is known of the store's certificates", () => {
  test("is asked for once by many, and again by whoever asks after news", async () => {
    const store = new MemoryStore();
    let asked = 0;
    const counting: Pick<Store, "get" | "subscribe"> = {
      get: (name) => {
        asked++;
        return store.get(name);
      },
      subscribe: (listener) => store.subscribe(listener),
    };
    const ids = new StoredIds(counting, () => 0);
    await Promise.all(Array.from({ length: 100 }, () => ids.load("x")));
    assert.equal(asked, 1);
    await store.publish({ command: CERTIFICATES_CHANGED, payload: "" });
    await ids.load("x");
    assert.equal(asked, 2);
    ids.close();
  });

  test("goes on while the store is away, for those that were there, for the time allowed", async () => {
    const store = new MemoryStore();
    await store.put("cert-raw-x", Buffer.from("x"));
    let away = false;
    let now = 0;
    const ids = new StoredIds(
      {
        get: (name) => (away ? Promise.reject(new Error("away")) : store.get(name)),
        subscribe: (listener) => store.subscribe(listener),
      },
      () => now,
      60_000,
    );
    assert.ok((await ids.load("x")).session);
    away = true;
    now = 59_000;
    assert.ok((await ids.load("x")).session);
    now = 61_000;
    await assert.rejects(ids.load("x"), /away/);
    ids.close();
  });
});
