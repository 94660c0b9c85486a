import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { SignJWT } from "jose";
import { hashText } from "../../src/shared/keys/hash.js";
import { generateToken, keyRules } from "../../src/shared/keys/token.js";
import { EVERYTHING_CHANGED, KEYS_CHANGED, type Store, StoreDown } from "../../src/shared/store/store.js";
import { PENDING } from "../../src/worker/admit/gate.js";
import * as verdicts from "../../src/worker/admit/verdicts.js";
import { heard, onBothStores } from "../store/both-stores.js";
import { type Bench, basic, definition, makeBench, token } from "./gate-bench.js";

const rights = { access_rights: { test: { api_id: "test", versions: ["Default"] } } };

onBothStores("the gate", (home) => {
  let store: Store;
  let writer: Store;
  const benches: Bench[] = [];
  const bench = (...args: Parameters<typeof makeBench> extends [Store, ...infer Rest] ? Rest : never): Bench => {
    const made = makeBench(store, ...args);
    benches.push(made);
    return made;
  };
  before(async () => {
    store = await home.open();
    writer = await home.open();
  });
  after(() => {
    for (const each of benches) each.gate.close();
  });

  test("admits a key, with and without Bearer, and refuses what is missing, short, endless or unknown", async () => {
    const b = bench([definition()]);
    const key = await b.key("one", rights);
    assert.equal((await b.ask(token(key))).verdict, 0);
    assert.equal((await b.ask(token(`bEARER ${key}`))).verdict, 0);
    assert.equal((await b.ask({})).verdict, verdicts.AUTH_FIELD_MISSING);
    assert.equal((await b.ask(token("ab"))).verdict, verdicts.TOKEN_INVALID);
    assert.equal((await b.ask(token("x".repeat(5_000)))).verdict, verdicts.TOKEN_INVALID);
    assert.equal((await b.ask(token("unknown"))).verdict, verdicts.KEY_NOT_FOUND);
    assert.equal((await b.ask(token(`${key}abc`))).verdict, verdicts.KEY_NOT_FOUND);
    assert.equal((await b.ask(token("\u0000\u00ff\u0001"))).verdict, verdicts.KEY_NOT_FOUND);
  });

  test("a remembered key is decided at once, and its decision holds until the key changes", async () => {
    const b = bench([definition()]);
    const key = await b.key("two", rights);
    const first = await b.ask(token(key));
    const request = { api: b.gate.api("test")!, method: "POST", path: "/a", peer: "::1", get: () => key };
    const again = b.gate.admit(request, () => assert.fail("was not pending"));
    assert.notEqual(again, PENDING);
    assert.equal(b.gate.holds(first, b.clock.now), true);
    await b.key("two", { ...rights, is_inactive: true });
    assert.equal(b.gate.holds(first, b.clock.now), false);
    assert.equal((await b.ask(token(key))).verdict, verdicts.KEY_INACTIVE);
  });

  test("a key deleted by another process stops here, and one created there is seen here", async () => {
    const b = bench([definition()]);
    const key = generateToken("default", "three", "sha256");
    const unknown = await b.ask(token(key));
    assert.equal(unknown.verdict, verdicts.KEY_NOT_FOUND);
    assert.equal(b.gate.holds(unknown, b.clock.now), true);
    const name = hashText(key, "sha256");
    const told = (): Promise<unknown> =>
      heard(store.subscribe.bind(store), (change) => change.payload === `other,${name}`);
    let news = told();
    await writer.put(`apikey-${name}`, Buffer.from(JSON.stringify(rights)));
    await writer.publish({ command: KEYS_CHANGED, payload: `other,${name}` });
    await news;
    assert.equal(b.gate.holds(unknown, b.clock.now), false);
    const known = await b.ask(token(key));
    assert.equal(known.verdict, 0);
    news = told();
    await writer.delete(`apikey-${name}`);
    await writer.publish({ command: KEYS_CHANGED, payload: `other,${name}` });
    await news;
    assert.equal(b.gate.holds(known, b.clock.now), false);
    assert.equal((await b.ask(token(key))).verdict, verdicts.KEY_NOT_FOUND);
  });

  test("a change whose message was lost is seen by reading again", async () => {
    const b = bench([definition()]);
    const key = await b.key("four", rights);
    const gone = await b.key("five", rights);
    const [first, second] = [await b.ask(token(key)), await b.ask(token(gone))];
    await writer.put(`apikey-${hashText(key, "sha256")}`, Buffer.from(JSON.stringify({ ...rights, expires: 1 })));
    await writer.delete(`apikey-${hashText(gone, "sha256")}`);
    await b.gate.tick();
    assert.equal(b.gate.holds(first, b.clock.now), true);
    b.clock.now += 9_000;
    await b.gate.tick();
    assert.deepEqual([b.gate.holds(first, b.clock.now), b.gate.holds(second, b.clock.now)], [false, false]);
    assert.equal((await b.ask(token(key))).verdict, verdicts.KEY_EXPIRED);
    assert.equal((await b.ask(token(gone))).verdict, verdicts.KEY_NOT_FOUND);
  });

  test("an unchanged key keeps its decisions when it is read again", async () => {
    const b = bench([definition()]);
    const key = await b.key("six", rights);
    const first = await b.ask(token(key));
    b.clock.now += 9_000;
    await b.gate.tick();
    assert.equal(b.gate.holds(first, b.clock.now), true);
  });

  test("keys of every stored form and earlier hash function are found", async () => {
    for (const algorithm of ["murmur32", "murmur64", "murmur128", "sha256"]) {
      const rules = keyRules({ hash_key_function: "sha256", hash_key_function_fallback: [algorithm] });
      const b = bench([definition()], { keys: rules });
      const old = generateToken("default", `custom-${algorithm}`, algorithm);
      await b.write(hashText(old, algorithm as "sha256"), rights);
      assert.equal((await b.ask(token(`custom-${algorithm}`))).verdict, 0, algorithm);
      assert.equal((await b.ask(token(old))).verdict, 0, algorithm);
    }
    const plain = bench([definition()], { keys: keyRules({ hash_keys: false }) });
    await plain.write("raw-token", rights);
    assert.equal((await plain.ask(token("raw-token"))).verdict, 0);
  });

  test("a session that cannot be read is refused, reported without its contents, and harms nobody", async () => {
    const b = bench([definition()]);
    const key = generateToken("default", "broken", "sha256");
    await store.put(`apikey-${hashText(key, "sha256")}`, Buffer.from('{"rate":"hidden-value"}'));
    assert.equal((await b.ask(token(key))).verdict, verdicts.KEY_NOT_FOUND);
    assert.equal(b.reports.length, 1);
    assert.doesNotMatch(b.reports[0] ?? "", /hidden-value/);
  });

  test("rights: another API, another version, a url and its method", async () => {
    const b = bench([definition(), definition({ api_id: "other" })]);
    const key = await b.key("rights", {
      access_rights: { test: { versions: [], allowed_urls: [{ url: "/pkg.Service/Method", methods: ["POST"] }] } },
    });
    assert.equal((await b.ask(token(key))).verdict, 0);
    assert.equal((await b.ask({ ...token(key), api: "other" })).verdict, verdicts.API_DISALLOWED);
    assert.equal(
      (await b.ask({ ...token(key), path: "/pkg.Service/MethodTwo" })).verdict,
      verdicts.RESOURCE_DISALLOWED,
    );
    assert.equal((await b.ask({ ...token(key), method: "GET" })).verdict, verdicts.RESOURCE_DISALLOWED);
    assert.equal((await b.ask({ ...token(key), path: "/pkg.Service/%4dethod" })).verdict, verdicts.PATH_INVALID);
    assert.equal((await b.ask({ ...token(key), path: "/pkg.Service/Method?x=%20" })).verdict, 0);
    const version = await b.key("version", { access_rights: { test: { versions: ["v2"] } } });
    assert.equal((await b.ask(token(version))).verdict, verdicts.API_DISALLOWED);
    const all = await b.key("all", { access_rights: {} });
    assert.equal((await b.ask({ ...token(all), api: "other", path: "/%61" })).verdict, 0);
  });

  test("inactive, expired, and the moment of expiry ends a decision", async () => {
    const b = bench([definition()]);
    assert.equal(
      (await b.ask(token(await b.key("i", { ...rights, is_inactive: true })))).verdict,
      verdicts.KEY_INACTIVE,
    );
    assert.equal((await b.ask(token(await b.key("e", { ...rights, expires: 5 })))).verdict, verdicts.KEY_EXPIRED);
    const soon = b.clock.wall / 1_000 + 5;
    const decision = await b.ask(token(await b.key("s", { ...rights, expires: soon })));
    assert.equal(decision.verdict, 0);
    assert.equal(b.gate.holds(decision, b.clock.now + 6_001), false);
  });

  test("policies: applied, missing, of another organisation, changed by a reload", async () => {
    const policies = { gold: { org_id: "default", rate: 5, per: 1, ...rights }, alien: { org_id: "else", ...rights } };
    const b = bench([definition()], { policies });
    const key = await b.key("p", { apply_policies: ["gold"] });
    const first = await b.ask(token(key));
    assert.equal(first.verdict, 0);
    assert.equal(b.bound[0]?.[0]?.perApi?.limit.rate, 5);
    assert.equal((await b.ask(token(await b.key("m", { apply_policies: ["gone"] })))).verdict, verdicts.POLICY_FAILED);
    assert.equal((await b.ask(token(await b.key("a", { apply_policies: ["alien"] })))).verdict, verdicts.POLICY_FAILED);
    b.reload([definition()], { gold: { ...policies.gold, is_inactive: true } });
    assert.equal(b.gate.holds(first, b.clock.now), false);
    assert.equal((await b.ask(token(key))).verdict, verdicts.KEY_INACTIVE);
  });

  test("basic authentication: users by name, all hash types, none without a stored password", async () => {
    const b = bench([definition({ use_basic_auth: true })]);
    for (const [user, basic_auth_data] of Object.entries({
      plain: { password: "p:w", hash_type: "" },
      slow: { password: "$2b$p:w", hash_type: "bcrypt" },
      quick: { password: hashText("p:w", "sha256"), hash_type: "sha256" },
    })) {
      await b.key(user, { ...rights, basic_auth_data });
      assert.equal((await b.ask(basic(user, "p:w"))).verdict, 0, user);
      assert.equal((await b.ask(basic(user, "p:"))).verdict, verdicts.BASIC_WRONG, user);
      assert.equal((await b.ask(basic(user, ""))).verdict, verdicts.BASIC_WRONG, user);
    }
    await b.key("token-only", rights);
    assert.equal((await b.ask(basic("token-only", ""))).verdict, verdicts.BASIC_WRONG);
    assert.equal((await b.ask(basic("nobody", "x"))).verdict, verdicts.BASIC_WRONG);
    assert.equal((await b.ask({})).verdict, verdicts.BASIC_FIELD_MISSING);
    assert.equal((await b.ask(token("Basic %%%"))).verdict, verdicts.BASIC_NOT_ENCODED);
  });

  test("a changed password ends the decisions of the old one", async () => {
    const b = bench([definition({ use_basic_auth: true })]);
    await b.key("changing", { ...rights, basic_auth_data: { password: "$2b$old", hash_type: "bcrypt" } });
    const old = await b.ask(basic("changing", "old"));
    assert.equal(old.verdict, 0);
    await b.key("changing", { ...rights, basic_auth_data: { password: "$2b$new", hash_type: "bcrypt" } });
    assert.equal(b.gate.holds(old, b.clock.now), false);
    assert.equal((await b.ask(basic("changing", "old"))).verdict, verdicts.BASIC_WRONG);
    assert.equal((await b.ask(basic("changing", "new"))).verdict, 0);
  });

  test("several methods must all succeed, and the chosen one gives the session", async () => {
    const several = definition({
      use_basic_auth: true,
      use_standard_auth: true,
      auth_configs: { authToken: { auth_header_name: "x-token" }, basic: {} },
    });
    for (const [base, limit] of [
      ["basic_auth_user", 1],
      ["auth_token", 2],
    ] as const) {
      const b = bench([{ ...several, base_identity_provided_by: base }]);
      await b.key("mu", { ...rights, rate: 1, per: 1, basic_auth_data: { password: "p" } });
      const key = await b.key("mt", { ...rights, rate: 2, per: 1 });
      const both = { fields: { ...basic("mu", "p").fields, "x-token": key } };
      const decision = await b.ask(both);
      assert.equal(decision.verdict, 0);
      assert.equal(b.bound[0]?.[0]?.rate, limit);
      assert.equal((await b.ask(basic("mu", "p"))).verdict, verdicts.AUTH_FIELD_MISSING);
      assert.equal((await b.ask({ fields: { "x-token": key } })).verdict, verdicts.BASIC_FIELD_MISSING);
      // Also the key that does not give the session can be revoked.
      await b.revoke(base === "auth_token" ? generateToken("default", "mu", "sha256") : key);
      assert.equal(b.gate.holds(decision, b.clock.now), false);
      assert.notEqual((await b.ask(both)).verdict, 0);
    }
  });

  test("JSON web tokens bring policies, and a key stored for their owner can stop them", async () => {
    const secret = new TextEncoder().encode("a secret of more than thirty-two bytes");
    const b = bench(
      [
        definition({
          enable_jwt: true,
          jwt_signing_method: "hmac",
          jwt_source: Buffer.from(secret).toString("base64"),
          jwt_policy_field_name: "pol",
        }),
      ],
      { policies: { gold: { org_id: "default", rate: 9, per: 1, ...rights } } },
    );
    const exp = b.clock.wall / 1_000 + 30;
    const signed = await new SignJWT({ sub: "me", pol: "gold", exp }).setProtectedHeader({ alg: "HS256" }).sign(secret);
    const decision = await b.ask(token(`Bearer ${signed}`));
    assert.equal(decision.verdict, 0);
    assert.equal(b.gate.holds(decision, b.clock.now + 30_001), false);
    const name = decision.session?.name ?? "";
    assert.match(name, /^[0-9a-f]{64}$/);
    await b.write(name, { org_id: "default", is_inactive: true });
    assert.equal(b.gate.holds(decision, b.clock.now), false);
    assert.equal((await b.ask(token(signed))).verdict, verdicts.KEY_INACTIVE);
    const alien = await new SignJWT({ sub: "me", pol: "none" }).setProtectedHeader({ alg: "HS256" }).sign(secret);
    assert.equal((await b.ask(token(alien))).verdict, verdicts.POLICY_FAILED);
    assert.equal((await b.ask({})).verdict, verdicts.JWT_MISSING);
  });

  test("a flood of unknown keys is remembered within bounds", async () => {
    const b = bench([definition()]);
    for (let round = 0; round < 25; round++) {
      await Promise.all(Array.from({ length: 1_000 }, (_, n) => b.ask(token(`flood-${round}-${n}`))));
    }
    assert.ok(b.gate.sessions.unknownSize <= 20_000);
  });
});

describe("the gate without a store's help", () => {
  /** A store of values in memory that counts and can be switched off. */
  class FakeStore {
    readonly home = "embedded";
    readonly values = new Map<string, Uint8Array>();
    readonly listeners = new Set<(change: { command: string; payload: string }) => void>();
    reads = 0;
    down = false;
    held: (() => void)[] | undefined;

    async getMany(names: readonly string[]): Promise<(Uint8Array | undefined)[]> {
      this.reads++;
      const values = names.map((name) => this.values.get(name));
      if (this.held !== undefined) await new Promise<void>((resolve) => this.held?.push(resolve));
      if (this.down) throw new StoreDown("away");
      return values;
    }
    async put(name: string, value: Uint8Array): Promise<boolean> {
      this.values.set(name, value);
      return true;
    }
    async delete(name: string): Promise<boolean> {
      return this.values.delete(name);
    }
    async publish(change: { command: string; payload: string }): Promise<void> {
      for (const listener of this.listeners) listener(change);
    }
    subscribe(listener: (change: { command: string; payload: string }) => void): () => void {
      this.listeners.add(listener);
      return () => this.listeners.delete(listener);
    }
  }

  const make = (definitions = [definition()], options: Parameters<typeof makeBench>[2] = {}) => {
    const fake = new FakeStore();
    return { fake, b: makeBench(fake as unknown as Store, definitions, options) };
  };

  test("asks once for any number of calls of one key", async () => {
    const { fake, b } = make();
    const key = await b.key("k", rights);
    const decisions = await Promise.all(Array.from({ length: 100 }, () => b.ask(token(key))));
    assert.ok(decisions.every((decision) => decision.verdict === 0));
    assert.equal(fake.reads, 1);
  });

  test("serves what it knows while the store is away, and never admits what it does not know", async () => {
    const { fake, b } = make([definition()], { staleMs: 60_000 });
    const key = await b.key("k", rights);
    const decision = await b.ask(token(key));
    fake.down = true;
    const unknown = await b.ask(token("new-key"));
    assert.equal(unknown.verdict, verdicts.STORE_AWAY);
    assert.equal(b.gate.holds(unknown, b.clock.now), false);
    b.clock.now += 30_000;
    await b.gate.tick();
    assert.equal(b.gate.holds(decision, b.clock.now), true);
    assert.equal((await b.ask(token(key))).verdict, 0);
    b.clock.now += 40_000;
    await b.gate.tick();
    assert.equal((await b.ask(token(key))).verdict, verdicts.STORE_AWAY);
    fake.down = false;
    assert.equal((await b.ask(token(key))).verdict, 0);
    assert.equal((await b.ask(token("new-key"))).verdict, verdicts.KEY_NOT_FOUND);
  });

  test("keeps serving when the store comes back for a moment and goes again", async () => {
    const { fake, b } = make([definition()], { staleMs: 60_000 });
    const key = await b.key("k", rights);
    await b.ask(token(key));
    fake.down = true;
    await fake.publish({ command: EVERYTHING_CHANGED, payload: "" });
    await b.gate.tick();
    assert.equal((await b.ask(token(key))).verdict, 0);
  });

  test("does not believe an answer that was under way when the key was revoked", async () => {
    const { fake, b } = make();
    const key = await b.key("k", rights);
    fake.held = [];
    const asked = b.ask(token(key));
    await new Promise((resolve) => setImmediate(resolve));
    await b.revoke(key);
    const first = fake.held;
    fake.held = undefined;
    for (const release of first) release();
    assert.equal((await asked).verdict, verdicts.KEY_NOT_FOUND);
    assert.equal(fake.reads, 2);
  });

  test("a call that was pending during a reload is decided by the new rules", async () => {
    const { fake, b } = make();
    const key = await b.key("k", rights);
    fake.held = [];
    const asked = b.ask(token(key));
    await new Promise((resolve) => setImmediate(resolve));
    b.reload([definition({ enable_ip_blacklisting: true, blacklisted_ips: ["127.0.0.1"] })]);
    const first = fake.held;
    fake.held = undefined;
    for (const release of first) release();
    const decision = await asked;
    assert.equal(decision.verdict, verdicts.ADDRESS_DISALLOWED);
    assert.equal(b.gate.holds(decision, b.clock.now), true);
  });

  test("a call's fields may be gone while it is pending", async () => {
    const { b } = make();
    const key = await b.key("k", rights);
    let gone = false;
    const decision = await new Promise<unknown>((resolve) => {
      const api = b.gate.api("test")!;
      const get = (): string => (gone ? assert.fail("the fields were read late") : key);
      assert.equal(b.gate.admit({ api, method: "POST", path: "/a", peer: "::1", get }, resolve), PENDING);
      gone = true;
    });
    assert.ok(decision);
  });

  test("a keyless API asks nobody, an ignored path neither, and both keep their lists", async () => {
    const { fake, b } = make([
      definition({ use_keyless: true, version_data: { versions: { Default: { paths: { black_list: ["^/bad"] } } } } }),
      definition({ api_id: "ign", version_data: { versions: { Default: { paths: { ignored: ["/pkg.Open"] } } } } }),
    ]);
    const open = await b.ask({});
    assert.deepEqual([open.verdict, open.session], [0, null]);
    assert.equal((await b.ask({ path: "/bad" })).verdict, verdicts.ENDPOINT_FORBIDDEN);
    assert.equal((await b.ask({ path: "//bad" })).verdict, verdicts.PATH_INVALID);
    assert.equal((await b.ask({ api: "ign", path: "/pkg.Open/Method" })).verdict, 0);
    assert.equal((await b.ask({ api: "ign", path: "/pkg.Closed/Method" })).verdict, verdicts.AUTH_FIELD_MISSING);
    assert.deepEqual(
      b.bound.map(([session]) => session),
      [undefined, undefined],
    );
    assert.equal(fake.reads, 0);
  });

  test("addresses: allowed, denied, and a forwarded one only from a trusted proxy", async () => {
    const lists = definition({ use_keyless: true, enable_ip_whitelisting: true, allowed_ips: ["10.0.0.0/8"] });
    const { b } = make([lists]);
    const forged = { fields: { "x-forwarded-for": "10.1.1.1", "x-real-ip": "10.1.1.1" } };
    assert.equal((await b.ask({ peer: "10.2.3.4" })).verdict, 0);
    assert.equal((await b.ask({ peer: "11.2.3.4", ...forged })).verdict, verdicts.ADDRESS_DISALLOWED);
    const trusting = make([lists], { settings: { trusted_proxies: ["11.2.3.4"] } }).b;
    assert.equal((await trusting.ask({ peer: "11.2.3.4", ...forged })).verdict, 0);
    assert.deepEqual(trusting.gate.api("test")?.fields, ["x-real-ip", "x-forwarded-for"]);
  });

  test("a definition that cannot be enforced as written is closed, not open", async () => {
    for (const broken of [
      { use_keyless: true, enable_ip_blacklisting: true, blacklisted_ips: ["10.0.0.0/99"] },
      { use_keyless: true, version_data: { versions: { Default: { paths: { black_list: ["("] } } } } },
      { use_keyless: true, expiration: "tomorrow" },
      { use_basic_auth: true, auth_configs: { authToken: { use_certificate: true } } },
      { enable_jwt: true, jwt_signing_method: "none" },
      { use_oauth2: true },
      { enable_signature_checking: true, use_standard_auth: true },
      { use_basic_auth: true, use_standard_auth: true, base_identity_provided_by: "hmac_key" },
    ]) {
      const { b } = make([definition(broken)]);
      const verdict = (await b.ask(token("a.b.c"))).verdict;
      assert.equal(verdict, verdicts.API_CLOSED, JSON.stringify(broken));
    }
  });

  test("an API and a version end at their time", async () => {
    const { b } = make([definition({ use_keyless: true, expiration: "2023-11-14 22:14" })]);
    const decision = await b.ask({});
    assert.equal(decision.verdict, 0);
    assert.equal(b.gate.holds(decision, b.clock.now + 40_001), false);
    b.clock.wall = Date.UTC(2023, 10, 14, 22, 14);
    assert.equal((await b.ask({})).verdict, verdicts.API_EXPIRED);
    const old = make([
      definition({ use_keyless: true, version_data: { versions: { v1: { expires: "2006-01-02 15:04" } } } }),
    ]);
    assert.equal((await old.b.ask({})).verdict, verdicts.VERSION_EXPIRED);
  });

  test("a decision says what to strip and where to", async () => {
    const { b } = make([
      definition({
        strip_auth_data: true,
        auth_configs: { authToken: { use_param: true, param_name: "key" } },
        version_data: {
          versions: {
            Default: {
              use_extended_paths: true,
              extended_paths: {
                url_rewrites: [
                  { path: "/a", method: "POST", match_pattern: "^/a/(\\w+)", rewrite_to: "/to/$1/$tyk_meta.team" },
                ],
              },
            },
          },
        },
      }),
    ]);
    const key = await b.key("k", { ...rights, meta_data: { team: "red" } });
    const decision = await b.ask({ ...token(key), path: "/a/b" });
    assert.equal(decision.ruling.rewritten, "/to/b/red");
    assert.deepEqual(decision.ruling.strip, { headers: ["authorization"], params: ["key"], cookies: [] });
  });

  test("an odd spelling is refused where rights could be evaded, unless it is rewritten", async () => {
    const { b } = make([
      definition({
        version_data: {
          versions: {
            Default: {
              use_extended_paths: true,
              extended_paths: {
                url_rewrites: [{ path: "/r", match_pattern: "^/r/%41", rewrite_to: "/pkg.Service/A" }],
              },
            },
          },
        },
      }),
    ]);
    const limited = await b.key("l", { access_rights: { test: { allowed_urls: [{ url: "^/", methods: ["POST"] }] } } });
    const free = await b.key("f", rights);
    assert.equal((await b.ask({ ...token(limited), path: "/a/%41" })).verdict, verdicts.PATH_INVALID);
    assert.equal((await b.ask({ ...token(limited), path: "/a/../b" })).verdict, verdicts.PATH_INVALID);
    assert.equal((await b.ask({ ...token(limited), path: "/r/%41" })).verdict, 0);
    assert.equal((await b.ask({ ...token(free), path: "/a/%41" })).verdict, 0);
  });

  test("limits are bound to key, API, endpoint and pattern", async () => {
    const { b } = make([
      definition({
        global_rate_limit: { rate: 7, per: 1 },
        version_data: {
          versions: {
            Default: {
              use_extended_paths: true,
              extended_paths: { rate_limit: [{ path: "/slow", method: "POST", rate: 1, per: 60 }] },
            },
          },
        },
      }),
    ]);
    const key = await b.key("k", {
      rate: 1,
      per: 1,
      meta_data: { rate_limit_pattern: "team-$tyk_meta.team", team: "red" },
      access_rights: {
        test: {
          limit: { rate: 3, per: 1 },
          endpoints: [{ path: "^/pkg", methods: [{ name: "POST", limit: { rate: 2, per: 5 } }] }],
        },
      },
    });
    await b.ask(token(key));
    await b.ask({ ...token(key), path: "/slow/x" });
    const [[session, api] = [], [, slow] = []] = b.bound;
    assert.deepEqual([session?.perApi?.scope, session?.perApi?.limit.rate], ["test", 3]);
    assert.deepEqual(session?.endpoint, { name: "POST:^/pkg", rate: 2, per: 5 });
    assert.equal(session?.customKey, "team-red");
    assert.equal(session?.keyName, hashText(key, "sha256"));
    assert.deepEqual([api?.global?.rate, api?.endpoint], [7, undefined]);
    assert.equal(slow?.endpoint?.rate, 1);
  });

  test("passwords that may not be remembered still give an answer", async () => {
    let checks = 0;
    const passwords = {
      async verifyBcrypt(): Promise<boolean> {
        checks++;
        return true;
      },
    };
    const { b } = make([definition({ use_basic_auth: true, basic_auth: { disable_caching: true } })], { passwords });
    await b.key("u", { ...rights, basic_auth_data: { password: "$2b$", hash_type: "bcrypt" } });
    assert.equal((await b.ask(basic("u", "p"))).verdict, 0);
    assert.equal((await b.ask(basic("u", "p"))).verdict, 0);
    assert.equal(checks, 2);
  });
});
