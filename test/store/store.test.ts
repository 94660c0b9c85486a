import assert from "node:assert/strict";
import { before, test } from "node:test";
import { KEYS_CHANGED, MAX_NAME_BYTES, type Store } from "../../src/shared/store/store.js";
import { heard, onBothStores } from "./both-stores.js";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : new TextDecoder().decode(value);

async function names(store: Store, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const page of store.list(prefix)) found.push(...page);
  return found.sort();
}

onBothStores("the store", (home) => {
  let store: Store;
  let other: Store;
  before(async () => {
    store = await home.open();
    other = await home.open();
  });

  test("gives back the bytes that were put, also to another client", async () => {
    assert.equal(await store.put("apikey-a", new Uint8Array([0, 255, 10, 13])), true);
    assert.deepEqual([...((await other.get("apikey-a")) ?? [])], [0, 255, 10, 13]);
    assert.equal(await store.get("apikey-none"), undefined);
  });

  test("answers many names in their order", async () => {
    await store.put("m-1", bytes("one"));
    await store.put("m-3", bytes("three"));
    assert.deepEqual((await other.getMany(["m-3", "m-2", "m-1"])).map(text), ["three", undefined, "one"]);
    assert.deepEqual(await store.getMany([]), []);
  });

  test("writes only when absent or present as asked", async () => {
    assert.equal(await store.put("w", bytes("1"), { when: "present" }), false);
    assert.equal(await store.put("w", bytes("1"), { when: "absent" }), true);
    assert.equal(await store.put("w", bytes("2"), { when: "absent" }), false);
    assert.equal(text(await store.get("w")), "1");
    assert.equal(await store.put("w", bytes("2"), { when: "present" }), true);
    assert.equal(text(await store.get("w")), "2");
  });

  test("says whether a delete found anything", async () => {
    await store.put("d", bytes("x"));
    assert.equal(await other.delete("d"), true);
    assert.equal(await other.delete("d"), false);
    assert.equal(await store.get("d"), undefined);
  });

  test("knows the time a value has left", async () => {
    await store.put("t-ever", bytes("x"));
    await store.put("t-end", bytes("x"), { ttl: 60_000 });
    assert.equal(await store.ttl("t-ever"), -1);
    assert.equal(await store.ttl("t-none"), -2);
    const left = await store.ttl("t-end");
    assert.ok(left > 0 && left <= 60_000);
  });

  test("lists the names of a prefix and only these, over several pages", async () => {
    const wanted: string[] = [];
    for (let n = 0; n < 1_500; n++) wanted.push(`list-*[${n}]`);
    await Promise.all(wanted.map((name) => store.put(name, bytes("x"))));
    await store.put("list-x1", bytes("x"));
    await store.put("lisu", bytes("x"));
    assert.deepEqual(await names(other, "list-*["), wanted.sort());
    assert.deepEqual(await names(other, "nothing-here-"), []);
  });

  test("keeps ordered lists", async () => {
    await store.listAdd("cert-o-index", "raw-a");
    await store.listAdd("cert-o-index", "raw-b");
    await store.listAdd("cert-o-index", "raw-c");
    await other.listRemove("cert-o-index", "raw-b");
    assert.deepEqual(await store.listValues("cert-o-index"), ["raw-a", "raw-c"]);
    assert.deepEqual(await store.listValues("cert-none-index"), []);
  });

  test("tells every client of a change, the writer as well", async () => {
    // A subscription is on its way while `open` returns: repeat until the other has heard once.
    let known = false;
    const first = heard(other.subscribe.bind(other), (change) => change.payload === "warm").then(() => {
      known = true;
    });
    while (!known) {
      await store.publish({ command: KEYS_CHANGED, payload: "warm" });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await first;
    const wanted = (change: { payload: string }): boolean => change.payload === "k1,k2";
    const both = Promise.all([heard(store.subscribe.bind(store), wanted), heard(other.subscribe.bind(other), wanted)]);
    await store.publish({ command: KEYS_CHANGED, payload: "k1,k2" });
    for (const change of await both) assert.deepEqual(change, { command: KEYS_CHANGED, payload: "k1,k2" });
  });

  test("answers a name that no home could hold as absent", async () => {
    const long = "n".repeat(MAX_NAME_BYTES + 1);
    assert.equal(await store.get(long), undefined);
  });

  test("is healthy while it can be asked, and refuses after close", async () => {
    const third = await home.open();
    assert.equal(third.health().ok, true);
    await third.close();
    assert.equal(third.health().ok, false);
    await assert.rejects(third.get("apikey-a"), { name: "StoreDown" });
  });
});
