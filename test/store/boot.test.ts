// Responsible for: what an earlier boot of the host left of the embedded store. Must not know: counters.

import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { EmbeddedStore } from "../../src/shared/store/embedded.js";

test("what is not safe from a loss of power is of one boot: that of an earlier one is removed, keys stay", async (t) => {
  const path = mkdtempSync(join(tmpdir(), "sluice-boot-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  const earlier = join(path, "volatile-00000000");
  mkdirSync(earlier);
  writeFileSync(join(earlier, "data.mdb"), "damaged");
  const first = new EmbeddedStore({ path, announce: () => undefined });
  await first.open();
  await first.put("apikey-x", Buffer.from("kept"));
  assert.ok(!existsSync(earlier));
  const second = new EmbeddedStore({ path, announce: () => undefined });
  await second.open();
  assert.equal(Buffer.from((await second.get("apikey-x")) ?? []).toString(), "kept");
  assert.equal(readdirSync(path).filter((name) => name.startsWith("volatile")).length, 1);
  await second.close();
  await first.close();
});

test("folders and files of the store are for its user alone; those that are there stay as they are", async (t) => {
  const path = mkdtempSync(join(tmpdir(), "sluice-modes-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  chmodSync(path, 0o755);
  const modeOf = (...names: string[]) => statSync(join(path, ...names)).mode & 0o777;
  const once = async () => {
    const store = new EmbeddedStore({ path });
    await store.open();
    assert.equal(store.health().ok, true);
    await store.close();
  };
  await once();
  for (const folder of readdirSync(path)) {
    assert.equal(modeOf(folder), 0o700, folder);
    for (const name of readdirSync(join(path, folder))) assert.equal(modeOf(folder, name), 0o600, name);
  }
  chmodSync(join(path, "durable"), 0o750);
  await once();
  assert.equal(modeOf("durable"), 0o750);
});
