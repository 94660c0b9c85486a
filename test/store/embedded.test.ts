import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { EmbeddedStore } from "../../src/shared/store/embedded.js";
import { EVERYTHING_CHANGED, type StoreChange } from "../../src/shared/store/store.js";

const WRITER = fileURLToPath(new URL("./embedded-writer.js", import.meta.url));

describe("the embedded store", () => {
  const folders: string[] = [];
  const folder = (): string => {
    const made = mkdtempSync(join(tmpdir(), "sluice-lmdb-"));
    folders.push(made);
    return made;
  };
  after(() => {
    for (const made of folders) rmSync(made, { recursive: true, force: true });
  });

  test("lets a value end at its time and sweeps it away", async () => {
    let now = 1_000;
    const store = new EmbeddedStore({ path: folder(), now: () => now });
    await store.open();
    await store.put("a", new Uint8Array([1]), { ttl: 500 });
    await store.put("b", new Uint8Array([1]), { ttl: 500 });
    await store.put("b", new Uint8Array([2]));
    now = 1_499;
    assert.ok(await store.get("a"));
    now = 1_500;
    assert.equal(await store.get("a"), undefined);
    assert.equal(await store.ttl("a"), -2);
    assert.equal(await store.put("a", new Uint8Array([3]), { when: "present" }), false);
    assert.equal(await store.sweep(), 1);
    assert.equal(await store.sweep(), 0);
    assert.deepEqual([...((await store.get("b")) ?? [])], [2]);
    await store.close();
  });

  test("loses no write of several processes, one of them killed in the middle", async () => {
    const path = folder();
    const writers = [1, 2, 3].map((n) => fork(WRITER, [path, String(n)], { stdio: "ignore" }));
    const ended = Promise.all(
      writers.map(
        (child) =>
          new Promise<void>((resolve, reject) =>
            child.once("exit", (code) => (code === 0 ? resolve() : reject(new Error(`writer ended with ${code}`)))),
          ),
      ),
    );
    const victim = fork(WRITER, [path, "victim", "endless"], { stdio: "ignore" });
    await new Promise((resolve) => victim.once("message", resolve));
    victim.kill("SIGKILL");
    await ended;
    const store = new EmbeddedStore({ path });
    await store.open();
    for (const n of [1, 2, 3]) {
      let found = 0;
      for await (const page of store.list(`writer-${n}-`)) found += page.length;
      assert.equal(found, 200);
    }
    assert.deepEqual((await store.listValues("shared")).filter((entry) => entry !== "victim").length, 600);
    await store.close();
  });

  test("replays missed changes in order and says so when there were too many", async () => {
    const path = folder();
    const writer = new EmbeddedStore({ path });
    const reader = new EmbeddedStore({ path });
    await writer.open();
    await reader.open();
    const seen: StoreChange[] = [];
    reader.subscribe((change) => seen.push(change));
    await writer.publish({ command: "A", payload: "1" });
    await writer.publish({ command: "A", payload: "2" });
    reader.poke();
    assert.deepEqual(
      seen.map((change) => change.payload),
      ["1", "2"],
    );
    seen.length = 0;
    for (let n = 0; n < 1_100; n++) void writer.publish({ command: "A", payload: "x" });
    await writer.publish({ command: "A", payload: "last" });
    reader.poke();
    assert.equal(seen[0]?.command === EVERYTHING_CHANGED || seen.length === 1_101, true);
    await writer.close();
    await reader.close();
  });

  test("reports a path it cannot open instead of throwing", async () => {
    const file = join(folder(), "not-a-folder");
    writeFileSync(file, "");
    const store = new EmbeddedStore({ path: file });
    await store.open();
    assert.equal(store.health().ok, false);
    await assert.rejects(store.get("a"), { name: "StoreDown" });
    await store.close();
  });
});
