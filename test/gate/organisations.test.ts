// Responsible for: what an organisation's record says about all its keys and APIs (`enforce_org_quotas`).
// Governed by: spec 3.5, 5.8, 6.2. Windows are a day long, so that none ends while a test runs.

import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { type Caller, type Fields, token } from "./caller.js";
import { type Control, type Json, rights } from "./control.js";
import { keyed, onBothHomes, World } from "./world.js";

const { OK, PERMISSION_DENIED, RESOURCE_EXHAUSTED } = status;
const DAY = 86_400;

const definitions = (target: string): Json[] => [
  keyed("one", target, "/one.Api"),
  keyed("two", target, "/two.Api"),
  keyed("open", target, "/open.Api", { use_keyless: true }),
  keyed("other", target, "/other.Api", { use_keyless: true, org_id: "other" }),
];

onBothHomes("organisations", (home) => {
  let world: World;
  let caller: Caller;
  let control: Control;
  let fields: Fields;
  before(async () => {
    world = await World.start({ home, definitions, settings: { enforce_org_quotas: true }, workers: 2 });
    caller = world.caller();
    control = world.control();
    fields = token((await control.key({ access_rights: rights(["one", "two"]) })).key);
  });
  after(() => world?.stop());

  it("without a record are not restricted", async () => {
    assert.equal(await caller.code("/one.Api/M", fields), OK);
    assert.equal(await caller.code("/open.Api/M"), OK);
  });

  it("have one quota for all their keys and APIs, open ones too", async () => {
    await control.done("POST", "/tyk/org/keys/test?reset_quota=1", { quota_max: 3, quota_renewal_rate: DAY });
    const codes = [
      await caller.code("/one.Api/M", fields),
      await caller.code("/two.Api/M", fields),
      await caller.code("/open.Api/M"),
    ];
    assert.deepEqual(codes, [OK, OK, OK]);
    const refused = await caller.call("/one.Api/M", fields);
    assert.equal(refused.code, RESOURCE_EXHAUSTED);
    assert.equal(refused.message, "This organisation quota has been exceeded, please contact your API administrator");
    assert.equal((await caller.http("/open.Api/M")).status, 403);
    assert.equal(await caller.code("/other.Api/M"), OK);
    const shown = await control.done("GET", "/tyk/org/keys/test");
    assert.equal(shown["quota_remaining"], 0);
    assert.ok(Number(shown["quota_renews"]) > Date.now() / 1_000);
  });

  it("have a rate, and what it refuses says so", async () => {
    await control.done("PUT", "/tyk/org/keys/test?reset_quota=1", { rate: 2, per: DAY });
    const seen = [];
    for (let n = 0; n < 3; n++) seen.push(await caller.call("/open.Api/M"));
    assert.deepEqual(
      seen.map(({ code }) => code),
      [OK, OK, RESOURCE_EXHAUSTED],
    );
    assert.match(seen[2]?.message ?? "", /^This organisation rate limit has been exceeded/);
  });

  it("that are inactive are refused with every key and without, until they are active again", async () => {
    await control.done("PUT", "/tyk/org/keys/test", { is_inactive: true });
    for (const seen of [await caller.call("/one.Api/M", fields), await caller.call("/open.Api/M")]) {
      assert.equal(seen.code, PERMISSION_DENIED);
      assert.match(seen.message, /^this organisation access has been disabled/);
    }
    await control.done("DELETE", "/tyk/org/keys/test");
    assert.equal(await caller.code("/one.Api/M", fields), OK);
    assert.equal(await caller.code("/open.Api/M"), OK);
  });

  it("are no keys: their record's name opens nothing", async () => {
    await control.done("POST", "/tyk/org/keys/test", { access_rights: rights(["one"]) });
    for (const name of ["orgkey.test", "test"]) assert.notEqual(await caller.code("/one.Api/M", token(name)), OK);
  });
});
