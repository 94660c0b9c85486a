/**
 * What does a limit cost per call while its lease holds units, and what does a lease cost?
 * Run: node <build>/bench/micro/limits.js. The first figures are the hot path (below 50 ns is the aim for one limit).
 */

import { setTimeout as delay } from "node:timers/promises";
import { bench, do_not_optimize, run, summary } from "mitata";
import type { Beat, Counters } from "../../src/shared/counters/counters.js";
import { type Ask, type Counter, exchange } from "../../src/shared/counters/exchange.js";
import { LimitEngine, type LimitSpec } from "../../src/worker/admit/limits/engine.js";
import { QUOTA, RATE, WAIT } from "../../src/worker/admit/limits/limit.js";
import type { LimitSet } from "../../src/worker/admit/limits/set.js";

const KEYS = 10_000;
const PLENTY = 1_000_000_000_000;
/** As large as a small integer may be. */
const HELD = 2_000_000_000;

/** Counters in this process: what is measured is the worker's side. */
class Nearby implements Counters {
  readonly #counters = new Map<string, Counter>();

  async exchange(asks: readonly Ask[]): Promise<readonly number[]> {
    const replies: number[] = [];
    for (const ask of asks) {
      const [next, reply] = exchange(this.#counters.get(ask.key), ask, Date.now() * 1_000);
      this.#counters.set(ask.key, next);
      replies.push(...reply);
    }
    return replies;
  }

  async beat(): Promise<Beat> {
    return { names: ["bench"], epoch: 1 };
  }

  slide = (): Promise<never> => Promise.reject(new Error("not measured"));
  fixed = (): Promise<never> => Promise.reject(new Error("not measured"));
  unslide = async (): Promise<void> => undefined;
  recall = async (): Promise<readonly string[]> => [];
  leave = async (): Promise<void> => undefined;
  clear = async (): Promise<void> => undefined;
  read = async (): Promise<undefined> => undefined;
}

const clock = (): number => performance.now();
const engine = new LimitEngine({ counters: new Nearby(), worker: "bench", clock, waitMs: PLENTY });

function specs(key: string): LimitSpec[] {
  return [
    { key: `rate-${key}`, kind: RATE, limit: PLENTY, perMs: 3_600_000, count: "leased" },
    { key: `quota-${key}`, kind: QUOTA, limit: PLENTY, perMs: 0, count: "leased" },
  ];
}

/** Fills a lease as no demand ever would, so that no measured call reaches its edge. */
function fill(set: LimitSet): LimitSet {
  for (const lease of set.leases) Object.assign(lease, { units: HELD, until: Number.POSITIVE_INFINITY, ahead: -1 });
  return set;
}

const one = fill(engine.set(specs("one").slice(0, 1)));
const both = fill(engine.set(specs("both")));
const many = Array.from({ length: KEYS }, (_, i) => fill(engine.set(specs(`${i}`))));
const now = clock();
let turn = 0;

summary(() => {
  bench("take: one rate", () => do_not_optimize(one.take(now)));
  bench("take: rate and quota", () => do_not_optimize(both.take(now)));
  bench("take: rate and quota, 10,000 keys in turn", () => {
    turn = turn + 1 === KEYS ? 0 : turn + 1;
    do_not_optimize(many[turn]!.take(now));
  });
});
const short = Array.from({ length: KEYS }, (_, i) =>
  engine.set([{ key: `short-${i}`, kind: RATE, limit: 1_000_000, perMs: 20, count: "leased" }]),
);
let next = 0;
bench("128 calls that wait for a new window, together", () => {
  return new Promise<void>((resolve) => {
    let open = 1;
    const decided = (): void => {
      open -= 1;
      if (open === 0) resolve();
    };
    const at = clock();
    for (let i = 0; i < 128; i++) {
      next = next + 1 === KEYS ? 0 : next + 1;
      open += 1;
      if (short[next]!.take(at) === WAIT) short[next]!.wait({ decided }, at);
      else decided();
    }
    decided();
  });
});
bench("tick: 20,000 limits in memory", () => engine.tick(clock()));

await run();
await engine.stop();
await delay(0);
