/** What the admissions of real gateways say about their windows: counted by the window each was counted in, not by the clock. */

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { STAMPS_VARIABLE } from "../../src/worker/admit/limits/stamps.js";
import { token } from "../gate/caller.js";
import { type Json, rights } from "../gate/control.js";
import { paced, withCode } from "../gate/load.js";
import { keyed, onBothHomes, World } from "../gate/world.js";

const RATE = 100;
const PATH = "/stamped.Api/M";

const definitions = (target: string): Json[] => [keyed("stamped", target, "/stamped.Api")];

/** The number before the name of every line, in order. */
function stampsIn(folder: string): number[] {
  const lines = readdirSync(folder).flatMap((name) => readFileSync(join(folder, name), "latin1").split("\n"));
  return lines
    .filter((line) => line.includes("rate-limit-"))
    .map((line) => Number.parseFloat(line))
    .sort((a, b) => a - b);
}

onBothHomes("stamped admissions", (home) => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "sluice-stamps-"));
    process.env[STAMPS_VARIABLE] = folder;
  });
  after(() => {
    delete process.env[STAMPS_VARIABLE];
    rmSync(folder, { recursive: true, force: true });
  });

  /** Four times the rate for some windows, over two workers; answers how many calls passed. */
  async function load(settings: Json): Promise<number> {
    for (const name of readdirSync(folder)) rmSync(join(folder, name));
    const world = await World.start({ home, definitions, settings, workers: 2 });
    try {
      const { key } = await world.control().key({ access_rights: rights(["stamped"]), rate: RATE, per: 1 });
      const callers = Array.from({ length: 4 }, () => world.caller());
      const outcomes = await paced({ callers, path: PATH, fields: token(key) }, 4 * RATE, 3_000);
      return withCode(outcomes, status.OK).length;
    } finally {
      await world.stop();
    }
  }

  it("leased: every admission names its window, and no window holds more than the rate", async () => {
    const passed = await load({});
    const stamps = stampsIn(folder);
    assert.equal(stamps.length, passed);
    const windows = new Map<number, number>();
    for (const stamp of stamps) windows.set(stamp, (windows.get(stamp) ?? 0) + 1);
    assert.ok(windows.size >= 3, `${windows.size} windows`);
    for (const [end, count] of windows) {
      assert.equal(end % 1_000, 0);
      assert.ok(count <= RATE, `${count} in the window that ends at ${end}`);
    }
  });

  it("exact: no second between two admissions holds more than the rate", async () => {
    const passed = await load({ enable_redis_rolling_limiter: true });
    const stamps = stampsIn(folder);
    assert.equal(stamps.length, passed);
    assert.ok(passed > RATE, `${passed} passed`);
    for (let n = RATE; n < stamps.length; n++) assert.ok(stamps[n]! - stamps[n - RATE]! >= 1_000_000);
  });
});
