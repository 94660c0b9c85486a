// Responsible for: the choice of a target, with endpoints that are stand-ins: turns, weights, load, hash, slow start, what
// calls show, and what happens when nobody is left. Must not know: sockets. Governed by: issue 6, item 3.
// How often: tests only.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pino } from "pino";
import type { TargetPolicy } from "../../src/shared/model/target-policy.js";
import { Balancer } from "../../src/worker/balance/balancer.js";
import { Outcome } from "../../src/worker/balance/ejection.js";
import { schedule } from "../../src/worker/balance/schedule.js";
import type { Call } from "../../src/worker/call/call.js";
import type { TargetPool } from "../../src/worker/upstream/target-pool.js";

type Policy = { [Part in keyof TargetPolicy]?: Partial<TargetPolicy[Part]> };

function policyOf(said: Policy = {}): TargetPolicy {
  return {
    balance: {
      method: "round_robin",
      hash_header: "",
      weights: [],
      slow_start: 0,
      panic_threshold: 0,
      ...said.balance,
    },
    health: { type: "", service: "", interval: 10, timeout: 1, unhealthy_after: 3, healthy_after: 2, ...said.health },
    ejection: {
      consecutive_failures: 0,
      failure_share: 0,
      min_calls: 10,
      interval: 10,
      statuses: ["UNAVAILABLE"],
      base_time: 30,
      max_time: 100,
      max_share: 0.5,
      ...said.ejection,
    },
  };
}

class StandIn {
  ready = true;
  hopeful = true;
  down = false;
  inFlight = 0;
  given: Call[] = [];

  constructor(readonly name: string) {}

  give(call: Call): void {
    this.given.push(call);
    this.inFlight++;
  }
}

interface Scene {
  readonly balancer: Balancer;
  readonly endpoints: StandIn[];
  readonly time: { now: number };
  readonly failures: string[];
  readonly lines: string[];
  call(key?: string): Call;
  end(call: Call, outcome: number): void;
  counts(): number[];
  /** So many calls; each ends at once with what `of` says. */
  run(n: number, of?: (call: Call) => number): void;
}

function sceneFor(count: number, said: Policy = {}, weights: number[] = []): Scene {
  const time = { now: 1_000 };
  const endpoints = Array.from({ length: count }, (_, at) => new StandIn(`10.0.0.${at}:1`));
  const failures: string[] = [];
  const lines: string[] = [];
  const pools = endpoints.map((endpoint) => ({ endpoints: [endpoint], watchers: new Set(), awaited: false }));
  const balancer = new Balancer({
    api: "test",
    places: pools.map((pool, at) => ({ pool: pool as unknown as TargetPool, target: at, weight: weights[at] ?? 1 })),
    policy: policyOf(said),
    runner: {
      begin: () => assert.fail("endpoints begin calls"),
      unreachable: () => assert.fail("endpoints say that they are unreachable"),
      again: () => assert.fail("nobody waits for a name"),
      fail: (_, answer) => failures.push(answer.id),
    },
    log: pino({ base: null, timestamp: false }, { write: (line: string) => void lines.push(JSON.parse(line).msg) }),
    now: () => time.now,
  });
  const call = (key = ""): Call => {
    const plan = { names: [{ text: ":path" }, { text: "x-user" }], fields: [{ value: "/" }, null] };
    const made = { plan, volatile: [{ value: key }], seat: null, target: -1, outcome: 0 } as unknown as Call;
    balancer.give(made);
    return made;
  };
  const end = (it: Call, outcome: number): void => {
    (it.seat!.endpoint as unknown as StandIn).inFlight--;
    it.outcome = outcome;
    balancer.ended(it);
  };
  const run = (n: number, of: (it: Call) => number = () => Outcome.SUCCESS): void => {
    for (let at = 0; at < n; at++) {
      const it = call();
      if (it.seat !== null) end(it, of(it));
    }
  };
  return {
    balancer,
    endpoints,
    time,
    failures,
    lines,
    call,
    end,
    run,
    counts: () => endpoints.map((it) => it.given.length),
  };
}

const firstFails = (call: Call): number => (call.target === 0 ? Outcome.FAILURE : Outcome.SUCCESS);

describe("turns", () => {
  test("everybody is as often as it weighs, and nobody twice while another one is due", () => {
    assert.deepEqual([...schedule([1, 1, 1])], [0, 1, 2]);
    assert.deepEqual([...schedule([1, 2])], [1, 0, 1]);
    assert.deepEqual([...schedule([5, 1, 1])].join("").replace(/0/g, ""), "12");
    assert.equal([...schedule([300, 100])].length, 4);
    assert.deepEqual([...schedule([0, 3])], [1]);
    assert.deepEqual([...schedule([1 / 3, 1 / 3, 1 / 3, 1])].length, 6);
    assert.deepEqual([...schedule([])], []);
    assert.ok(schedule(Array.from({ length: 1_000 }, (_, at) => at + 0.123)).length <= 4_096);
  });

  test("peers 11: calls are spread one by one, not by connection: each target gets its share of every few", () => {
    const { counts, run } = sceneFor(3);
    run(3);
    assert.deepEqual(counts(), [1, 1, 1]);
    run(297);
    assert.deepEqual(counts(), [100, 100, 100]);
  });

  test("weights divide the calls exactly; a target of weight 0 gets none", () => {
    const { counts, run } = sceneFor(3, {}, [3, 1, 0]);
    run(400);
    assert.deepEqual(counts(), [300, 100, 0]);
  });

  test("a target that is not connected is passed over for one that is, then for one that may soon be", () => {
    const { endpoints, counts, run } = sceneFor(3);
    endpoints[0]!.ready = false;
    run(30);
    assert.equal(counts()[0], 0);
    for (const it of endpoints) it.ready = it.hopeful = false;
    endpoints[2]!.hopeful = true;
    const before = counts()[2]!;
    run(10);
    assert.equal(counts()[2], before + 10);
  });

  test("a call that moves goes to another target, and back to its own only if there is no other", () => {
    const { balancer, endpoints, call } = sceneFor(2);
    const moving = call();
    const first = moving.target;
    assert.equal(balancer.move(moving), true);
    assert.notEqual(moving.target, first);
    for (const it of endpoints) it.ready = it.hopeful = false;
    endpoints[moving.target]!.hopeful = true;
    const second = moving.target;
    assert.equal(balancer.move(moving), true);
    assert.equal(moving.target, second);
    endpoints[second]!.hopeful = false;
    assert.equal(balancer.move(moving), false);
  });
});

describe("least requests", () => {
  test("a busy target gets fewer calls than an idle one, measured by its weight", () => {
    const { endpoints, counts, call } = sceneFor(2, { balance: { method: "least_requests" } });
    endpoints[0]!.inFlight = 1_000;
    for (let at = 0; at < 100; at++) call();
    assert.deepEqual(counts(), [0, 100]);
    const weighed = sceneFor(2, { balance: { method: "least_requests" } }, [1, 3]);
    for (let at = 0; at < 400; at++) weighed.call();
    const [light, heavy] = weighed.counts() as [number, number];
    assert.ok(Math.abs(heavy / light - 3) < 0.3, `${light} and ${heavy}`);
  });

  test("of many targets none lies idle while another one is loaded", () => {
    const { endpoints, call } = sceneFor(10, { balance: { method: "least_requests" } });
    for (let at = 0; at < 1_000; at++) call();
    const loads = endpoints.map((it) => it.inFlight);
    assert.ok(Math.max(...loads) - Math.min(...loads) <= 10, loads.join(" "));
  });
});

describe("a consistent hash", () => {
  const hash = { balance: { method: "hash" as const, hash_header: "x-user" } };

  test("the same value goes to the same target, and without a value calls take turns", () => {
    const { call, end, counts, run } = sceneFor(5, hash);
    const seen = new Set<number>();
    for (let at = 0; at < 50; at++) {
      const it = call("alice");
      seen.add(it.target);
      end(it, Outcome.SUCCESS);
    }
    assert.equal(seen.size, 1);
    const before = counts();
    run(50);
    assert.deepEqual(
      counts().map((count, at) => count - before[at]!),
      [10, 10, 10, 10, 10],
    );
  });

  test("values are shared about evenly, in every process alike, and one that leaves moves only its own", () => {
    const scenes = [sceneFor(5, hash), sceneFor(5, hash)];
    const places = (it: Scene) =>
      Array.from({ length: 2_000 }, (_, at) => {
        const call = it.call(`user-${at}`);
        it.end(call, Outcome.SUCCESS);
        return call.target;
      });
    const [one, two] = scenes.map(places) as [number[], number[]];
    assert.deepEqual(one, two);
    for (let target = 0; target < 5; target++) {
      const share = one.filter((it) => it === target).length / one.length;
      assert.ok(share > 0.12 && share < 0.28, `target ${target} has ${share}`);
    }
    const [first] = scenes as [Scene];
    first.endpoints[3]!.down = true;
    first.balancer.changed();
    const after = places(first);
    for (const [at, target] of one.entries()) if (target !== 3) assert.equal(after[at], target);
    assert.ok(!after.includes(3));
  });

  test("one heavy value does not drown its target: what is above the bound goes to the next ones", () => {
    const { endpoints, call } = sceneFor(4, hash);
    for (let at = 0; at < 400; at++) call("everybody");
    const most = Math.max(...endpoints.map((it) => it.inFlight));
    assert.ok(most <= 130, `${most} of 400 on one of four targets`);
  });
});

describe("what calls show", () => {
  const strict = { ejection: { consecutive_failures: 5 } };

  test("so many failures in a row put a target out, and a success begins the row anew", () => {
    const { balancer, lines, counts, run } = sceneFor(3, strict);
    let seen = 0;
    run(300, (call) => (call.target === 0 && ++seen % 5 !== 0 ? Outcome.FAILURE : Outcome.SUCCESS));
    assert.deepEqual([counts(), lines], [[100, 100, 100], []]);
    run(15, firstFails);
    run(30, firstFails);
    assert.deepEqual(lines, ["target is out: its calls fail"]);
    assert.deepEqual([counts()[0], balancer.all[0]?.eligible], [105, false]);
  });

  test("a share of failures within an interval does as well, from a number of calls on", () => {
    const { lines, run } = sceneFor(2, { ejection: { failure_share: 0.5, min_calls: 20 } });
    let at = 0;
    const half = (call: Call) => (call.target === 0 && at++ % 2 === 0 ? Outcome.FAILURE : Outcome.SUCCESS);
    run(38, half);
    assert.deepEqual(lines, []);
    run(4, half);
    assert.deepEqual(lines, ["target is out: its calls fail"]);
  });

  test("ends that say nothing, such as those of callers that went away, count for nothing", () => {
    const { lines, run } = sceneFor(2, strict);
    run(100, () => Outcome.NONE);
    assert.deepEqual(lines, []);
  });

  test("what an operator is told of a choice that has nobody left is what its calls are refused with", () => {
    const ejection = { consecutive_failures: 1, max_share: 0.5 };
    const { balancer, endpoints, run, failures, call } = sceneFor(2, { ejection });
    run(4, firstFails);
    assert.equal(balancer.refusal(), null, "one is out, the other takes calls");
    endpoints[1]!.hopeful = false;
    assert.equal(balancer.refusal()?.id, "unreachable", "what is out is not asked in its place");
    endpoints[1]!.hopeful = true;
    endpoints[1]!.down = true;
    balancer.changed();
    assert.equal(balancer.refusal()?.id, "targets_down");
    call();
    assert.deepEqual(failures, ["targets_down"]);
    assert.equal(sceneFor(0).balancer.refusal()?.id, "lookup");
  });

  test("no more targets are out than may be, and never the last one", () => {
    const { counts, run, time, failures } = sceneFor(4, { ejection: { consecutive_failures: 1, max_share: 0.5 } });
    run(100, () => Outcome.FAILURE);
    time.now += 1;
    const before = counts();
    run(100, () => Outcome.FAILURE);
    const still = counts().filter((count, at) => count > before[at]!);
    assert.deepEqual([still.length, failures], [2, []]);
    const alone = sceneFor(1, { ejection: { consecutive_failures: 1, max_share: 1 } });
    alone.run(10, () => Outcome.FAILURE);
    assert.deepEqual([alone.counts(), alone.lines], [[10], []]);
  });

  test("it comes back with one call on trial, which decides, and stays out twice as long when that fails", () => {
    const { balancer, time, lines, counts, call, end, run } = sceneFor(2, strict);
    run(20, firstFails);
    const out = counts()[0]!;
    time.now += 29_999;
    balancer.tick(time.now);
    run(10, firstFails);
    assert.equal(counts()[0], out);
    time.now += 1;
    balancer.tick(time.now);
    const calls = Array.from({ length: 10 }, () => call());
    assert.equal(counts()[0], out + 1, "one call while the trial lasts");
    for (const it of calls) end(it, firstFails(it));
    run(10, firstFails);
    assert.equal(counts()[0], out + 1);
    time.now += 59_999;
    balancer.tick(time.now);
    run(10, firstFails);
    assert.equal(counts()[0], out + 1, "still out");
    time.now += 1;
    balancer.tick(time.now);
    run(10);
    assert.equal(counts()[0], out + 1 + 5, "passed: it is in again");
    assert.deepEqual(lines, [
      "target is out: its calls fail",
      "target gets a call on trial",
      "target stays out",
      "target gets a call on trial",
      "target is in again: its trial was passed",
    ]);
  });

  test("a trial is not decided by calls that began before, nor by one whose caller went away", () => {
    const { balancer, time, call, end, run, counts } = sceneFor(2, strict);
    const old = [call(), call()];
    run(20, firstFails);
    time.now += 30_000;
    balancer.tick(time.now);
    for (const it of old) end(it, Outcome.FAILURE);
    const out = counts()[0]!;
    run(2, () => Outcome.NONE);
    run(2, () => Outcome.NONE);
    assert.equal(counts()[0], out + 2, "each is a new trial");
    run(4);
    assert.equal(balancer.all[0]?.outUntil, 0);
  });

  test("a trial whose call does not end is passed after a while", () => {
    const { balancer, time, call, run, counts } = sceneFor(2, strict);
    run(20, firstFails);
    time.now += 30_000;
    balancer.tick(time.now);
    for (let at = 0; at < 4; at++) call();
    const out = counts()[0]!;
    balancer.tick(time.now);
    time.now += 30_000;
    balancer.tick(time.now);
    run(10);
    assert.equal(counts()[0], out + 5);
  });
});

describe("slow start", () => {
  test("a target that is well again gets its share little by little", () => {
    const { balancer, endpoints, time, counts, run } = sceneFor(2, { balance: { slow_start: 10 } });
    const shareOf = (calls: number): number => {
      const before = counts()[0]!;
      run(calls);
      return (counts()[0]! - before) / calls;
    };
    const setDown = (down: boolean): void => {
      endpoints[0]!.down = down;
      balancer.changed();
      balancer.tick(time.now);
    };
    setDown(true);
    assert.equal(shareOf(100), 0);
    setDown(false);
    assert.ok(Math.abs(shareOf(1_100) - 1 / 11) < 0.02, "a tenth of what the other one has");
    time.now += 5_000;
    balancer.tick(time.now);
    assert.ok(Math.abs(shareOf(1_200) - 1 / 3) < 0.02, "half of what the other one has");
    time.now += 5_000;
    balancer.tick(time.now);
    assert.equal(shareOf(100), 0.5);
  });
});

describe("when targets are down", () => {
  test("the others get the calls; with none left calls are UNAVAILABLE with the reason", () => {
    const { balancer, endpoints, counts, failures, run } = sceneFor(2);
    endpoints[0]!.down = true;
    balancer.changed();
    run(10);
    assert.deepEqual(counts(), [0, 10]);
    endpoints[1]!.down = true;
    balancer.changed();
    run(2);
    assert.deepEqual(failures, ["targets_down", "targets_down"]);
  });

  test("below the panic threshold all of them get calls, and the log says so once", () => {
    const { balancer, endpoints, counts, lines, run } = sceneFor(4, { balance: { panic_threshold: 0.5 } });
    for (const at of [0, 1]) endpoints[at]!.down = true;
    balancer.changed();
    run(40);
    assert.deepEqual(counts(), [0, 0, 20, 20]);
    endpoints[2]!.down = true;
    balancer.changed();
    run(40);
    assert.deepEqual(counts(), [10, 10, 30, 30]);
    endpoints[2]!.down = false;
    balancer.changed();
    run(2);
    assert.deepEqual(lines, ["too few targets are in: all of them get calls", "enough targets are in again"]);
  });
});
