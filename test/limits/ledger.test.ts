// Responsible for: rows of leases' numbers: they grow, are used again, and a set never takes a unit out of somebody else's row.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LimitEngine } from "../../src/worker/admit/limits/engine.js";
import { Ledger, LIFE, LIMIT, UNITS, UNTIL, USED } from "../../src/worker/admit/limits/ledger.js";
import { ADMIT, RATE, WAIT } from "../../src/worker/admit/limits/limit.js";
import { call } from "./callers.js";
import { SimulatedHome, World } from "./simulated-home.js";

describe("the ledger", () => {
  it("keeps every row's numbers while it grows", () => {
    const ledger = new Ledger(2);
    const rows = Array.from({ length: 1_000 }, (_, n) => {
      const row = ledger.open(n);
      ledger.doubles[row + UNITS] = n * 2;
      ledger.tell(row, n * 3);
      return row;
    });
    assert.equal(new Set(rows).size, 1_000);
    for (const [n, row] of rows.entries()) {
      const numbers = [ledger.doubles[row + LIMIT], ledger.doubles[row + UNITS], ledger.told(row)];
      assert.deepEqual(numbers, [n, n * 2, n * 3]);
    }
  });

  it("gives a row away empty and under another life", () => {
    const ledger = new Ledger(1);
    const row = ledger.open(5);
    const life = ledger.ints[2 * row + LIFE];
    ledger.doubles[row + UNITS] = 4;
    ledger.insure(row, 99);
    const copy = ledger.copy(row);
    ledger.close(row);
    assert.equal(ledger.open(7), row);
    assert.notEqual(ledger.ints[2 * row + LIFE], life);
    assert.deepEqual([ledger.doubles[row + UNITS], ledger.doubles[row + LIMIT], ledger.insuredUntil(row)], [0, 7, 0]);
    assert.deepEqual([copy.doubles[row + UNITS], copy.doubles[row + LIMIT], copy.insuredUntil(row)], [4, 5, 99]);
  });

  it("counts what was used since the last look although the count of uses has gone round", () => {
    const ledger = new Ledger(1);
    const row = ledger.open(1_000_000);
    ledger.doubles[row + UNTIL] = 1_000_000;
    ledger.doubles[row + UNITS] = 100;
    ledger.ints[2 * row + USED] = 0x7fff_fff0;
    ledger.surplus(row, 1_000);
    ledger.ints[2 * row + USED]! += 0x20;
    // 32 uses in a second are 256 in the time that a lease is made for.
    assert.equal(ledger.surplus(row, 2_000), 0);
  });
});

describe("a set whose limit was forgotten", () => {
  it("asks anew and takes nothing from the limit that has its place now", async () => {
    const world = new World();
    const counters = new SimulatedHome(world, "a");
    const engine = new LimitEngine({ counters, worker: "a", clock: world.clock, maxLimits: 1 });
    const spec = (key: string) => ({ key, kind: RATE, limit: 100_000, perMs: 60_000, count: "leased" as const });
    const old = engine.set([spec("old")]);
    assert.equal(await call(old, world.now), ADMIT);
    const next = engine.set([spec("next")]);
    assert.equal(await call(next, world.now), ADMIT);
    assert.equal(old.leases[0]!.evicted, true);
    const [units, used] = [next.leases[0]!.units, next.leases[0]!.used];
    assert.ok(units > 0);
    assert.equal(old.take(world.now), WAIT);
    assert.deepEqual([next.leases[0]!.units, next.leases[0]!.used], [units, used]);
    assert.equal(await call(old, world.now), ADMIT);
    assert.equal(old.leases[0]!.evicted, false);
  });
});
