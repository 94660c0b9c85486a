// Responsible for: what an earlier boot of the host left of the embedded store. Must not know: counters.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
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
