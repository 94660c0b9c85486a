/** What only real homes can show: fixed windows, logs, resets, living workers. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Cluster, Redis } from "ioredis";
import { open, type RootDatabase } from "lmdb";
import type { Counters } from "../../src/shared/counters/counters.js";
import { openCounters } from "../../src/shared/counters/open.js";
import { LimitEngine, type LimitSpec } from "../../src/worker/admit/limits/engine.js";
import { ADMIT, QUOTA, RATE } from "../../src/worker/admit/limits/limit.js";
import { type RedisServer, redisMissing, startRedis } from "../store/redis-server.js";
import { call } from "./callers.js";

const clock = (): number => performance.now();

function spec(key: string, count: LimitSpec["count"], limit: number): LimitSpec {
  return { key, kind: RATE, limit, perMs: 3_600_000, count };
}

async function admitted(engine: LimitEngine, specs: readonly LimitSpec[], count: number): Promise<number> {
  const set = engine.set(specs);
  let sum = 0;
  for (let i = 0; i < count; i++) if ((await call(set, clock())) === ADMIT) sum += 1;
  return sum;
}

function suite(counters: (worker: string) => Counters): void {
  const engine = (worker: string): LimitEngine => new LimitEngine({ counters: counters(worker), worker, clock });

  for (const count of ["leased", "exact", "fixed"] as const) {
    it(`${count}: two workers share a limit`, async () => {
      const specs = [spec(`shared-${count}`, count, 50)];
      const [a, b] = [engine("a"), engine("b")];
      assert.equal(await admitted(a, specs, 30), 30);
      assert.equal(await admitted(b, specs, 30), 20);
      await Promise.all([a.stop(), b.stop()]);
    });
  }

  it("an exact call that a quota refuses leaves the log", async () => {
    const a = engine("a");
    const quota: LimitSpec = { key: "quota-small", kind: QUOTA, limit: 3, perMs: 0, count: "leased" };
    assert.equal(await admitted(a, [spec("with-quota", "exact", 10), quota], 9), 3);
    assert.equal(await admitted(a, [spec("with-quota", "exact", 10)], 9), 7);
    await a.stop();
  });

  it("says what a counter holds, and forgets the uses when told to", async () => {
    const home = counters("a");
    const a = new LimitEngine({ counters: home, worker: "a", clock });
    const specs: LimitSpec[] = [{ key: "quota-reset", kind: QUOTA, limit: 5, perMs: 0, count: "leased" }];
    assert.equal(await admitted(a, specs, 9), 5);
    assert.equal((await home.read("quota-reset", true))?.taken, 5);
    await home.clear("quota-reset", true);
    assert.equal((await home.read("quota-reset", true))?.taken, 0);
    assert.equal(await admitted(a, specs, 9), 5);
    assert.equal(await home.read("never-seen", true), undefined);
    await a.stop();
  });

  it("knows the living workers, and the ones that left no longer", async () => {
    const [a, b] = [counters("one"), counters("two")];
    await a.beat();
    assert.deepEqual((await b.beat()).names.toSorted(), ["one", "two"]);
    await a.leave();
    const { names, epoch } = await b.beat();
    assert.deepEqual(names, ["two"]);
    assert.equal((await b.beat()).epoch, epoch);
  });
}

describe("limits on lmdb", () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-limits-"));
  let durable: RootDatabase<unknown, string>;
  let volatile: RootDatabase<unknown, string>;
  before(() => {
    durable = open({ path: join(folder, "durable") });
    volatile = open({ path: join(folder, "volatile"), noSync: true });
  });
  after(async () => {
    await durable.close();
    await volatile.close();
    rmSync(folder, { recursive: true, force: true });
  });
  suite((worker) => openCounters({ home: "embedded", durable, volatile, prefix: "p-" }, worker));
});

describe("limits on a redis cluster", { skip: redisMissing() }, () => {
  let server: RedisServer;
  let redis: Cluster;
  before(async () => {
    server = await startRedis(["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"]);
    const node = new Redis(server.port, "127.0.0.1");
    await node.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    while (!(await node.cluster("INFO")).includes("cluster_state:ok"))
      await new Promise((resolve) => setTimeout(resolve, 20));
    node.disconnect();
    redis = new Cluster([{ host: "127.0.0.1", port: server.port }]);
  });
  after(async () => {
    redis.disconnect();
    await server.stop();
  });
  suite((worker) => openCounters({ home: "redis", redis, prefix: "p-" }, worker));
});

describe("limits on redis", { skip: redisMissing() }, () => {
  let server: RedisServer;
  let redis: Redis;
  before(async () => {
    server = await startRedis();
    redis = new Redis(server.port, "127.0.0.1");
  });
  after(async () => {
    redis.disconnect();
    await server.stop();
  });
  suite((worker) => openCounters({ home: "redis", redis, prefix: "p-" }, worker));

  it("go on when the scripts are gone", async () => {
    const a = new LimitEngine({
      counters: openCounters({ home: "redis", redis, prefix: "p-" }, "s"),
      worker: "s",
      clock,
    });
    const specs = [spec("scripts", "exact", 10)];
    assert.equal(await admitted(a, specs, 2), 2);
    await redis.script("FLUSH");
    assert.equal(await admitted(a, specs, 2), 2);
    await a.stop();
  });
});
