/**
 * A worker process without a gateway: hammers one set of limits and writes a stamp per admitted call, at once, so that
 * nothing is missing when it is killed. Forked by `processes.ts`.
 */

import { openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Redis } from "ioredis";
import { open } from "lmdb";
import { LmdbCounters } from "../../src/shared/counters/lmdb.js";
import { RedisCounters } from "../../src/shared/counters/redis.js";
import { LimitEngine, type LimitSpec } from "../../src/worker/admit/limits/engine.js";
import { ADMIT, WAIT } from "../../src/worker/admit/limits/limit.js";
import type { Waiting } from "../../src/worker/admit/limits/waiting.js";

export interface HammerOrder {
  readonly home: { readonly redis: number } | { readonly lmdb: string };
  readonly name: string;
  readonly log: string;
  readonly specs: readonly LimitSpec[];
  /** Either so many calls, or so many each 5 ms until told to stop. */
  readonly calls?: number;
  readonly each5ms?: number;
  readonly waitMs?: number;
}

export interface HammerReport {
  readonly verdicts: readonly number[];
}

const CONCURRENT = 20;

const order = JSON.parse(process.argv[2] ?? "{}") as HammerOrder;
const clock = (): number => performance.now();
const log = openSync(order.log, "a");
const stamp = Buffer.alloc(8);
const verdicts = [0, 0, 0, 0];
const { counters, close } = openHome();
const engine = new LimitEngine({ counters, worker: order.name, clock, waitMs: order.waitMs ?? 500 });
let ticking: NodeJS.Timeout;
const set = engine.set(order.specs);

function openHome(): { counters: RedisCounters | LmdbCounters; close: () => Promise<void> } {
  if ("redis" in order.home) {
    const redis = new Redis(order.home.redis, "127.0.0.1", {
      enableOfflineQueue: false,
      commandTimeout: 400,
      maxRetriesPerRequest: 1,
      retryStrategy: () => 50,
    });
    redis.on("error", () => undefined);
    return { counters: new RedisCounters(redis, "t-", order.name), close: async () => redis.disconnect() };
  }
  const durable = open<unknown, string>({ path: join(order.home.lmdb, "durable"), maxReaders: 1_024 });
  const volatile = open<unknown, string>({ path: join(order.home.lmdb, "volatile"), maxReaders: 1_024, noSync: true });
  return {
    counters: new LmdbCounters(durable, volatile, "t-", order.name),
    close: async () => {
      await durable.close();
      await volatile.close();
    },
  };
}

function count(verdict: number, waiting?: Waiting): void {
  verdicts[verdict]! += 1;
  if (verdict !== ADMIT) return;
  // Which window it was admitted in, or when it was logged.
  stamp.writeDoubleLE(waiting?.logged[0] ?? set.leases[0]?.end ?? 0);
  writeSync(log, stamp);
}

function call(done: () => void): void {
  const now = clock();
  const verdict = set.take(now);
  if (verdict !== WAIT) {
    count(verdict);
    done();
    return;
  }
  const decided = (final: number): void => {
    count(final, waiting);
    done();
  };
  let waiting: Waiting | undefined;
  waiting = set.wait({ decided }, now);
}

async function hammer(total: number): Promise<void> {
  let left = total;
  const one = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await new Promise<void>((resolve) => call(resolve));
      // Calls of real connections arrive turn by turn.
      if (left % 4 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT }, one));
}

async function pace(each: number): Promise<void> {
  let running = true;
  process.once("message", () => {
    running = false;
  });
  let open = 0;
  while (running || open > 0) {
    for (let i = 0; running && i < each; i++) {
      open += 1;
      call(() => {
        open -= 1;
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

process.once("message", async () => {
  ticking = setInterval(() => engine.tick(clock()), 50);
  if (order.calls !== undefined) await hammer(order.calls);
  else await pace(order.each5ms ?? 1);
  await engine.stop();
  clearInterval(ticking);
  process.send?.({ verdicts } satisfies HammerReport, undefined, undefined, async () => {
    await close();
    process.disconnect();
  });
});
await reachable();
process.send?.("ready");

async function reachable(): Promise<void> {
  for (;;) {
    try {
      await counters.beat();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
