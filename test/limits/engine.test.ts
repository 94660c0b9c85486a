import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LimitEngine, type LimitSpec } from "../../src/worker/admit/limits/engine.js";
import { type RateHeaders, readHeaders } from "../../src/worker/admit/limits/headers.js";
import { ADMIT, API_RATE, DENY, QUOTA, RATE, UNAVAILABLE, WAIT } from "../../src/worker/admit/limits/limit.js";
import type { LimitSet } from "../../src/worker/admit/limits/set.js";
import { call } from "./callers.js";
import { SimulatedHome, STORE_OFFSET_MS, settle, World } from "./simulated-home.js";

function worker(world: World, name: string, options: object = {}): LimitEngine {
  return new LimitEngine({ counters: new SimulatedHome(world, name), worker: name, clock: world.clock, ...options });
}

function rate(limit: number, perMs = 1_000, key = "rate"): LimitSpec {
  return { key, kind: RATE, limit, perMs, count: "leased" };
}

function quota(limit: number, perMs = 0, key = "quota"): LimitSpec {
  return { key, kind: QUOTA, limit, perMs, count: "leased" };
}

function exact(limit: number, perMs = 1_000, key = "exact"): LimitSpec {
  return { key, kind: RATE, limit, perMs, count: "exact" };
}

/** Calls one after the other; answers how many were admitted. */
async function calls(set: LimitSet, world: World, count: number): Promise<number> {
  let admitted = 0;
  for (let i = 0; i < count; i++) if ((await call(set, world.now)) === ADMIT) admitted += 1;
  return admitted;
}

async function pass(world: World, ms: number, ...engines: LimitEngine[]): Promise<void> {
  for (const end = world.now + ms; world.now < end; ) {
    world.now += 50;
    for (const engine of engines) engine.tick(world.now);
    await settle();
  }
}

const noHeaders = (): RateHeaders => ({ limit: -1, remaining: -1, reset: -1 });

describe("leased limits", () => {
  it("a first call waits for the store, the calls behind it do not", async () => {
    const world = new World();
    const set = worker(world, "a").set([rate(10_000)]);
    assert.equal(set.take(world.now), WAIT);
    await calls(set, world, 2_000);
    assert.ok(world.requests < 60, `${world.requests} requests for 2,000 calls`);
  });

  it("a first call asks for all its limits at once, and calls that arrive meanwhile share the request", async () => {
    const world = new World();
    const set = worker(world, "a").set([rate(1_000), quota(1_000)]);
    const verdicts = Promise.all(Array.from({ length: 30 }, () => call(set, world.now)));
    assert.deepEqual(new Set(await verdicts), new Set([ADMIT]));
    assert.equal(world.requests, 4);
  });

  it("admits exactly the limit in a window, over two workers", async () => {
    const world = new World();
    const [a, b] = [worker(world, "a"), worker(world, "b")];
    const sets = [a.set([rate(500)]), b.set([rate(500)])];
    let admitted = 0;
    for (let i = 0; i < 1_000; i++) admitted += await calls(sets[i % 2]!, world, 1);
    assert.equal(admitted, 500);
  });

  it("refuses without asking once all units are used, and admits again in the next window", async () => {
    const world = new World();
    const engine = worker(world, "a");
    const set = engine.set([rate(5)]);
    assert.equal(await calls(set, world, 10), 5);
    const before = world.requests;
    assert.equal(set.take(world.now), DENY);
    assert.equal(world.requests, before);
    const retryMs = set.retryMs(world.now);
    assert.ok(retryMs > 0 && retryMs <= 1_000);
    world.now += retryMs;
    assert.equal(await calls(set, world, 10), 5);
  });

  it("never uses a unit in a later window", async () => {
    const world = new World();
    const set = worker(world, "a").set([rate(1_600, 1_000)]);
    await calls(set, world, 200);
    assert.ok(set.leases[0]!.units > 0);
    world.now += 1_000;
    assert.equal(await calls(set, world, 2_000), 1_600);
  });

  it("gives unused units back within a second of idling", async () => {
    const world = new World();
    const [a, b] = [worker(world, "a"), worker(world, "b")];
    const set = a.set([quota(10_000)]);
    await calls(set, world, 500);
    assert.ok(world.taken("quota") > 500);
    await pass(world, 1_000, a);
    assert.equal(world.taken("quota"), 500);
    assert.equal(await calls(b.set([quota(10_000)]), world, 10_000), 9_500);
  });

  it("gives back what a sunken demand leaves over", async () => {
    const world = new World();
    const engine = worker(world, "a");
    const set = engine.set([quota(1_000_000)]);
    await calls(set, world, 5_000);
    for (let i = 0; i < 10; i++) {
      await pass(world, 200, engine);
      await calls(set, world, 1);
    }
    // A lease of the least size, and what the demand of five calls a second would use in twice a horizon.
    assert.ok(world.taken("quota") - 5_010 <= 200, `${world.taken("quota") - 5_010} held`);
  });

  it("gives everything back when it stops, and tells waiting calls", async () => {
    const world = new World();
    const engine = worker(world, "a");
    const set = engine.set([quota(10_000), rate(5_000)]);
    await calls(set, world, 300);
    const waiting = call(engine.set([rate(5, 1_000, "other")]), world.now);
    await engine.stop();
    assert.equal(await waiting, UNAVAILABLE);
    assert.deepEqual([world.taken("quota"), world.taken("rate")], [300, 300]);
    assert.equal(world.living.size, 0);
  });

  it("all limits or none: a refusal by quota leaves the rate uncounted", async () => {
    const world = new World();
    const engine = worker(world, "a");
    const set = engine.set([rate(1_000), quota(3)]);
    assert.equal(await calls(set, world, 10), 3);
    assert.equal(set.denied?.kind, QUOTA);
    await engine.stop();
    assert.equal(world.taken("rate"), 3);
  });

  it("names the limit that refused", async () => {
    const world = new World();
    const set = worker(world, "a").set([rate(100), { ...rate(2, 1_000, "api"), kind: API_RATE }]);
    assert.equal(await calls(set, world, 3), 2);
    assert.equal(set.denied?.kind, API_RATE);
  });

  it("the store never believes that fewer units lie unused than do", async () => {
    const world = new World();
    const set = worker(world, "a").set([rate(400), quota(5_000)]);
    for (let wave = 0; wave < 60; wave++) {
      await Promise.all(Array.from({ length: 20 }, () => call(set, world.now)));
      for (const lease of set.leases) {
        const share = world.counters.get(lease.key)?.shares.find(([holder]) => holder === lease.holder);
        assert.ok(
          lease.inFlight || (share?.[2] ?? 0) >= lease.units,
          `${share} says the store, ${lease.units} are held`,
        );
      }
    }
  });

  it("at the edge of a quota a call waits for units that an idle worker holds", async () => {
    const world = new World();
    const [a, b] = [worker(world, "a"), worker(world, "b")];
    await calls(a.set([quota(1_000)]), world, 100);
    const held = world.taken("quota") - 100;
    assert.ok(held > 0);
    const set = b.set([quota(1_000)]);
    assert.equal(await calls(set, world, 1_000 - 100 - held), 1_000 - 100 - held);
    const last = call(set, world.now);
    await pass(world, 1_000, a, b);
    assert.equal(await last, ADMIT);
  });

  it("a quota that never renews refuses for good; one that renews begins with its first use", async () => {
    const world = new World();
    const never = worker(world, "a").set([quota(1)]);
    assert.equal(await calls(never, world, 2), 1);
    assert.equal(never.retryMs(world.now), -1);
    world.now += 10_000_000;
    assert.equal(await calls(never, world, 1), 0);
    const renews = worker(world, "b").set([quota(1, 60_000, "renewing")]);
    assert.equal(await calls(renews, world, 2), 1);
    assert.equal(renews.retryMs(world.now), 60_000);
    world.now += 60_000;
    assert.equal(await calls(renews, world, 2), 1);
  });

  it("a call that is gone uses nothing", async () => {
    const world = new World();
    const engine = worker(world, "a");
    const set = engine.set([quota(5)]);
    set.take(world.now);
    set.wait({ decided: () => assert.fail("told") }, world.now).cancel();
    await settle();
    assert.equal(engine.waiting, 0);
    await engine.stop();
    assert.equal(world.taken("quota"), 0);
  });

  it("tells calls beyond the bound of waiting ones at once", async () => {
    const world = new World();
    const set = worker(world, "a", { maxWaiting: 2 }).set([rate(10)]);
    const verdicts = await Promise.all([1, 2, 3].map(() => call(set, world.now)));
    assert.deepEqual(verdicts, [ADMIT, ADMIT, UNAVAILABLE]);
  });

  it("bounds the limits it remembers, gives back what the forgotten ones held, and finds them again", async () => {
    const world = new World();
    const engine = worker(world, "a", { maxLimits: 20 });
    const sets = Array.from({ length: 100 }, (_, i) => engine.set([quota(1_000, 0, `q${i}`)]));
    for (const set of sets) {
      await calls(set, world, 40);
      world.now += 1;
    }
    assert.ok(engine.size <= 20);
    for (const set of sets) assert.equal(await calls(set, world, 1_000), 960);
  });

  it("an operator's reset is seen by a worker that refuses", async () => {
    const world = new World();
    const home = new SimulatedHome(world, "a");
    const engine = new LimitEngine({ counters: home, worker: "a", clock: world.clock });
    const set = engine.set([quota(2)]);
    await calls(set, world, 3);
    await home.clear("quota");
    assert.equal(await calls(set, world, 1), 0);
    engine.recheck("quota");
    assert.equal(await calls(set, world, 3), 2);
  });

  it("throttling waits and tries again, so often and no more", async () => {
    const world = new World();
    const engine = worker(world, "a");
    const set = engine.set([rate(1, 1_000)], { intervalMs: 600, tries: 2 });
    assert.equal(await call(set, world.now), ADMIT);
    const second = call(set, world.now);
    await pass(world, 1_300, engine);
    assert.equal(await second, ADMIT);
    const short = worker(world, "b").set([rate(1, 60_000, "slow")], { intervalMs: 100, tries: 2 });
    assert.equal(await call(short, world.now), ADMIT);
    assert.equal(short.take(world.now), WAIT);
  });

  it("says limit, remaining and reset in both modes", async () => {
    const world = new World();
    const engine = worker(world, "a");
    const set = engine.set([rate(2, 10_000), quota(5, 60_000)]);
    const out = noHeaders();
    const storeSeconds = (ms: number): number => Math.ceil((world.now + STORE_OFFSET_MS + ms) / 1_000);
    await call(set, world.now);
    readHeaders(set, true, world.now, engine.offset, out);
    assert.deepEqual(out, { limit: 5, remaining: 4, reset: storeSeconds(60_000) });
    readHeaders(set, false, world.now, engine.offset, out);
    assert.deepEqual([out.limit, out.remaining, out.reset % 10], [2, 1, 0]);
    await call(set, world.now);
    assert.equal(await call(set, world.now), DENY);
    assert.equal(readHeaders(set, false, world.now, engine.offset, out).remaining, 0);
    assert.deepEqual(readHeaders(engine.set([]), true, world.now, 0, out), { limit: 0, remaining: 0, reset: 0 });
  });
});

describe("exact limits", () => {
  it("ask about every call and hold in every span of a period", async () => {
    const world = new World();
    const engine = worker(world, "a");
    const set = engine.set([exact(2)]);
    const out = noHeaders();
    assert.equal(await call(set, world.now), ADMIT);
    assert.equal(readHeaders(set, false, world.now, engine.offset, out).remaining, 1);
    world.now += 600;
    assert.deepEqual([await calls(set, world, 2), set.retryMs(world.now)], [1, 400]);
    world.now += 400;
    assert.equal(await calls(set, world, 2), 1);
  });

  it("calls of one turn share a request, and what a quota refuses is taken out of the log", async () => {
    const world = new World();
    const engine = worker(world, "a");
    const set = engine.set([exact(50), quota(3)]);
    const verdicts = await Promise.all(Array.from({ length: 20 }, () => call(set, world.now)));
    await settle();
    assert.equal(verdicts.filter((verdict) => verdict === ADMIT).length, 3);
    assert.equal(world.logs.get("exact")?.length, 3);
  });
});

describe("limits without the store", () => {
  async function running(world: World, names: string[], options: object = {}): Promise<LimitEngine[]> {
    const engines = names.map((name) => worker(world, name, options));
    await pass(world, 5_000, ...engines);
    return engines;
  }

  it("rates go on, each worker with its share, and the shares sum to the limit", async () => {
    const world = new World();
    const engines = await running(world, ["a", "b", "c"]);
    const sets = engines.map((engine) => engine.set([rate(100)]));
    for (const set of sets) await calls(set, world, 10);
    world.mode = "refuse";
    await pass(world, 2_000, ...engines);
    const admitted = [];
    for (const set of sets) admitted.push(await calls(set, world, 100));
    assert.deepEqual(admitted.sort(), [33, 33, 34]);
    assert.ok(engines.every((engine) => engine.down));
  });

  it("exact rates go on with the same shares", async () => {
    const world = new World();
    const engines = await running(world, ["a", "b"]);
    const sets = engines.map((engine) => engine.set([exact(10, 60_000)]));
    world.mode = "refuse";
    let admitted = 0;
    for (const set of sets) admitted += await calls(set, world, 20);
    assert.equal(admitted, 10);
  });

  it("in the window of the loss no more is admitted than the limit", async () => {
    const world = new World();
    const engines = await running(world, ["a", "b"]);
    const sets = engines.map((engine) => engine.set([rate(1_000, 60_000)]));
    let admitted = 0;
    for (const set of sets) admitted += await calls(set, world, 200);
    world.mode = "refuse";
    for (const set of sets) admitted += await calls(set, world, 1_000);
    assert.ok(admitted <= 1_000 && admitted > 700, `${admitted} admitted`);
  });

  it("quota goes on to the end of the lease, then there is no answer", async () => {
    const world = new World();
    const [a] = (await running(world, ["a"])) as [LimitEngine];
    const set = a.set([quota(100_000)]);
    await calls(set, world, 5_000);
    const held = set.leases[0]!.units;
    world.mode = "refuse";
    assert.equal(await calls(set, world, held), held);
    assert.equal(await call(set, world.now), UNAVAILABLE);
  });

  it("a setting lets quota pass uncounted, and the counter is raised when the store is back", async () => {
    const world = new World();
    const [a] = (await running(world, ["a"], { quotaUncounted: true })) as [LimitEngine];
    const set = a.set([quota(1_000)]);
    await calls(set, world, 100);
    world.mode = "refuse";
    assert.equal(await calls(set, world, 500), 500);
    world.mode = "answer";
    await pass(world, 5_000, a);
    assert.equal(world.taken("quota"), 600);
  });

  it("a frozen store holds no call longer than the wait", async () => {
    const world = new World();
    const [a] = (await running(world, ["a"], { waitMs: 200 })) as [LimitEngine];
    world.mode = "silent";
    const rated = call(a.set([rate(10)]), world.now);
    const counted = call(a.set([quota(10)]), world.now);
    await pass(world, 250, a);
    assert.deepEqual(await Promise.all([rated, counted]), [ADMIT, UNAVAILABLE]);
  });

  it("who comes back first takes no more than its share while others are still alone", async () => {
    const world = new World();
    const [a, b] = (await running(world, ["a", "b"])) as [LimitEngine, LimitEngine];
    const [atA, atB] = [a.set([rate(100)]), b.set([rate(100)])];
    for (const set of [atA, atB]) await calls(set, world, 5);
    world.mode = "refuse";
    await pass(world, 3_000, a, b);
    world.mode = "answer";
    // Only one of them tries; the other has not noticed yet.
    await pass(world, 1_500, a);
    assert.deepEqual([a.down, b.down], [false, true]);
    assert.ok((await calls(atA, world, 200)) + (await calls(atB, world, 200)) <= 100);
    await pass(world, 4_000, a, b);
    world.now += 1_000 - ((world.now + STORE_OFFSET_MS) % 1_000);
    assert.equal(await calls(atA, world, 200), 100);
  });

  it("a worker that stood still itself does not take the store for lost", async () => {
    const world = new World();
    const [a] = (await running(world, ["a"])) as [LimitEngine];
    const set = a.set([quota(10)]);
    const waiting = call(set, world.now);
    world.now += 5_000;
    a.tick(world.now);
    assert.equal(a.down, false);
    assert.equal(await waiting, ADMIT);
  });

  it("a worker that does not know the others admits nothing alone", async () => {
    const world = new World();
    world.mode = "refuse";
    assert.equal(await call(worker(world, "a").set([rate(10)]), world.now), UNAVAILABLE);
  });

  it("a store that comes back empty does not count from zero", async () => {
    const world = new World();
    const engines = await running(world, ["a", "b"]);
    const sets = engines.map((engine) => engine.set([quota(1_000), rate(1_000, 600_000)]));
    for (const set of sets) await calls(set, world, 300);
    world.mode = "refuse";
    world.empty();
    await pass(world, 500, ...engines);
    world.mode = "answer";
    await pass(world, 3_000, ...engines);
    assert.ok(world.taken("quota") >= 600);
    assert.ok(world.taken("rate") >= 600);
    await pass(world, 6_000, ...engines);
    assert.equal((await calls(sets[0]!, world, 1_000)) + (await calls(sets[1]!, world, 1_000)), 400);
  });

  it("a store that loses everything without a break is told by idle workers too", async () => {
    const world = new World();
    const [a, b] = (await running(world, ["a", "b"])) as [LimitEngine, LimitEngine];
    await calls(a.set([quota(1_000)]), world, 700);
    await pass(world, 2_000, a, b);
    world.empty();
    await pass(world, 2_000, a, b);
    assert.equal(await calls(b.set([quota(1_000)]), world, 400), 300);
  });

  it("grants whose answers were lost come back with the next report", async () => {
    const world = new World();
    const [a] = (await running(world, ["a"])) as [LimitEngine];
    const set = a.set([quota(1_000)]);
    await calls(set, world, 100);
    world.mode = "lose answers";
    await calls(set, world, 40);
    world.mode = "answer";
    await pass(world, 3_000, a);
    const used = set.leases[0]!.used;
    await a.stop();
    assert.equal(world.taken("quota"), used);
  });
});

describe("many limits at once", () => {
  const many = (engine: LimitEngine, count: number): LimitSet[] =>
    Array.from({ length: count }, (_, n) => engine.set([quota(1_000_000, 0, `many-${n}`)]));

  /** Units that workers hold unused of all of these. */
  const lent = (world: World, used: number): number =>
    [...world.counters.values()].reduce((sum, { taken }) => sum + taken, 0) - used;

  it("a key of a large limit that calls now and then asks the store once for many calls", async () => {
    const world = new World();
    const engine = worker(world, "a");
    const sets = many(engine, 2_000);
    for (let round = 0; round < 20; round++) {
      await Promise.all(sets.map((set) => call(set, world.now)));
      await pass(world, 600, engine);
    }
    assert.ok(world.asks < 3 * sets.length, `${world.asks} asks for ${20 * sets.length} calls`);
  });

  it("limits that idle in their thousands give back at a steady pace, a few at once", async () => {
    const world = new World();
    const engine = worker(world, "a");
    await pass(world, 100, engine);
    const sets = many(engine, 4_000);
    await Promise.all(sets.map((set) => call(set, world.now)));
    const before = world.asks;
    await pass(world, 2_000, engine);
    assert.ok(world.asks - before <= 2_000, `${world.asks - before} reports in two seconds`);
    await pass(world, 6_000, engine);
    assert.equal(lent(world, 4_000), 0);
  });

  it("what is held of a counter of which little is left goes back within a second, whatever else idles", async () => {
    const world = new World();
    const engine = worker(world, "a");
    await Promise.all(many(engine, 8_000).map((set) => call(set, world.now)));
    const scarce = engine.set([quota(200, 0, "scarce")]);
    await calls(scarce, world, 100);
    await pass(world, 1_200, engine);
    assert.equal(world.taken("scarce"), 100);
  });

  it("who runs dry recalls what idles elsewhere, long before its turn would have come", async () => {
    const world = new World();
    const [a, b] = [worker(world, "a"), worker(world, "b")];
    await pass(world, 100, a, b);
    const sets = many(a, 10_000);
    await Promise.all(sets.map((set) => call(set, world.now)));
    const last = sets.at(-1)!.leases[0]!;
    const set = b.set([quota(1_000_000, 0, last.key)]);
    // All but what the idle worker holds.
    const counter = world.counters.get(last.key)!;
    counter.taken = 1_000_000;
    const held = last.units;
    assert.ok(held > 0);
    await pass(world, 1_000, a);
    assert.equal(last.units, held);
    const waiting = Array.from({ length: held + 1 }, () => call(set, world.now));
    await pass(world, 800, a, b);
    assert.deepEqual(
      (await Promise.all(waiting)).map((verdict) => verdict === ADMIT),
      [...Array.from({ length: held }, () => true), false],
    );
    assert.equal(counter.taken, 1_000_000);
  });

  it("a dead worker's units keep callers waiting once, not for ever", async () => {
    const world = new World();
    await calls(worker(world, "dead").set([quota(2_000)]), world, 1_000);
    // What it asked for ahead is still under way.
    await settle();
    const held = world.taken("quota") - 1_000;
    assert.ok(held > 0);
    await pass(world, 15_000);
    const b = worker(world, "b");
    const set = b.set([quota(2_000)]);
    assert.equal(await calls(set, world, 1_000 - held), 1_000 - held);
    const first = call(set, world.now);
    await pass(world, 5_000, b);
    assert.equal(await first, DENY);
    assert.equal(await Promise.race([call(set, world.now), pass(world, 100, b).then(() => "waits")]), DENY);
  });

  it("ten thousand strangers at once are all admitted, however long their answers take in all", async () => {
    const world = new World();
    const engine = worker(world, "a", { waitMs: 400 });
    const verdicts = Promise.all(many(engine, 10_000).map((set) => call(set, world.now)));
    // Each turn of the loop takes long, but the store answers in all of them.
    for (let turn = 0; turn < 100; turn++) {
      world.now += 100;
      engine.tick(world.now);
      await settle();
    }
    assert.deepEqual(new Set(await verdicts), new Set([ADMIT]));
    assert.equal(engine.down, false);
  });
});
