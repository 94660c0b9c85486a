import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { applyPolicies, expiryAtCreation } from "../../src/shared/keys/policies.js";
import type { Policy } from "../../src/shared/model/policy.js";
import type { Session } from "../../src/shared/model/session.js";
import { loadPolicies } from "../../src/shared/store/policy-files.js";

function apply(policies: Record<string, Policy>, session: Session = {}, orgId?: string) {
  const all = new Map(Object.entries(policies));
  return applyPolicies({ apply_policies: [...all.keys()], ...session }, all, { orgId });
}

const rights = { a: { api_id: "a", versions: ["v1"] } };

describe("a policy", () => {
  test("without partitions governs quota, rate, depth and rights", () => {
    const { session, error } = apply(
      { p: { rate: 5, per: 1, quota_max: 9, quota_renewal_rate: 60, max_query_depth: 2, access_rights: rights } },
      { rate: 100, per: 1, quota_max: 1_000, access_rights: { old: {} } },
    );
    assert.equal(error, undefined);
    assert.deepEqual([session.rate, session.per, session.quota_max, session.quota_renewal_rate], [5, 1, 9, 60]);
    assert.deepEqual(Object.keys(session.access_rights ?? {}), ["a"]);
  });

  test("with partitions governs these parts only", () => {
    const given = { rate: 100, per: 1, quota_max: 1_000, access_rights: { own: {} } };
    const quota = apply(
      { p: { quota_max: 5, rate: 1, per: 1, partitions: { quota: true }, access_rights: rights } },
      given,
    );
    assert.equal(quota.error, undefined);
    assert.deepEqual([quota.session.rate, quota.session.quota_max], [100, 5]);
    assert.deepEqual(Object.keys(quota.session.access_rights ?? {}), ["own"]);
    const rate = apply(
      { p: { quota_max: 5, rate: 1, per: 1, partitions: { rate_limit: true }, access_rights: rights } },
      given,
    );
    assert.deepEqual([rate.session.rate, rate.session.quota_max], [1, 1_000]);
    const acl = apply(
      { p: { quota_max: 5, rate: 1, per: 1, partitions: { acl: true }, access_rights: rights } },
      given,
    );
    assert.deepEqual([acl.session.rate, acl.session.quota_max], [100, 1_000]);
    const limit = acl.session.access_rights?.a?.limit;
    assert.deepEqual([limit?.rate, limit?.quota_max], [100, 1_000]);
  });

  test("without rights sets the limits of the key and leaves its rights", () => {
    const { session, error } = apply({ p: { rate: 7, per: 2, quota_max: 3 } }, { access_rights: { own: {} } });
    assert.equal(error, undefined);
    assert.deepEqual([session.rate, session.per, session.quota_max], [7, 2, 3]);
    assert.deepEqual(Object.keys(session.access_rights ?? {}), ["own"]);
  });

  test("that is missing refuses a key that has no other, and is skipped otherwise", () => {
    assert.match(apply({}, { apply_policies: ["gone"] }).error ?? "", /policy not found: "gone"/);
    assert.match(apply({}, { apply_policies: ["gone", "too"] }).error ?? "", /no valid policies/);
    const two = apply({ p: { rate: 1, per: 1, access_rights: rights } }, { apply_policies: ["gone", "p"] });
    assert.equal(two.error, undefined);
    assert.equal(two.session.rate, 1);
  });

  test("that was deleted does not make its key open to every API", () => {
    const quotaOnly = { p: { quota_max: 1, partitions: { quota: true } } };
    assert.match(apply(quotaOnly, { apply_policies: ["p", "gone"] }).error ?? "", /no valid policies/);
  });

  test("of another organisation is an error", () => {
    assert.match(
      apply({ p: { org_id: "other", access_rights: rights } }, {}, "mine").error ?? "",
      /different organisation/,
    );
    assert.equal(apply({ p: { org_id: "mine", access_rights: rights } }, {}, "mine").error, undefined);
  });

  test("per API cannot have partitions nor meet a partitioned one", () => {
    const perApi = { partitions: { per_api: true }, access_rights: rights };
    assert.match(
      apply({ p: { partitions: { per_api: true, acl: true }, access_rights: rights } }).error ?? "",
      /which has per_api and any of partitions set/,
    );
    for (const order of [
      ["p", "q"],
      ["q", "p"],
    ]) {
      const { error } = apply(
        { p: perApi, q: { partitions: { quota: true }, access_rights: rights } },
        { apply_policies: order },
      );
      assert.match(error ?? "", /some have per_api set and some are partitioned/);
    }
  });

  test("per API gives each API its limits and its own counter", () => {
    const { session, error } = apply({
      p: {
        rate: 1,
        per: 1,
        quota_max: 8,
        partitions: { per_api: true },
        access_rights: { a: { limit: { rate: 20, per: 1, quota_max: 5 } }, b: {} },
      },
    });
    assert.equal(error, undefined);
    const { a, b } = session.access_rights ?? {};
    assert.deepEqual([a?.limit?.rate, a?.limit?.quota_max, a?.allowance_scope], [20, 5, "a"]);
    assert.deepEqual([b?.limit?.rate, b?.limit?.quota_max, b?.allowance_scope], [1, 8, "p"]);
    assert.equal(a?.limit?.set_by, undefined);
  });

  test("inside the key's own meta data is used instead of the list", () => {
    const { session, error } = apply(
      { p: { rate: 1, per: 1, access_rights: rights } },
      { meta_data: { policies: [{ id: "inline", rate: 33, per: 1, access_rights: rights }] } },
    );
    assert.equal(error, undefined);
    assert.equal(session.rate, 33);
  });
});

describe("several policies", () => {
  test("the highest rate, quota and throttle win, unlimited beats all, unset says nothing", () => {
    const two = apply({
      p: { rate: 10, per: 1, quota_max: 5, throttle_interval: 9, throttle_retry_limit: 1, access_rights: rights },
      q: { rate: 3, per: 10, quota_max: 50, throttle_interval: 2, throttle_retry_limit: 7, access_rights: rights },
    }).session;
    assert.deepEqual(
      [two.rate, two.per, two.quota_max, two.throttle_interval, two.throttle_retry_limit],
      [10, 1, 50, 9, 7],
    );
    const unlimited = apply({
      p: { rate: -1, per: 1, quota_max: -1, access_rights: rights },
      q: { rate: 3, per: 10, quota_max: 50, access_rights: rights },
    }).session;
    assert.deepEqual([unlimited.rate, unlimited.quota_max], [-1, -1]);
    const unset = apply({ p: { access_rights: rights }, q: { rate: 3, per: 10, access_rights: rights } }).session;
    assert.deepEqual([unset.rate, unset.per], [3, 10]);
  });

  test("smoothing follows the policy whose rate won", () => {
    const { session } = apply({
      p: { rate: 1, per: 1, smoothing: { enabled: true, step: 1 }, access_rights: rights },
      q: { rate: 9, per: 1, smoothing: { enabled: true, step: 9 }, access_rights: rights },
    });
    assert.equal(session.smoothing?.step, 9);
  });

  test("allowed urls unite by url, methods and versions too, in order", () => {
    const { session } = apply({
      p: {
        access_rights: {
          a: {
            versions: ["v1"],
            allowed_urls: [
              { url: "/x", methods: ["GET"] },
              { url: "/y", methods: ["GET"] },
            ],
          },
        },
      },
      q: {
        access_rights: {
          a: {
            versions: ["v2", "v1"],
            allowed_urls: [
              { url: "/x", methods: ["POST", "GET"] },
              { url: "/z", methods: ["PUT"] },
            ],
          },
        },
      },
    });
    assert.deepEqual(session.access_rights?.a?.versions, ["v1", "v2"]);
    assert.deepEqual(session.access_rights?.a?.allowed_urls, [
      { url: "/x", methods: ["GET", "POST"] },
      { url: "/y", methods: ["GET"] },
      { url: "/z", methods: ["PUT"] },
    ]);
  });

  test("endpoint limits unite, the highest rate per path and method", () => {
    const endpoint = (path: string, name: string, rate: number, per: number) => ({
      path,
      methods: [{ name, limit: { rate, per } }],
    });
    for (const partitions of [{ per_api: true }, {}]) {
      const { session } = apply({
        p: {
          partitions,
          access_rights: { a: { endpoints: [endpoint("/x", "GET", 5, 1), endpoint("/y", "GET", 1, 1)] } },
        },
        q: {
          partitions,
          access_rights: {
            a: { endpoints: [endpoint("/x", "GET", 50, 1), endpoint("/x", "POST", 2, 1), endpoint("/y", "GET", 1, 9)] },
          },
        },
      });
      const found = (session.access_rights?.a?.endpoints ?? []).flatMap(({ path, methods }) =>
        (methods ?? []).map(({ name, limit }) => [path, name, limit?.rate, limit?.per]),
      );
      assert.deepEqual(found, [
        ["/x", "GET", 50, 1],
        ["/x", "POST", 2, 1],
        ["/y", "GET", 1, 1],
      ]);
    }
  });

  test("APIs unite, each scoped by the policy that set it", () => {
    const { session } = apply({ p: { access_rights: { a: {} } }, q: { access_rights: { b: {} } } });
    assert.deepEqual(Object.keys(session.access_rights ?? {}), ["a", "b"]);
    assert.equal(session.access_rights?.a?.allowance_scope, "p");
    assert.equal(session.access_rights?.b?.allowance_scope, "q");
  });

  test("one for the rights and one for the quota give both, in either order", () => {
    const acl: Policy = { partitions: { acl: true }, access_rights: { a: { versions: ["v1"] } } };
    const quota: Policy = { partitions: { quota: true }, quota_max: 4, access_rights: { a: {} } };
    for (const order of [
      ["acl", "quota"],
      ["quota", "acl"],
    ]) {
      const { session, error } = apply({ acl, quota }, { apply_policies: order });
      assert.equal(error, undefined);
      assert.deepEqual(session.access_rights?.a?.versions, ["v1"]);
      assert.equal(session.access_rights?.a?.limit?.quota_max, 4);
    }
  });

  test("tags unite, meta data is overwritten, one inactive policy makes the key inactive, the last change counts", () => {
    const { session } = apply(
      {
        p: { tags: ["x"], meta_data: { k: "p", p: 1 }, last_updated: "9", access_rights: rights },
        q: { tags: ["y"], meta_data: { k: "q" }, is_inactive: true, last_updated: "100", access_rights: rights },
      },
      { tags: ["own"], meta_data: { k: "own", own: true } },
    );
    assert.deepEqual(session.tags?.toSorted(), ["own", "x", "y"]);
    assert.deepEqual(session.meta_data, { k: "q", own: true, p: 1 });
    assert.equal(session.is_inactive, true);
    assert.equal(session.last_updated, "100");
  });

  test("the last one that says what follows the expiry decides", () => {
    const { session } = apply({
      p: { post_expiry_action: "delete", access_rights: rights },
      q: { post_expiry_action: "retain", post_expiry_grace_period: 5, access_rights: rights },
      r: { access_rights: rights },
    });
    assert.deepEqual([session.post_expiry_action, session.post_expiry_grace_period], ["retain", 5]);
  });
});

describe("applying policies", () => {
  const number = fc.constantFrom(-1, 0, 1, 7, 100);
  const policy: fc.Arbitrary<Policy> = fc.record({
    rate: number,
    per: fc.constantFrom(1, 10),
    quota_max: number,
    throttle_retry_limit: fc.nat(5),
    access_rights: fc.constantFrom(
      { a: {} },
      { b: { versions: ["v1"], allowed_urls: [{ url: "/x", methods: ["GET"] }], limit: { rate: 2, per: 1 } } },
      { a: { versions: ["v2"] }, b: { allowed_urls: [{ url: "/x", methods: ["POST"] }] } },
    ),
  });
  const speed = (session: Session): number =>
    session.rate === -1 ? Number.POSITIVE_INFINITY : (session.rate ?? 0) / (session.per || 1);

  test("gives the same limits and rights in any order", () => {
    fc.assert(
      fc.property(fc.array(policy, { minLength: 1, maxLength: 4 }), (list) => {
        const named = Object.fromEntries(list.map((each, n) => [`p${n}`, each]));
        const one = apply(named).session;
        const other = apply(named, { apply_policies: Object.keys(named).reverse() }).session;
        assert.equal(speed(one), speed(other));
        assert.equal(one.quota_max, other.quota_max);
        assert.equal(one.throttle_retry_limit, other.throttle_retry_limit);
        assert.deepEqual(Object.keys(one.access_rights ?? {}).sort(), Object.keys(other.access_rights ?? {}).sort());
      }),
    );
  });

  test("a second time changes nothing, and the given session is left as it was", () => {
    fc.assert(
      fc.property(fc.array(policy, { minLength: 1, maxLength: 3 }), (list) => {
        const all = new Map(list.map((each, n) => [`p${n}`, each]));
        const given: Session = { apply_policies: [...all.keys()], rate: 3, per: 1, access_rights: { z: {} } };
        const copy = structuredClone(given);
        const policies = JSON.stringify([...all]);
        const once = applyPolicies(given, all);
        assert.deepEqual(given, copy);
        assert.equal(JSON.stringify([...all]), policies);
        const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
        assert.deepEqual(plain(applyPolicies(once.session, all)), plain(once));
      }),
    );
  });

  test("to a key without policies only scopes its own limits", () => {
    const { session, error } = applyPolicies(
      { access_rights: { a: { limit: { rate: 1, per: 1 } }, b: {} } },
      new Map(),
    );
    assert.equal(error, undefined);
    assert.equal(session.access_rights?.a?.allowance_scope, "a");
    assert.equal(session.access_rights?.b?.allowance_scope, undefined);
  });

  test("a key's end by policy counts from its creation", () => {
    const policies = new Map([["p", { key_expires_in: 60 }]]);
    assert.equal(expiryAtCreation({ apply_policies: ["p"] }, policies, 10_000), 70);
    assert.equal(expiryAtCreation({}, policies, 10_000), 0);
  });
});

describe("policy files", () => {
  test("are read from one record or a folder, broken ones named and left out", (t) => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-policies-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const record = join(folder, "policies.json");
    writeFileSync(record, JSON.stringify({ one: { id: "inner", rate: 5, per: 1 }, two: { rate: "fast" }, "../x": {} }));
    const fromRecord = loadPolicies({ policy_record_name: record });
    assert.deepEqual([...fromRecord.policies.keys()], ["one"]);
    assert.equal(fromRecord.policies.get("one")?.id, "one");
    assert.equal(fromRecord.problems.length, 2);
    assert.deepEqual(
      fromRecord.problems.map(({ file, path }) => [file, path]),
      [
        [record, "$.two.rate"],
        [record, '$["../x"]'],
      ],
    );

    const path = join(folder, "policies");
    mkdirSync(path);
    writeFileSync(join(path, "gold.json"), JSON.stringify({ rate: 9, per: 1 }));
    writeFileSync(join(path, "broken.json"), "{");
    writeFileSync(join(path, "notes.txt"), "no policy");
    const fromFolder = loadPolicies({ policy_path: path });
    assert.deepEqual([...fromFolder.policies.keys()], ["gold"]);
    assert.equal(fromFolder.problems.length, 1);

    const unusable = {
      one: { access_rights: { api: { allowed_urls: [{ url: "^/(a+)+$", methods: ["POST"] }] } } },
      two: { access_rights: { api: { endpoints: [{ path: "(", methods: [] }] } } },
    };
    writeFileSync(record, JSON.stringify(unusable));
    const { policies, problems } = loadPolicies({ policy_record_name: record });
    assert.equal(policies.size, 0);
    assert.deepEqual(
      problems.map(({ path }) => path),
      ["$.one.access_rights.api.allowed_urls[0].url", "$.two.access_rights.api.endpoints[0].path"],
    );

    writeFileSync(join(path, "broken.json"), JSON.stringify({ silver: { id: "silver", rate: 1, per: 1 } }));
    writeFileSync(join(path, "gold.json"), JSON.stringify({ id: "golden", rate: 9, quota_maxx: 1, acces_rights: {} }));
    const told = loadPolicies({ policy_path: path });
    assert.deepEqual([...told.policies.keys()], ["gold"], "a map by id is no policy that opens everything");
    assert.deepEqual(
      told.problems.map(({ level, path, message }) => [level, path, message.replace(/^.*(did you mean|: )/, "$1")]),
      [
        ["error", "$.silver", ": move what stands here into silver.json, without its name"],
        ["warning", "$.quota_maxx", "did you mean quota_max?"],
        ["warning", "$.acces_rights", "did you mean access_rights?"],
        ["warning", "$.id", ': keys must say "gold"'],
        ["warning", "$.per", "must be above 0, in seconds, where a rate is set"],
      ],
    );

    assert.equal(loadPolicies({ policy_path: join(folder, "none") }).problems.length, 1);
    assert.equal(loadPolicies({}).policies.size, 0);
  });
});
