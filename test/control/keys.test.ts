// `/tyk/keys…` against both homes: what Tyk's own api_test.go asks of it, and what an operator must never be told.

import assert from "node:assert/strict";
import { test } from "node:test";
import { hashText } from "../../src/shared/keys/hash.js";
import type { Policy } from "../../src/shared/model/policy.js";
import { limitsOf } from "../../src/worker/admit/limits/specs.js";
import { definition, onBothHomes, session } from "./desk.js";

onBothHomes("keys", (open) => {
  test("a key is made, shown, changed, listed and removed", async () => {
    const desk = open({ enable_hashed_keys_listing: true });
    desk.load("orders");
    const made = await desk.ask("POST", "/tyk/keys/create", session(["orders"]));
    assert.equal(made.status, 200);
    assert.deepEqual([made.body.status, made.body.action], ["ok", "added"]);
    const { key, key_hash: hash } = made.body;
    assert.equal(hash, hashText(key, "sha256"));
    assert.deepEqual(desk.told.at(-1), { command: "KeySpaceUpdateNotification", payload: hash });

    const shown = await desk.ask("GET", `/tyk/keys/${encodeURIComponent(key)}`);
    assert.equal(shown.status, 200);
    assert.deepEqual([shown.body.rate, shown.body.org_id], [10, "acme"]);
    assert.deepEqual((await desk.ask("GET", `/tyk/keys/${hash}?hashed=true`)).body, shown.body);

    const change = await desk.ask("PUT", `/tyk/keys/${key}`, session(["orders"], { rate: 99 }));
    assert.deepEqual([change.status, change.body], [200, { key, status: "ok", action: "modified" }]);
    const changed = (await desk.ask("GET", `/tyk/keys/${key}`)).body;
    assert.deepEqual([changed.rate, changed.date_created], [99, shown.body.date_created]);

    assert.deepEqual((await desk.ask("GET", "/tyk/keys")).body, { keys: [hash] });
    assert.deepEqual((await desk.ask("GET", "/tyk/keys/?api_id=orders")).body, { keys: [hash] });
    assert.deepEqual((await desk.ask("GET", "/tyk/keys?api_id=other")).body, { keys: [] });

    const gone = await desk.ask("DELETE", `/tyk/keys/${key}`);
    assert.deepEqual([gone.status, gone.body], [200, { key, status: "ok", action: "deleted" }]);
    const missing = await desk.ask("GET", `/tyk/keys/${key}`);
    assert.deepEqual([missing.status, missing.body], [404, { status: "error", message: "Key not found" }]);
    const again = await desk.ask("DELETE", `/tyk/keys/${key}`);
    assert.deepEqual([again.status, again.body.message], [404, "There is no such key found"]);
    const nothing = await desk.ask("PUT", `/tyk/keys/${key}`, session(["orders"]));
    assert.deepEqual([nothing.status, nothing.body.message], [404, "Key is not found"]);
  });

  test("a key of the operator's own name is found by it, with and without its organisation", async () => {
    const desk = open();
    desk.load("orders");
    const made = await desk.ask("POST", "/tyk/keys/customer-7", session(["orders"]));
    assert.equal(made.body.action, "added");
    for (const query of ["?org_id=acme", "?api_id=orders", ""])
      assert.equal((await desk.ask("GET", `/tyk/keys/customer-7${query}`)).status, 200, query);
    assert.equal((await desk.ask("GET", `/tyk/keys/${made.body.key}`)).status, 200);
    assert.equal((await desk.ask("PUT", "/tyk/keys/customer-7", session(["orders"]))).status, 200);
    assert.equal((await desk.ask("DELETE", "/tyk/keys/customer-7?org_id=acme")).status, 200);
  });

  test("a name that two organisations use means none of their keys without the organisation", async () => {
    const desk = open();
    desk.load("orders");
    desk.load("bills", { org_id: "other" });
    await desk.ask("POST", "/tyk/keys/shared", session(["orders"]));
    await desk.ask("POST", "/tyk/keys/shared", session(["bills"], { org_id: "other" }));
    assert.equal((await desk.ask("GET", "/tyk/keys/shared")).status, 404);
    assert.equal((await desk.ask("GET", "/tyk/keys/shared?org_id=other")).body.org_id, "other");
  });

  test("a custom key below min_token_length is refused", async () => {
    const desk = open({ min_token_length: 10 });
    desk.load("orders");
    assert.equal((await desk.ask("POST", "/tyk/keys/too-short", session(["orders"]))).status, 400);
    assert.equal((await desk.ask("POST", "/tyk/keys/long-enough", session(["orders"]))).status, 200);
    assert.equal((await desk.ask("POST", `/tyk/keys/${"x".repeat(600)}`, session(["orders"]))).status, 400);
  });

  test("a key without rights is made only where master keys are allowed", async () => {
    const without = { org_id: "acme", rate: 1, per: 1 };
    const strict = open();
    const refused = await strict.ask("POST", "/tyk/keys/create", without);
    const message = "Failed to create key, keys must have at least one Access Rights record set.";
    assert.deepEqual([refused.status, refused.body], [400, { status: "error", message }]);
    const other = await strict.ask("POST", "/tyk/keys/master", without);
    assert.equal(other.status, 500);
    assert.equal(other.body.message, "Failed to create key, ensure security settings are correct.");
    assert.equal((await open({ allow_master_keys: true }).ask("POST", "/tyk/keys/create", without)).status, 200);
  });

  test("taking a key's policies away does not make it a key for everything", async () => {
    const desk = open();
    desk.load("orders");
    desk.policies.set("gold", {
      id: "gold",
      org_id: "acme",
      rate: 5,
      per: 1,
      access_rights: { orders: { versions: [] } },
    });
    const made = await desk.ask("POST", "/tyk/keys/create", { org_id: "acme", apply_policies: ["gold"] });
    assert.equal(made.status, 200);
    const emptied = await desk.ask("PUT", `/tyk/keys/${made.body.key}`, { org_id: "acme", apply_policies: [] });
    assert.equal(emptied.status, 500);
    const kept = await desk.ask("GET", `/tyk/keys/${made.body.key}`);
    assert.deepEqual(kept.body.apply_policies, ["gold"]);
  });

  test("what can never be meant is refused with its place, in a new key and in a changed one", async () => {
    const desk = open();
    desk.load("orders");
    const { key } = (await desk.ask("POST", "/tyk/keys/create", session(["orders"]))).body;
    const endless = { orders: { limit: { rate: 5 } } };
    for (const [more, place] of [
      [{ rate: -5, per: 1 }, "$.rate must not be negative"],
      [{ rate: 5, per: 0 }, "$.per must be above 0"],
      [{ rate: 5, per: -1 }, "$.per must be above 0"],
      [{ quota_max: -2 }, "$.quota_max must not be negative"],
      [{ access_rights: endless }, "$.access_rights.orders.limit.per must be above 0"],
    ] as const) {
      for (const [method, path] of [
        ["POST", "/tyk/keys/create"],
        ["POST", "/tyk/keys/custom-key"],
        ["PUT", `/tyk/keys/${key}`],
      ] as const) {
        const { status, body } = await desk.ask(method, path, session(["orders"], more));
        assert.equal(status, 400, path);
        assert.ok(body.message.includes(place), body.message);
      }
    }
    const unlimited = session(["orders"], { rate: -1, per: -1, quota_max: -1 });
    assert.equal((await desk.ask("POST", "/tyk/keys/create", unlimited)).status, 200, "Tyk's way of saying no limit");
    const unread = await desk.ask("POST", "/tyk/keys/create", { rate: "fast" });
    assert.deepEqual([unread.status, unread.body.message], [500, "Unmarshalling failed: $.rate must be a number"]);
    const misspelt = session(["orders"], { quota_maxx: 5 });
    assert.equal((await desk.ask("POST", "/tyk/keys/create", misspelt)).status, 200, "accepted, as in Tyk");
  });

  test("what is left of a quota is live where a policy gives it", async () => {
    const desk = open();
    desk.load("orders");
    const gold: Policy = { id: "gold", org_id: "acme", quota_max: 10, quota_renewal_rate: 60 };
    desk.policies.set("gold", { ...gold, access_rights: { orders: { versions: [] } } });
    const made = await desk.ask("POST", "/tyk/keys/create", { org_id: "acme", apply_policies: ["gold"] });
    const { key, key_hash: keyName } = made.body;
    const shown = async () => (await desk.ask("GET", `/tyk/keys/${key}`)).body;
    const perApi = { scope: "", limit: (await shown()).access_rights.orders.limit };
    // As a worker counts it.
    const { specs } = limitsOf({ keyName, perApi }, { orgId: "acme", apiId: "orders" }, "leased");
    const { counters } = await desk.keyspace.open();
    const ask = { holder: "w", aligned: false, need: 4, want: 0, held: 0, mine: 0, birth: 0, end: 0 };
    for (const { key: name, limit, perMs } of specs)
      await counters.exchange([{ ...ask, key: name, limit, perMs }], true);
    const used = await shown();
    assert.deepEqual([used.quota_remaining, used.access_rights.orders.limit.quota_remaining], [6, 6]);
    assert.ok(Math.abs(used.quota_renews - Date.now() / 1_000 - 60) < 30);
    await desk.ask("PUT", `/tyk/keys/${key}`, { org_id: "acme", apply_policies: ["gold"] });
    assert.equal((await shown()).quota_remaining, 10, "an update gives the quota anew");
  });

  test("policies are assigned, shown in the key and refused when they are unknown", async () => {
    const desk = open();
    desk.load("orders");
    desk.policies.set("gold", {
      id: "gold",
      org_id: "acme",
      rate: 77,
      per: 1,
      access_rights: { orders: { versions: [] } },
    });
    const { key } = (await desk.ask("POST", "/tyk/keys/create", session(["orders"]))).body;
    for (const body of [{ policy: "gold" }, { apply_policies: ["gold"] }]) {
      const assigned = await desk.ask("POST", `/tyk/keys/policy/${key}`, body);
      assert.deepEqual([assigned.status, assigned.body], [200, { key, status: "ok", action: "updated" }]);
      assert.equal((await desk.ask("GET", `/tyk/keys/${key}`)).body.rate, 77);
    }
    for (const body of ["{", "[]", { policy: 7 }, { apply_policies: "gold" }]) {
      const broken = await desk.ask("POST", `/tyk/keys/policy/${key}`, body);
      assert.deepEqual([broken.status, broken.body.message], [400, "Couldn't decode instruction"]);
    }
    const unknown = await desk.ask("POST", `/tyk/keys/policy/${key}`, { policy: "none" });
    assert.match(unknown.body.message, /policy not found: "none"/);
    assert.equal((await desk.ask("POST", "/tyk/keys/policy/nobody", { policy: "gold" })).status, 404);
    const failed = await desk.ask("POST", "/tyk/keys/create", { org_id: "acme", apply_policies: ["none"] });
    assert.deepEqual([failed.status, failed.body.message], [500, 'Failed to create key - policy not found: "none"']);
  });

  test("a policy's key_expires_in counts from the making of a key", async () => {
    const desk = open();
    desk.load("orders");
    desk.policies.set("trial", { id: "trial", org_id: "acme", key_expires_in: 3_600, access_rights: { orders: {} } });
    const before = Math.floor(Date.now() / 1_000);
    const { key } = (await desk.ask("POST", "/tyk/keys/create", { org_id: "acme", apply_policies: ["trial"] })).body;
    const { expires } = (await desk.ask("GET", `/tyk/keys/${key}`)).body;
    assert.ok(expires >= before + 3_600 && expires <= before + 3_700, String(expires));
  });

  test("an expiry in the past changes nothing in a key that exists", async () => {
    const desk = open();
    desk.load("orders");
    const later = Math.floor(Date.now() / 1_000) + 1_000;
    const { key } = (await desk.ask("POST", "/tyk/keys/create", session(["orders"], { expires: later }))).body;
    await desk.ask("PUT", `/tyk/keys/${key}`, session(["orders"], { expires: 1_000_000 }));
    assert.equal((await desk.ask("GET", `/tyk/keys/${key}`)).body.expires, later);
    await desk.ask("PUT", `/tyk/keys/${key}`, session(["orders"], { expires: -1 }));
    assert.equal((await desk.ask("GET", `/tyk/keys/${key}`)).body.expires, -1);
  });

  test("a preview shows what would be and stores nothing", async () => {
    const desk = open({ enable_hashed_keys_listing: true });
    desk.policies.set("gold", { id: "gold", org_id: "acme", rate: 77, per: 1, access_rights: { orders: {} } });
    const shown = await desk.ask("POST", "/tyk/keys/preview", { org_id: "acme", apply_policies: ["gold"] });
    assert.deepEqual([shown.status, shown.body.rate], [200, 77]);
    assert.deepEqual((await desk.ask("GET", "/tyk/keys")).body, { keys: [] });
    assert.equal((await desk.ask("POST", "/tyk/keys/preview", { apply_policies: ["none"] })).status, 400);
  });

  test("a user's password is hashed, hidden, kept when it is not given, and hashed again when it changes", async () => {
    const desk = open();
    desk.load("orders");
    const user = session(["orders"], { basic_auth_data: { password: "open:sesame" } });
    const made = await desk.ask("POST", "/tyk/keys/ann", user);
    assert.equal(made.body.key, "");
    const stored = async () =>
      (await (await desk.keyspace.open()).sessions.findUser("acme", "ann"))!.session.basic_auth_data!;
    const first = await stored();
    assert.equal(first.hash_type, "bcrypt");
    assert.match(first.password!, /^\$2[aby]\$10\$/);
    const shown = await desk.ask("GET", "/tyk/keys/ann?username=true&org_id=acme");
    assert.equal(shown.body.basic_auth_data.password, "");
    assert.equal((await desk.ask("GET", `/tyk/keys/${made.body.key_hash}?hashed=1`)).status, 200);

    await desk.ask("PUT", "/tyk/keys/ann?org_id=acme", shown.body);
    assert.deepEqual(await stored(), first);
    await desk.ask("PUT", "/tyk/keys/ann?org_id=acme", { ...user, basic_auth_data: first });
    assert.deepEqual(await stored(), first);
    await desk.ask("PUT", "/tyk/keys/ann?org_id=acme", user);
    assert.notEqual((await stored()).password, first.password);
    const long = await desk.ask(
      "POST",
      "/tyk/keys/bob",
      session(["orders"], { basic_auth_data: { password: "x".repeat(73) } }),
    );
    assert.equal(long.status, 400);
  });

  test("basic_auth_hash_key_function chooses how passwords are stored", async () => {
    const desk = open({ basic_auth_hash_key_function: "sha256" });
    desk.load("orders");
    await desk.ask("POST", "/tyk/keys/ann", session(["orders"], { basic_auth_data: { password: "p" } }));
    const { sessions } = await desk.keyspace.open();
    const found = await sessions.findUser("acme", "ann");
    assert.deepEqual(found?.session.basic_auth_data, { password: hashText("p", "sha256"), hash_type: "sha256" });
  });

  test("a quota shows what is left and begins anew when the key is written, unless suppress_reset says not", async () => {
    const desk = open();
    desk.load("orders");
    const limited = session(["orders"], { quota_max: 10, quota_renewal_rate: 60 });
    const { key, key_hash } = (await desk.ask("POST", "/tyk/keys/create", limited)).body;
    const { counters } = await desk.keyspace.open();
    const use = (need: number) =>
      counters.exchange(
        [
          {
            key: `quota-${key_hash}`,
            holder: "w",
            limit: 10,
            perMs: 60_000,
            aligned: false,
            need,
            want: 0,
            held: 0,
            mine: 0,
            birth: 0,
            end: 0,
          },
        ],
        true,
      );
    const left = async () => (await desk.ask("GET", `/tyk/keys/${key}`)).body.quota_remaining;
    assert.equal(await left(), 10);
    await use(4);
    assert.equal(await left(), 6);
    const renews = (await desk.ask("GET", `/tyk/keys/${key}`)).body.quota_renews;
    assert.ok(Math.abs(renews - Date.now() / 1_000 - 60) < 30);
    await desk.ask("PUT", `/tyk/keys/${key}?suppress_reset=1`, limited);
    assert.equal(await left(), 6);
    await desk.ask("PUT", `/tyk/keys/${key}`, limited);
    assert.equal(await left(), 10);
  });

  test("dont_set_quota_on_create leaves the quota as it is", async () => {
    const desk = open();
    desk.load("orders", { dont_set_quota_on_create: true });
    const limited = session(["orders"], { quota_max: 10, quota_renewal_rate: 60 });
    const { key, key_hash } = (await desk.ask("POST", "/tyk/keys/create", limited)).body;
    const { counters } = await desk.keyspace.open();
    await counters.exchange(
      [
        {
          key: `quota-${key_hash}`,
          holder: "w",
          limit: 10,
          perMs: 60_000,
          aligned: false,
          need: 3,
          want: 0,
          held: 0,
          mine: 0,
          birth: 0,
          end: 0,
        },
      ],
      true,
    );
    await desk.ask("PUT", `/tyk/keys/${key}`, limited);
    assert.equal((await desk.ask("GET", `/tyk/keys/${key}`)).body.quota_remaining, 7);
  });

  test("hashes have the length of their function, and what is not known counts as no setting", async () => {
    for (const [hash_key_function, length] of [
      ["murmur32", 8],
      ["murmur64", 16],
      ["murmur128", 32],
      ["sha256", 64],
    ] as const) {
      const desk = open({ hash_key_function });
      desk.load("orders");
      const made = await desk.ask("POST", "/tyk/keys/create", session(["orders"]));
      assert.equal(made.body.key_hash.length, length, hash_key_function);
      assert.equal((await desk.ask("GET", `/tyk/keys/${made.body.key}`)).status, 200);
    }
  });

  test("keys are listed by hash only where that is allowed, and shown by hash only where they are hashed", async () => {
    const hashed = open();
    const refused = await hashed.ask("GET", "/tyk/keys");
    assert.equal(refused.status, 404);
    assert.equal(refused.body.message, "Hashed key listing is disabled in config (enable_hashed_keys_listing)");

    const plain = open({ hash_keys: false });
    plain.load("orders");
    const made = await plain.ask("POST", "/tyk/keys/create", session(["orders"]));
    assert.equal("key_hash" in made.body, false);
    assert.deepEqual((await plain.ask("GET", "/tyk/keys?filter=acme")).body, { keys: [made.body.key] });
    assert.deepEqual((await plain.ask("GET", "/tyk/keys?filter=nobody")).body, { keys: [] });
    const needsFilter = await plain.ask("GET", "/tyk/keys?api_id=orders");
    assert.match(needsFilter.body.message, /^The 'filter' parameter \(Org ID\) is required/);
    const byHash = await plain.ask("GET", `/tyk/keys/${made.body.key}?hashed=true`);
    assert.deepEqual(
      [byHash.status, byHash.body.message],
      [400, "Key requested by hash but key hashing is not enabled"],
    );
  });

  test("a certificate has one key, which keeps needing one", async () => {
    const desk = open();
    desk.load("orders");
    const bound = session(["orders"], { certificate: "acme0123" });
    const made = await desk.ask("POST", "/tyk/keys/create", bound);
    assert.equal(made.status, 200);
    const twice = await desk.ask("POST", "/tyk/keys/create", bound);
    assert.equal(twice.status, 500);
    assert.equal(
      twice.body.message,
      `Failed to create key - Key with given certificate already found:${made.body.key}`,
    );
    const path = `/tyk/keys/${made.body.key}`;
    const without = await desk.ask("PUT", path, session(["orders"]));
    assert.deepEqual([without.status, without.body.message], [400, "Key cannot be used without a certificate"]);
    const other = await desk.ask("PUT", path, session(["orders"], { certificate: "acme9999" }));
    assert.equal(other.body.message, "Key must be used with an existent certificate");
    const { sessions } = await desk.keyspace.open();
    await sessions.saveCertificate("acme", "acme9999", "pem");
    assert.equal((await desk.ask("PUT", path, session(["orders"], { certificate: "acme9999" }))).status, 200);
  });

  test("limits that say nothing are dropped from the rights", async () => {
    const desk = open();
    desk.load("orders");
    const access_rights = {
      orders: { api_id: "orders", limit: { rate: 0, per: 0, quota_max: 0 } },
      bills: { api_id: "bills", limit: { rate: 5, per: 1 } },
    };
    const { key_hash } = (await desk.ask("POST", "/tyk/keys/create", { org_id: "acme", access_rights })).body;
    const { sessions } = await desk.keyspace.open();
    const rights = (await sessions.findByName(key_hash))?.session.access_rights;
    assert.deepEqual([rights?.["orders"]?.limit, rights?.["bills"]?.limit], [undefined, { rate: 5, per: 1 }]);
  });

  test("a change that a worker has not applied in time says so", async () => {
    const desk = open();
    desk.load("orders");
    const made = await desk.ask("POST", "/tyk/keys/create", session(["orders"]));
    assert.equal(made.headers.get("x-sluice-applied"), null);
    desk.applied = false;
    const late = await desk.ask("DELETE", `/tyk/keys/${made.body.key}`);
    assert.deepEqual([late.status, late.headers.get("x-sluice-applied")], [200, "pending"]);
  });

  test("what an API says about lifetimes bounds its keys", async () => {
    const desk = open();
    desk.load("orders", { session_lifetime: 60 });
    desk.load("bills");
    const one = (await desk.ask("POST", "/tyk/keys/create", session(["orders"]))).body;
    const both = (await desk.ask("POST", "/tyk/keys/create", session(["orders", "bills"]))).body;
    const { store } = await desk.keyspace.open();
    const left = await store.ttl(`apikey-${one.key_hash}`);
    assert.ok(left > 30_000 && left <= 60_000, String(left));
    assert.equal(await store.ttl(`apikey-${both.key_hash}`), -1);
  });

  test("organisations are stored, shown and removed, where an API names them", async () => {
    const desk = open();
    desk.load("orders");
    const saved = await desk.ask("POST", "/tyk/org/keys/acme", { org_id: "acme", quota_max: 5 });
    assert.deepEqual(saved.body, { key: "acme", status: "ok", action: "added" });
    assert.equal((await desk.ask("PUT", "/tyk/org/keys/acme?reset_quota=1", { quota_max: 6 })).body.action, "modified");
    assert.equal((await desk.ask("GET", "/tyk/org/keys/acme")).body.quota_max, 6);
    assert.deepEqual((await desk.ask("GET", "/tyk/org/keys")).body, { keys: ["acme"] });
    assert.equal((await desk.ask("DELETE", "/tyk/org/keys/acme")).body.action, "deleted");
    assert.equal((await desk.ask("GET", "/tyk/org/keys/acme")).body.message, "Org not found");
    assert.equal((await desk.ask("DELETE", "/tyk/org/keys/acme")).status, 404);
    const stranger = await desk.ask("POST", "/tyk/org/keys/stranger", {});
    assert.deepEqual([stranger.status, stranger.body.message], [404, "No such organisation found in Active API list"]);
  });

  test("a reload of every replica is asked for over the store", async () => {
    const desk = open();
    assert.deepEqual((await desk.ask("GET", "/tyk/reload/group")).body, { status: "ok", message: "" });
    for (let turn = 0; turn < 1_000 && desk.heard.length === 0; turn += 1)
      await new Promise((next) => setImmediate(next));
    assert.deepEqual(desk.heard[0], { command: "GroupReload", payload: "" });
  });
});

onBothHomes("a definition", (open) => {
  test("is written, replaced and removed as a file, and shown once it is loaded", async () => {
    const desk = open();
    const added = await desk.ask("POST", "/tyk/apis", definition("orders"));
    assert.deepEqual([added.status, added.body], [200, { key: "orders", status: "ok", action: "added" }]);
    assert.equal((await desk.ask("GET", "/tyk/apis/orders")).status, 404);
    desk.load("orders");
    assert.deepEqual((await desk.ask("GET", "/tyk/apis/orders")).body, definition("orders"));
  });
});
