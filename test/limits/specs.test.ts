import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { API_RATE, QUOTA, RATE } from "../../src/worker/admit/limits/limit.js";
import { type ApiLimits, countingOf, limitsOf } from "../../src/worker/admit/limits/specs.js";

const api: ApiLimits = { orgId: "o", apiId: "a" };

describe("limits of a session on an API", () => {
  it("a rate of 0 or -1, a period of 0 and a quota of 0 or -1 are no limits", () => {
    for (const rate of [0, -1]) {
      assert.deepEqual(limitsOf({ keyName: "k", rate, per: 1, quota_max: rate }, api, "leased").specs, []);
    }
    assert.deepEqual(limitsOf({ keyName: "k", rate: 5, per: 0 }, api, "leased").specs, []);
  });

  it("a key's own numbers hold when the API has none for it", () => {
    const { specs } = limitsOf({ keyName: "k", rate: 5, per: 10, quota_max: 7, quota_renewal_rate: 60 }, api, "leased");
    assert.deepEqual(specs, [
      { key: "rate-limit-k/5/10000", kind: RATE, limit: 5, perMs: 10_000, count: "leased" },
      { key: "quota-k", kind: QUOTA, limit: 7, perMs: 60_000, count: "leased" },
    ]);
  });

  it("per-API numbers have counters of their scope", () => {
    const perApi = { scope: "policy-1", limit: { rate: 2, per: 1, quota_max: 9, quota_renewal_rate: 0 } };
    const { specs } = limitsOf({ keyName: "k", rate: 5, per: 10, perApi }, api, "leased");
    assert.deepEqual(
      specs.map(({ key }) => key),
      ["rate-limit-policy-1-k/2/1000", "quota-policy-1-k"],
    );
    assert.equal(specs[1]?.perMs, 0);
  });

  it("per-API numbers without a scope are counted as the key's, as in Tyk", () => {
    const perApi = { scope: "", limit: { rate: 2, per: 1, quota_max: 9, quota_renewal_rate: 0 } };
    const { specs } = limitsOf({ keyName: "k", perApi }, api, "leased");
    assert.deepEqual(
      specs.map(({ key }) => key),
      ["rate-limit-k/2/1000", "quota-k"],
    );
  });

  it("an endpoint's rate replaces the key's, the quota stays", () => {
    const endpoint = { name: "POST:/s/M", rate: 1, per: 1 };
    const { specs } = limitsOf({ keyName: "k", rate: 5, per: 10, quota_max: 9, endpoint }, api, "leased");
    assert.match(specs[0]?.key ?? "", /^rate-limit-k-[0-9a-f]{16}\/1\/1000$/);
    assert.equal(specs[1]?.key, "quota-k");
  });

  it("a custom key replaces the rate's counter but not the quota's, however long it is", () => {
    const { specs } = limitsOf({ keyName: "k", rate: 5, per: 1, quota_max: 9, customKey: "team-7" }, api, "leased");
    assert.deepEqual(
      specs.map(({ key }) => key),
      ["rate-limit-team-7/5/1000", "quota-k"],
    );
    const long = limitsOf({ keyName: "k", rate: 5, per: 1, customKey: "x".repeat(5_000) }, api, "leased");
    assert.ok((long.specs[0]?.key.length ?? 999) < 120);
  });

  it("the API's rate comes after the key's, its endpoint's replaces it, and it holds without a key", () => {
    const limited: ApiLimits = { ...api, global: { rate: 3, per: 1 } };
    assert.deepEqual(
      limitsOf({ keyName: "k", rate: 5, per: 1 }, limited, "leased").specs.map(({ kind }) => kind),
      [RATE, API_RATE],
    );
    assert.deepEqual(
      limitsOf(undefined, limited, "leased").specs.map(({ key }) => key),
      ["rate-limit-apilimiter-oa/3/1000"],
    );
    assert.deepEqual(limitsOf(undefined, { ...api, global: { rate: 3, per: 1, disabled: true } }, "leased").specs, []);
    const endpoint = { name: "POST:/s/M", rate: 8, per: 1 };
    assert.match(
      limitsOf(undefined, { ...limited, endpoint }, "leased").specs[0]?.key ?? "",
      /^rate-limit-apilimiter-oa-/,
    );
  });

  it("what an API switches off is not counted", () => {
    const session = { keyName: "k", rate: 5, per: 1, quota_max: 9 };
    const { specs } = limitsOf(session, { ...api, disableRateLimit: true, disableQuota: true }, "leased");
    assert.deepEqual(specs, []);
  });

  it("rates are whole units: less than one per period is one per longer period", () => {
    const { specs } = limitsOf({ keyName: "k", rate: 0.5, per: 1 }, api, "leased");
    assert.deepEqual([specs[0]?.limit, specs[0]?.perMs], [1, 2_000]);
    assert.equal(limitsOf({ keyName: "k", rate: 2.9, per: 1 }, api, "leased").specs[0]?.limit, 2);
  });

  it("fixed windows of less than a second are counted by leases, quota always is", () => {
    const { specs } = limitsOf({ keyName: "k", rate: 5, per: 0.5, quota_max: 3 }, api, "fixed");
    assert.deepEqual(
      specs.map(({ count }) => count),
      ["leased", "leased"],
    );
    assert.equal(limitsOf({ keyName: "k", rate: 5, per: 2 }, api, "fixed").specs[0]?.count, "fixed");
  });

  it("throttling needs an interval and a number of tries", () => {
    const session = { keyName: "k", rate: 5, per: 1, throttle_interval: 0.5, throttle_retry_limit: 3 };
    assert.deepEqual(limitsOf(session, api, "leased").throttle, { intervalMs: 500, tries: 3 });
    for (const throttle_interval of [-1, 0]) {
      assert.equal(limitsOf({ ...session, throttle_interval }, api, "leased").throttle.tries, 0);
    }
  });

  it("takes Tyk's switches in Tyk's order and warns of those that do nothing", () => {
    assert.deepEqual(countingOf({}), { counting: "leased", warnings: [] });
    const all = { enable_fixed_window_rate_limiter: true, enable_sentinel_rate_limiter: true };
    assert.equal(countingOf(all).counting, "fixed");
    assert.equal(countingOf({ enable_sentinel_rate_limiter: true }).counting, "exact");
    assert.equal(countingOf({ enable_redis_rolling_limiter: true }).counting, "exact");
    const { warnings } = countingOf({ drl_threshold: 5, enable_rate_limit_smoothing: true });
    assert.equal(warnings.length, 2);
  });
});
