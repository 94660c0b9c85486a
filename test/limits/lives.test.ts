/** Random lives of several workers on one counter, against the rule that an onlooker can check by counting. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LimitEngine, type LimitSpec } from "../../src/worker/admit/limits/engine.js";
import { ADMIT, QUOTA, RATE, WAIT } from "../../src/worker/admit/limits/limit.js";
import type { LimitSet } from "../../src/worker/admit/limits/set.js";
import { SimulatedHome, STORE_OFFSET_MS, settle, World } from "./simulated-home.js";

const WORKERS = 3;

const happening = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ what: fc.constant("calls" as const), by: fc.nat(WORKERS - 1), count: fc.nat(60) }),
  },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("time" as const), ms: fc.nat(700) }) },
  {
    weight: 1,
    arbitrary: fc.record({ what: fc.constant("lost answers" as const), by: fc.nat(WORKERS - 1), count: fc.nat(20) }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("killed" as const), by: fc.nat(WORKERS - 1) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("stopped" as const), by: fc.nat(WORKERS - 1) }) },
);

interface Place {
  engine: LimitEngine;
  set: LimitSet;
}

class Life {
  readonly world = new World();
  readonly admitted = new Map<number, number>();
  readonly places: Place[] = [];
  #names = 0;

  constructor(readonly spec: LimitSpec) {
    for (let i = 0; i < WORKERS; i++) this.places.push(this.begin());
  }

  begin(): Place {
    this.#names += 1;
    const worker = `w${this.#names}`;
    const engine = new LimitEngine({
      counters: new SimulatedHome(this.world, worker),
      worker,
      clock: this.world.clock,
    });
    return { engine, set: engine.set([this.spec]) };
  }

  async calls(by: number, count: number): Promise<void> {
    const { set } = this.places[by]!;
    const told = (verdict: number): void => {
      if (verdict !== ADMIT) return;
      // The window by the store's clock, computed apart from what the lease believes.
      const now = this.world.now + STORE_OFFSET_MS;
      const window = this.spec.perMs === 0 ? 0 : Math.floor(now / this.spec.perMs);
      this.admitted.set(window, (this.admitted.get(window) ?? 0) + 1);
    };
    for (let i = 0; i < count; i++) {
      const verdict = set.take(this.world.now);
      if (verdict === WAIT) set.wait({ decided: told }, this.world.now);
      else told(verdict);
      if (i % 7 === 6) await settle();
    }
    await settle();
  }

  async pass(ms: number): Promise<void> {
    for (const end = this.world.now + ms; this.world.now < end; ) {
      this.world.now = Math.min(end, this.world.now + 50);
      for (const { engine } of this.places) engine.tick(this.world.now);
      await settle();
    }
  }

  total(): number {
    return [...this.admitted.values()].reduce((sum, each) => sum + each, 0);
  }
}

async function live(life: Life, each: typeof happening extends fc.Arbitrary<infer T> ? T : never): Promise<void> {
  if (each.what === "calls") await life.calls(each.by, each.count);
  else if (each.what === "time") await life.pass(each.ms);
  else if (each.what === "killed") life.places[each.by] = life.begin();
  else if (each.what === "stopped") {
    await life.places[each.by]!.engine.stop();
    life.places[each.by] = life.begin();
  } else {
    life.world.mode = "lose answers";
    await life.calls(each.by, each.count);
    life.world.mode = "answer";
    // Back at the store before anybody goes on alone: what a lone worker may admit has its own tests.
    await life.pass(3_000);
  }
}

describe("random lives of workers on one counter", () => {
  it("no window of a rate ever holds more than its limit", async () => {
    const steps = fc.array(happening, { minLength: 5, maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(1, 7, 40, 500), steps, async (limit, all) => {
        const life = new Life({ key: "k", kind: RATE, limit, perMs: 1_000, count: "leased" });
        for (const each of all) if (each.what !== "lost answers") await live(life, each);
        for (const [window, count] of life.admitted) assert.ok(count <= limit, `${count} in window ${window}`);
      }),
      { numRuns: 60 },
    );
  });

  it("a quota is never exceeded, and without a killed worker not a unit of it is lost", async () => {
    const steps = fc.array(happening, { minLength: 5, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(1, 9, 100, 800), steps, async (limit, all) => {
        const life = new Life({ key: "k", kind: QUOTA, limit, perMs: 0, count: "leased" });
        for (const each of all) await live(life, each);
        assert.ok(life.total() <= limit);
        await life.pass(7_000);
        await life.calls(0, limit + 1);
        await life.pass(2_000);
        assert.ok(life.total() <= limit);
        if (all.every(({ what }) => what !== "killed")) assert.equal(life.total(), limit);
      }),
      { numRuns: 60 },
    );
  });
});
