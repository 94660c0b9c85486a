// Responsible for: the guard against guessing, and the memory of keys that are nobody's. Time is given.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeSession } from "../../src/shared/keys/codec.js";
import { KEYS_CHANGED } from "../../src/shared/store/store.js";
import { Guessing } from "../../src/worker/admit/guessing.js";
import { SessionCache } from "../../src/worker/admit/session-cache.js";
import { SessionRef } from "../../src/worker/admit/session-ref.js";
import { UnknownKeys } from "../../src/worker/admit/unknown-keys.js";
import { MemoryStore } from "./memory-store.js";

function guard(limit: number): Guessing {
  const guessing = new Guessing();
  guessing.limit = limit;
  return guessing;
}

describe("the guard against guessing", () => {
  test("lets so many be tried in a second, tells how long the rest has to wait, and begins anew after it", () => {
    const guessing = guard(3);
    for (let n = 0; n < 3; n++) {
      assert.equal(guessing.restOf("10.0.0.1", 100 + n), 0);
      guessing.note("10.0.0.1", 100 + n);
    }
    assert.equal(guessing.restOf("10.0.0.1", 103), 997);
    assert.equal(guessing.restOf("10.0.0.1", 1_099), 1);
    assert.equal(guessing.restOf("10.0.0.1", 1_100), 0);
    guessing.note("10.0.0.1", 1_100);
    assert.equal(guessing.restOf("10.0.0.1", 1_101), 0);
  });

  test("counts each address apart, and the addresses of one IPv6 network together", () => {
    const guessing = guard(1);
    guessing.note("10.0.0.1", 0);
    assert.equal(guessing.restOf("10.0.0.2", 0), 0);
    guessing.note("2001:db8:1:2::1", 0);
    assert.ok(guessing.restOf("2001:db8:1:2::ffff", 0) > 0);
    assert.equal(guessing.restOf("2001:db8:1:3::1", 0), 0);
  });

  test("is not there at 0", () => {
    const guessing = guard(0);
    for (let n = 0; n < 10_000; n++) guessing.note("10.0.0.1", 0);
    assert.equal(guessing.restOf("10.0.0.1", 0), 0);
  });

  test("an address that goes on guessing is not forgotten among very many others", () => {
    const guessing = guard(1);
    for (let n = 0; n < 100_000; n++) {
      guessing.note(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, 0);
      if (n % 1_000 === 0) guessing.note("192.0.2.1", 0);
    }
    assert.ok(guessing.restOf("192.0.2.1", 0) > 0);
  });
});

describe("the memory of keys that are nobody's", () => {
  const ref = (name: string): SessionRef => new SessionRef(name, name, "org");

  test("is bounded, and tells what leaves", () => {
    const keys = new UnknownKeys(100);
    const refs = Array.from({ length: 1_000 }, (_, n) => ref(`k${n}`));
    for (const each of refs) keys.set(each.key, each);
    assert.ok(keys.size <= 100);
    assert.equal(refs.filter((each) => !each.gone).length, keys.size);
    assert.equal(keys.get("k999"), refs[999]);
    assert.equal(keys.get("k0"), undefined);
  });

  test("forgets one, and all, and tells them", () => {
    const keys = new UnknownKeys(10);
    const [one, two] = [ref("one"), ref("two")];
    keys.set("one", one);
    keys.set("two", two);
    keys.delete("one");
    assert.deepEqual([one.gone, two.gone, keys.size], [true, false, 1]);
    keys.clear();
    assert.deepEqual([two.gone, keys.size], [true, 0]);
  });

  test("keeps long names as digests, and finds and forgets them by what they are", async () => {
    const store = new MemoryStore();
    const sessions = new SessionCache({ store, policies: new Map(), now: () => 0 });
    const long = "k".repeat(2_000);
    for (const name of ["short", "h".repeat(64), long]) {
      const unknown = await sessions.load("org", [name]);
      assert.equal(unknown.session, undefined);
      assert.ok(unknown.key.length <= "org\nsha256:".length + 64 && unknown.name.length <= 71, name);
      assert.equal(sessions.peek("org", [name]), unknown);
    }
    assert.equal((await sessions.load("org", ["h".repeat(64)])).name, "h".repeat(64));
    assert.notEqual(await sessions.load("org", [`${long}x`]), sessions.peek("org", [long]));
    const before = sessions.peek("org", [long]);
    await store.put(`apikey-${long}`, encodeSession({ org_id: "org" }, "msgpack"));
    sessions.heard({ command: KEYS_CHANGED, payload: long });
    assert.equal(before?.gone, true);
    assert.equal((await sessions.load("org", [long])).session?.org_id, "org");
    assert.equal(sessions.unknownSize, 3);
    sessions.close();
  });
});
