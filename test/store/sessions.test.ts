import assert from "node:assert/strict";
import { before, test } from "node:test";
import { keyRules } from "../../src/shared/keys/token.js";
import { Sessions } from "../../src/shared/store/sessions.js";
import type { Store } from "../../src/shared/store/store.js";
import { onBothStores } from "./both-stores.js";

onBothStores("sessions", (home) => {
  let store: Store;
  const make = (options: Partial<ConstructorParameters<typeof Sessions>[0]> = {}): Sessions =>
    new Sessions({ store, keys: keyRules({}), encoding: "msgpack", lifetime: {}, ...options });
  before(async () => {
    store = await home.open();
  });

  test("are found by token, by custom id, by user and by hash, and gone after removal", async () => {
    const sessions = make();
    const token = sessions.tokenFor("default", "me");
    const name = sessions.nameOf(token);
    assert.equal(await sessions.save(name, { org_id: "default", alias: "x" }, { when: "absent" }), true);
    assert.equal(await sessions.save(name, {}, { when: "absent" }), false);
    for (const found of [
      await sessions.find("default", token),
      await sessions.find("default", "me"),
      await sessions.findUser("default", "me"),
      await sessions.findByName(name),
    ]) {
      assert.deepEqual(found, { name, session: { org_id: "default", alias: "x" } });
    }
    assert.equal(await sessions.find("other", "me"), undefined);
    assert.equal(await sessions.remove(name), true);
    assert.equal(await sessions.remove(name), false);
    assert.equal(await sessions.find("default", token), undefined);
  });

  test("written in Tyk's encoding are JSON, and both are read", async () => {
    const tyk = make({ encoding: "json" });
    await tyk.save("as-json", { rate: 5, last_updated: 7 });
    const raw = Buffer.from((await store.get("apikey-as-json")) ?? []).toString();
    assert.deepEqual(JSON.parse(raw), { rate: 5, last_updated: "7" });
    assert.equal((await make().findByName("as-json"))?.session.rate, 5);
  });

  test("stay as long as the rules say", async () => {
    const sessions = make({ lifetime: { force_global_session_lifetime: true, global_session_lifetime: 60 } });
    await sessions.save("with-end", {});
    const left = await store.ttl("apikey-with-end");
    assert.ok(left > 0 && left <= 60_000);
    await make().save("with-end", {});
    assert.equal(await store.ttl("apikey-with-end"), -1);
  });

  test("are listed, broken ones left out", async () => {
    const sessions = make();
    await Promise.all(Array.from({ length: 30 }, (_, n) => sessions.save(`listed-${n}`, { alias: String(n) })));
    await store.put("apikey-listed-broken", Buffer.from("{"));
    const names: string[] = [];
    for await (const page of sessions.names()) names.push(...page.filter((name) => name.startsWith("listed-")));
    assert.equal(names.length, 31);
    let found = 0;
    for await (const page of sessions.all()) found += page.filter(({ name }) => name.startsWith("listed-")).length;
    assert.equal(found, 30);
  });

  test("of organisations are apart from keys", async () => {
    const sessions = make();
    await sessions.saveOrganisation("o1", { quota_max: 5 });
    assert.equal((await sessions.organisation("o1"))?.quota_max, 5);
    assert.deepEqual(await sessions.organisations(), ["o1"]);
    assert.equal(await sessions.removeOrganisation("o1"), true);
    assert.equal(await sessions.organisation("o1"), undefined);
  });

  test("certificates are kept with the index of their organisation", async () => {
    const sessions = make();
    assert.equal(await sessions.saveCertificate("o", "oabc", "PEM"), true);
    assert.equal(await sessions.saveCertificate("o", "oabc", "PEM"), false);
    assert.equal(await sessions.certificate("oabc"), "PEM");
    assert.deepEqual(await sessions.certificates("o"), ["oabc"]);
    assert.equal(await sessions.removeCertificate("o", "oabc"), true);
    assert.deepEqual(await sessions.certificates("o"), []);
  });
});
