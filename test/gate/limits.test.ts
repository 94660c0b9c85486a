// Responsible for: how often a known caller may call, under each way of counting, and what the answers say about it.
// Governed by: spec 7.6, 3.5, 6.3, 6.9. Windows are a day long, so that none ends while a test runs.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { type Caller, type Fields, type Seen, token } from "./caller.js";
import { type Control, type Json, rights } from "./control.js";
import { extended, keyed, onBothHomes, World } from "./world.js";

const { OK, RESOURCE_EXHAUSTED } = status;
const DAY = 86_400;
const M = "/limits.Api/M";
const IDS = ["limits", "second", "norate", "noquota", "global", "endpoint"];

const definitions = (target: string): Json[] => [
  keyed(
    "limits",
    target,
    "/limits.Api",
    extended({ ignored: [{ path: "/limits.Api/Free", method_actions: { POST: {} } }] }),
  ),
  keyed("second", target, "/second.Api"),
  keyed("norate", target, "/norate.Api", { disable_rate_limit: true }),
  keyed("noquota", target, "/noquota.Api", { disable_quota: true }),
  keyed("global", target, "/global.Api", { global_rate_limit: { rate: 2, per: DAY } }),
  keyed("open", target, "/open.Api", { use_keyless: true, global_rate_limit: { rate: 2, per: DAY } }),
  keyed("openoff", target, "/openoff.Api", {
    use_keyless: true,
    global_rate_limit: { rate: 1, per: DAY, disabled: true },
  }),
  keyed(
    "endpoint",
    target,
    "/endpoint.Api",
    extended({
      rate_limit: [
        { path: "/endpoint.Api/Slow", method: "POST", rate: 1, per: DAY },
        { path: "/endpoint.Api/Off", method: "POST", rate: 1, per: DAY, disabled: true },
      ],
    }),
  ),
];

interface Mode {
  readonly name: string;
  readonly settings: Json;
  /** What is left after each of three calls under a rate of two, as far as this way of counting knows. */
  readonly left: string[];
}

const MODES: Mode[] = [
  { name: "leased", settings: {}, left: ["1", "0", "0"] },
  { name: "exact", settings: { enable_redis_rolling_limiter: true }, left: ["1", "0", "0"] },
  { name: "fixed window", settings: { enable_fixed_window_rate_limiter: true }, left: ["0", "0", "0"] },
];

for (const mode of MODES) {
  onBothHomes(`limits, ${mode.name}`, (home) => {
    let world: World;
    let caller: Caller;
    let control: Control;
    before(async () => {
      const settings = { ...mode.settings, rate_limit_response_headers: "rate_limits" };
      world = await World.start({ home, definitions, settings });
      caller = world.caller();
      control = world.control();
    });
    after(() => world?.stop());

    const keyFor = async (session: Json): Promise<Fields> =>
      token((await control.key({ access_rights: rights(IDS), ...session })).key);
    const codes = async (fields: Fields, ...paths: string[]): Promise<number[]> => {
      const seen: number[] = [];
      for (const path of paths) seen.push(await caller.code(path, fields));
      return seen;
    };

    it("a rate of two admits two, says what is left, and tells when to come back", async () => {
      const fields = await keyFor({ rate: 2, per: DAY });
      const seen: Seen[] = [];
      for (let n = 0; n < 3; n++) seen.push(await caller.call(M, fields));
      assert.deepEqual(
        seen.map(({ code }) => code),
        [OK, OK, RESOURCE_EXHAUSTED],
      );
      assert.deepEqual(
        seen.map((one) => one.fields["x-ratelimit-limit"]),
        ["2", "2", "2"],
      );
      assert.deepEqual(
        seen.map((one) => one.fields["x-ratelimit-remaining"]),
        mode.left,
      );
      const now = Date.now() / 1_000;
      for (const one of seen) {
        const reset = Number(one.fields["x-ratelimit-reset"]);
        assert.ok(reset > now - 5 && reset <= now + DAY + 5, `reset ${reset} at ${now}`);
      }
      assert.equal(seen[2]?.message, "Rate Limit Exceeded");
      const pushback = Number(seen[2]?.fields["grpc-retry-pushback-ms"]);
      assert.ok(pushback > 0 && pushback <= DAY * 1_000, `pushback ${pushback}`);
      const http = await caller.http(M, fields);
      assert.deepEqual([http.status, JSON.parse(http.body)], [429, { error: "Rate Limit Exceeded" }]);
      assert.ok(Number(http.fields["retry-after"]) > 0);
      assert.equal(http.fields["x-ratelimit-limit"], "2");
    });

    it("a rate of 0 or -1 is none", async () => {
      for (const rate of [0, -1]) {
        const fields = await keyFor({ rate, per: DAY });
        assert.deepEqual(await codes(fields, M, M, M, M), [OK, OK, OK, OK]);
      }
    });

    it("the service's own rate headers are replaced, the others stay", async () => {
      const fields = await keyFor({ rate: 5, per: DAY });
      const seen = await caller.call(M, { ...fields, "x-own-limits": "yes" });
      assert.equal(seen.fields["x-ratelimit-limit"], "5");
      assert.equal(seen.fields["x-ratelimit-other"], "kept");
    });

    it("a quota that never renews is used up once", async () => {
      const fields = await keyFor({ quota_max: 1, quota_renewal_rate: 0 });
      assert.deepEqual(await codes(fields, M, M, M), [OK, RESOURCE_EXHAUSTED, RESOURCE_EXHAUSTED]);
      assert.equal((await caller.call(M, fields)).message, "Quota exceeded");
      const http = await caller.http(M, fields);
      assert.deepEqual([http.status, JSON.parse(http.body)], [403, { error: "Quota exceeded" }]);
    });

    it("what the rate refuses, the quota does not count, and the other way round", async () => {
      const fields = await keyFor({ rate: 2, per: DAY, quota_max: 3, quota_renewal_rate: DAY });
      assert.deepEqual(await codes(fields, M, M, M, M), [OK, OK, RESOURCE_EXHAUSTED, RESOURCE_EXHAUSTED]);
      assert.equal((await caller.call(M, fields)).message, "Rate Limit Exceeded");
    });

    it("an ignored method counts for nothing", async () => {
      const fields = await keyFor({ quota_max: 2, quota_renewal_rate: DAY });
      const free = "/limits.Api/Free";
      assert.deepEqual(await codes(fields, free, M, free, M, free, M), [OK, OK, OK, OK, OK, RESOURCE_EXHAUSTED]);
    });

    it("an API can do without rates, without quotas", async () => {
      const fields = await keyFor({ rate: 1, per: DAY, quota_max: 2, quota_renewal_rate: DAY });
      assert.deepEqual(await codes(fields, "/norate.Api/M", "/norate.Api/M", "/norate.Api/M"), [
        OK,
        OK,
        RESOURCE_EXHAUSTED,
      ]);
      const other = await keyFor({ rate: 2, per: DAY, quota_max: 1, quota_renewal_rate: DAY });
      assert.deepEqual(await codes(other, "/noquota.Api/M", "/noquota.Api/M", "/noquota.Api/M"), [
        OK,
        OK,
        RESOURCE_EXHAUSTED,
      ]);
    });

    it("an API's own limit in a key counts apart", async () => {
      const fields = await keyFor({
        rate: 100,
        per: DAY,
        access_rights: rights({ limits: { limit: { rate: 1, per: DAY } }, second: {} }),
      });
      assert.deepEqual(await codes(fields, M, M, "/second.Api/M", "/second.Api/M"), [OK, RESOURCE_EXHAUSTED, OK, OK]);
    });

    it("a method's own limit in a key counts apart", async () => {
      const endpoints = [
        { path: "/limits.Api/Slow", methods: [{ name: "POST", limit: { rate: 1, per: DAY } }] },
        { path: "/limits.Api/Get", methods: [{ name: "GET", limit: { rate: 1, per: DAY } }] },
        { path: "/limits.Api/r[a-z]+$", methods: [{ name: "POST", limit: { rate: 1, per: DAY } }] },
      ];
      const fields = await keyFor({ rate: 100, per: DAY, access_rights: rights({ limits: { endpoints } }) });
      assert.deepEqual(await codes(fields, "/limits.Api/Slow", "/limits.Api/Slow", M), [OK, RESOURCE_EXHAUSTED, OK]);
      assert.deepEqual(await codes(fields, "/limits.Api/Get", "/limits.Api/Get"), [OK, OK]);
      assert.deepEqual(await codes(fields, "/limits.Api/rx", "/limits.Api/ry", "/limits.Api/R"), [
        OK,
        RESOURCE_EXHAUSTED,
        OK,
      ]);
    });

    it("keys whose pattern is the same share a counter, others do not", async () => {
      const named = (user: string): Json => ({
        rate: 2,
        per: DAY,
        meta_data: { user: `${user}-${mode.name}`, rate_limit_pattern: "$tyk_meta.user" },
      });
      const [one, two, other] = [await keyFor(named("ann")), await keyFor(named("ann")), await keyFor(named("bob"))];
      assert.deepEqual(await codes(one, M), [OK]);
      assert.deepEqual(await codes(two, M, M), [OK, RESOURCE_EXHAUSTED]);
      assert.deepEqual(await codes(one, M), [RESOURCE_EXHAUSTED]);
      assert.deepEqual(await codes(other, M), [OK]);
    });

    it("an API's limit holds for all its keys together, after each key's own", async () => {
      const one = await keyFor({ rate: 1, per: DAY });
      const two = await keyFor({ rate: 1, per: DAY });
      const three = await keyFor({ rate: 3, per: DAY });
      const P = "/global.Api/M";
      assert.deepEqual(
        [...(await codes(one, P, P)), ...(await codes(two, P, P))],
        [OK, RESOURCE_EXHAUSTED, OK, RESOURCE_EXHAUSTED],
      );
      const seen = await caller.call(P, three);
      assert.deepEqual([seen.code, seen.message], [RESOURCE_EXHAUSTED, "API Rate Limit Exceeded"]);
      assert.deepEqual(await codes(three, M), [OK]);
    });

    it("a limit of one method of an API holds for that method", async () => {
      const fields = await keyFor({ rate: 100, per: DAY });
      const path = (name: string): string => `/endpoint.Api/${name}`;
      assert.deepEqual(await codes(fields, path("Slow"), path("Slow"), path("Fast")), [OK, RESOURCE_EXHAUSTED, OK]);
      assert.deepEqual(await codes(fields, path("Off"), path("Off")), [OK, OK]);
      assert.deepEqual(await codes(await keyFor({ rate: 100, per: DAY }), path("Slow")), [RESOURCE_EXHAUSTED]);
    });

    it("an open API's limit is everybody's, and goes on over a reload", async () => {
      const P = "/open.Api/M";
      assert.deepEqual(await codes({}, P, P, P), [OK, OK, RESOURCE_EXHAUSTED]);
      assert.equal((await caller.call(P)).message, "API Rate Limit Exceeded");
      await control.reload();
      assert.deepEqual(await codes({}, P), [RESOURCE_EXHAUSTED]);
      assert.deepEqual(await codes({}, "/openoff.Api/M", "/openoff.Api/M"), [OK, OK]);
    });

    it("a throttled call waits and passes where there is room later; without it is refused at once", async () => {
      const waits = await keyFor({ rate: 1, per: 1, throttle_interval: 1, throttle_retry_limit: 5 });
      assert.deepEqual(await codes(waits, M, M), [OK, OK]);
      for (const throttle_interval of [0, -1]) {
        const none = await keyFor({ rate: 1, per: DAY, throttle_interval, throttle_retry_limit: 5 });
        assert.deepEqual(await codes(none, M, M), [OK, RESOURCE_EXHAUSTED]);
      }
      const tries = await keyFor({ rate: 1, per: DAY, throttle_interval: 0.1, throttle_retry_limit: 2 });
      assert.deepEqual(await codes(tries, M, M), [OK, RESOURCE_EXHAUSTED]);
    });
  });
}

onBothHomes("quota headers", (home) => {
  let world: World;
  let caller: Caller;
  before(async () => {
    const policies = {
      whole: { org_id: "test", active: true, quota_max: 7, quota_renewal_rate: DAY, access_rights: rights(["limits"]) },
      each: {
        org_id: "test",
        active: true,
        partitions: { per_api: true },
        access_rights: rights({ limits: { limit: { quota_max: 5, quota_renewal_rate: DAY } } }),
      },
    };
    world = await World.start({ home, definitions, policies });
    caller = world.caller();
  });
  after(() => world?.stop());

  const headersOf = (fields: Fields): (string | undefined)[] =>
    ["limit", "remaining"].map((name) => fields[`x-ratelimit-${name}`]);

  for (const [says, session, max] of [
    ["of a key alone", { access_rights: rights(["limits"]), quota_max: 3, quota_renewal_rate: DAY }, 3],
    ["of a policy", { apply_policies: ["whole"] }, 7],
    ["of a policy for each API", { apply_policies: ["each"] }, 5],
  ] as const) {
    it(`${says} say what is left and when it is renewed`, async () => {
      const fields = token((await world.control().key(session)).key);
      for (let left = max - 1; left >= 0; left--) {
        const seen = await caller.call(M, fields);
        assert.deepEqual(headersOf(seen.fields), [String(max), String(left)]);
        const reset = Number(seen.fields["x-ratelimit-reset"]) - Date.now() / 1_000;
        assert.ok(reset > DAY - 60 && reset < DAY + 5, `${reset}`);
      }
      const refused = await caller.call(M, fields);
      assert.deepEqual([refused.code, ...headersOf(refused.fields)], [RESOURCE_EXHAUSTED, undefined, undefined]);
    });
  }

  it("are 0 where there is no quota", async () => {
    const fields = token((await world.control().key({ access_rights: rights(["limits"]), rate: 5, per: DAY })).key);
    assert.deepEqual(headersOf((await caller.call(M, fields)).fields), ["0", "0"]);
  });

  it("begin again when the key is written anew, unless that is suppressed", async () => {
    const control = world.control();
    const session = { org_id: "test", access_rights: rights(["limits"]), quota_max: 2, quota_renewal_rate: DAY };
    const { key } = await control.key(session);
    const fields = token(key);
    const path = `/tyk/keys/${encodeURIComponent(key)}`;
    const two = async (): Promise<number[]> => [await caller.code(M, fields), await caller.code(M, fields)];
    assert.deepEqual(await two(), [OK, OK]);
    assert.equal(await caller.code(M, fields), RESOURCE_EXHAUSTED);
    await control.done("PUT", `${path}?suppress_reset=1`, session);
    assert.equal(await caller.code(M, fields), RESOURCE_EXHAUSTED);
    await control.done("PUT", path, session);
    assert.deepEqual(await two(), [OK, OK]);
    assert.equal(await caller.code(M, fields), RESOURCE_EXHAUSTED);
  });

  it("agree with what a key is told that asks for its own limits, which costs it nothing", async () => {
    const { key } = await world.control().key({
      access_rights: rights({ limits: { allowed_urls: [{ url: "/limits.Api/M", methods: ["POST"] }] } }),
      rate: 6,
      per: DAY,
      quota_max: 3,
      quota_renewal_rate: DAY,
    });
    const own = async (path: string) => {
      const seen = await caller.http(path, token(key));
      assert.equal(seen.status, 200, seen.body);
      assert.equal(seen.fields["content-type"], "application/json");
      return JSON.parse(seen.body) as { quota: Record<string, number>; rate_limit: Record<string, number> };
    };
    const before = world.service.calls;
    const fresh = await own("/limits.Api/tyk/rate-limits/");
    assert.deepEqual(fresh.rate_limit, { requests: 6, per_unit: DAY });
    assert.equal(fresh.quota["quota_max"], 3);
    assert.equal(fresh.quota["quota_remaining"], 3);
    assert.ok(Math.abs(fresh.quota["quota_renews"]! - Date.now() / 1_000 - DAY) < 60);
    assert.equal(world.service.calls, before);
    assert.equal((await caller.http("/limits.Api/M", token(key))).status, 200);
    // What was read a moment ago is told again, also to a question worded differently.
    let left = 3;
    for (let n = 0; left === 3; n++) {
      left = (await own(`/limits.Api/tyk/rate-limits?n=${n}`)).quota["quota_remaining"]!;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.ok(left <= 2);
    for (const fields of [{}, token("nobody")])
      assert.notEqual((await caller.http("/limits.Api/tyk/rate-limits/", fields)).status, 200);
    const elsewhere = await caller.http("/second.Api/tyk/rate-limits/", token(key));
    assert.equal(elsewhere.status, 403, "a key without rights to the API");
  });

  it("agree with what the control API shows", async () => {
    const control = world.control();
    const { key } = await control.key({ access_rights: rights(["limits"]), quota_max: 3, quota_renewal_rate: DAY });
    await caller.call(M, token(key));
    const shown = await control.done("GET", `/tyk/keys/${encodeURIComponent(key)}`);
    assert.equal(shown["quota_max"], 3);
    assert.ok(Number(shown["quota_remaining"]) <= 2, JSON.stringify(shown));
  });
});

describe("the sentinel limiter, which counts exactly here", () => {
  let world: World;
  before(async () => {
    const settings = { enable_sentinel_rate_limiter: true, rate_limit_response_headers: "rate_limits" };
    world = await World.start({ home: "embedded", definitions, settings });
  });
  after(() => world?.stop());

  it("refuses what is over the rate and does not count it", async () => {
    const { key } = await world.control().key({ access_rights: rights(["limits"]), rate: 2, per: DAY });
    const caller = world.caller();
    const left: unknown[] = [];
    for (let n = 0; n < 4; n++) left.push((await caller.call(M, token(key))).fields["x-ratelimit-remaining"]);
    assert.deepEqual(left, ["1", "0", "0", "0"]);
  });
});

describe("answers in Tyk's form for gRPC callers", () => {
  let world: World;
  let caller: Caller;
  before(async () => {
    world = await World.start({
      home: "embedded",
      definitions,
      settings: {
        refusal_form: "tyk",
        rate_limit_response_headers: "rate_limits",
        override_messages: {
          "auth.auth_field_missing": { message: "Give me a key", code: 418 },
          "auth.key_not_found": { message: "Who are you" },
          "auth.key_is_invalid": { code: 422 },
        },
      },
    });
    caller = world.caller();
  });
  after(() => world?.stop());
  const asGrpc = { "content-type": "application/grpc", te: "trailers" };

  it("carry Tyk's status and body", async () => {
    const { key } = await world.control().key({ access_rights: rights(["limits"]), rate: 1, per: DAY });
    await caller.http(M, { ...asGrpc, ...token(key) });
    const seen = await caller.http(M, { ...asGrpc, ...token(key) });
    assert.deepEqual([seen.status, JSON.parse(seen.body)], [429, { error: "Rate Limit Exceeded" }]);
    assert.ok(Number(seen.fields["retry-after"]) > 0);
    assert.equal(seen.fields["grpc-status"], undefined);
    assert.equal(seen.fields["content-type"], "application/json");
  });

  it("carry the operator's messages and codes, half by half", async () => {
    const at = async (fields: Fields): Promise<unknown[]> => {
      const seen = await caller.http(M, { ...asGrpc, ...fields });
      return [seen.status, (JSON.parse(seen.body) as Json)["error"]];
    };
    assert.deepEqual(await at({}), [418, "Give me a key"]);
    assert.deepEqual(await at(token("nobody-knows")), [403, "Who are you"]);
    assert.deepEqual(await at(token("ab")), [422, "Access to this API has been disallowed"]);
  });
});

describe("answers with the operator's messages for gRPC callers", () => {
  let world: World;
  before(async () => {
    const override_messages = { "auth.key_not_found": { message: "Wer bist du – 谁?", code: 400 } };
    world = await World.start({ home: "embedded", definitions, settings: { override_messages } });
  });
  after(() => world?.stop());

  it("keep their gRPC status and carry the message, whatever its letters", async () => {
    const seen = await world.caller().call(M, token("nobody-knows"));
    assert.deepEqual([seen.code, seen.message], [status.UNAUTHENTICATED, "Wer bist du – 谁?"]);
    const http = await world.caller().http(M, token("nobody-knows"));
    assert.deepEqual([http.status, JSON.parse(http.body)], [400, { error: "Wer bist du – 谁?" }]);
  });
});
