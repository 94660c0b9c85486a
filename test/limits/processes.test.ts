import assert from "node:assert/strict";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { Redis } from "ioredis";
import type { LimitSpec } from "../../src/worker/admit/limits/engine.js";
import { DENY, QUOTA, RATE, UNAVAILABLE } from "../../src/worker/admit/limits/limit.js";
import { type RedisServer, redisMissing, startRedis } from "../store/redis-server.js";
import type { HammerOrder } from "./hammer.js";
import { Crowd } from "./processes.js";

const QUOTA_MAX = 10_000;
/** A sixteenth of what was left, and the calls that stood waiting. */
const LEASE_MAX = QUOTA_MAX / 16 + 20;

const quota: LimitSpec = { key: "quota-k", kind: QUOTA, limit: QUOTA_MAX, perMs: 0, count: "leased" };
const rate: LimitSpec = { key: "rate-k", kind: RATE, limit: 500, perMs: 1_000, count: "leased" };

function byWindow(stamps: readonly number[]): Map<number, number> {
  const windows = new Map<number, number>();
  for (const stamp of stamps) windows.set(stamp, (windows.get(stamp) ?? 0) + 1);
  return windows;
}

/** Lets whole windows of a second pass; what is asserted afterwards does not depend on how many. */
async function seconds(count: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, count * 1_000));
}

function suite(homeOf: (crowd: Crowd) => HammerOrder["home"]): void {
  let crowd: Crowd;
  beforeEach(() => {
    crowd = new Crowd();
  });
  afterEach(() => crowd.end());

  it("13,000 calls of four workers on a quota of 10,000: exactly 10,000 are admitted", async () => {
    await crowd.add(4, { home: homeOf(crowd), specs: [quota], calls: 3_250 });
    crowd.tell();
    const reports = await crowd.reports();
    assert.equal(crowd.stamps().length, QUOTA_MAX, JSON.stringify(reports));
    assert.equal(
      reports.reduce((sum, { verdicts }) => sum + verdicts[DENY]!, 0),
      3_000,
    );
  });

  it("no window holds more than its rate, and nearly all of it is used under four times the load", async () => {
    await crowd.add(4, { home: homeOf(crowd), specs: [rate], each5ms: 3 });
    crowd.tell();
    await seconds(4);
    crowd.tell();
    await crowd.reports();
    const counts = [...byWindow(crowd.stamps()).values()];
    assert.ok(Math.max(...counts) <= 500, `${counts}`);
    const whole = counts.slice(1, -1);
    assert.ok(whole.length >= 1 && whole.reduce((sum, each) => sum + each, 0) >= 490 * whole.length, `${counts}`);
  });

  it("exact: no span of a second holds more than the rate", async () => {
    await crowd.add(3, { home: homeOf(crowd), specs: [{ ...rate, limit: 200, count: "exact" }], each5ms: 2 });
    crowd.tell();
    await seconds(3);
    crowd.tell();
    await crowd.reports();
    const at = crowd.stamps();
    assert.ok(at.length > 200);
    for (let i = 200; i < at.length; i++) assert.ok(at[i]! - at[i - 200]! >= 1_000_000);
  });

  it("a worker killed in the middle loses at most its lease, and nothing is admitted twice", async () => {
    await crowd.add(4, { home: homeOf(crowd), specs: [quota], calls: 12_000 });
    crowd.tell();
    await crowd.admitted(3_000);
    crowd.kill(0);
    await crowd.reports();
    const admitted = crowd.stamps().length;
    assert.ok(admitted <= QUOTA_MAX && admitted >= QUOTA_MAX - LEASE_MAX, `${admitted} admitted`);
  });
}

describe("workers of one host on lmdb", () => {
  suite((crowd) => ({ lmdb: join(crowd.folder, "store") }));
});

describe("workers on one redis", { skip: redisMissing() }, () => {
  let server: RedisServer;
  beforeEach(async () => {
    server = await startRedis();
  });
  afterEach(() => server.stop());
  suite(() => ({ redis: server.port }));
});

describe("workers whose redis is in trouble", { skip: redisMissing() }, () => {
  let server: RedisServer;
  let crowd: Crowd;
  beforeEach(async () => {
    server = await startRedis(["--appendonly", "yes", "--appendfsync", "always"]);
    crowd = new Crowd();
  });
  afterEach(async () => {
    crowd.end();
    await server.stop();
  });

  /** Paced workers on a quota that they use up within a few seconds, and something that happens on the way. */
  async function through(trouble: () => Promise<void>): Promise<number> {
    await crowd.add(3, { home: { redis: server.port }, specs: [quota], each5ms: 10, waitMs: 300 });
    crowd.tell();
    await crowd.admitted(2_000);
    await trouble();
    const left = setTimeout(() => crowd.tell(), 15_000);
    await Promise.race([crowd.admitted(QUOTA_MAX), crowd.reports()]);
    clearTimeout(left);
    crowd.tell();
    await crowd.reports();
    return crowd.stamps().length;
  }

  it("killed and restarted: the quota goes on from where it was", async () => {
    const admitted = await through(async () => {
      await server.kill();
      await seconds(1);
      await server.again();
    });
    assert.equal(admitted, QUOTA_MAX);
  });

  it("emptied: the quota does not begin anew", async () => {
    const admitted = await through(async () => {
      const redis = new Redis(server.port, "127.0.0.1");
      await redis.flushall();
      redis.disconnect();
    });
    assert.equal(admitted, QUOTA_MAX);
  });

  it("frozen: every call is answered meanwhile, and the quota holds afterwards", async () => {
    const admitted = await through(async () => {
      server.freeze();
      await seconds(2);
      server.thaw();
    });
    assert.equal(admitted, QUOTA_MAX);
  });

  it("killed and restarted: no window holds more than its rate, and none of them nothing", async () => {
    await crowd.add(3, { home: { redis: server.port }, specs: [rate], each5ms: 4, waitMs: 300 });
    crowd.tell();
    await seconds(5);
    // Late in a window, when its units are used up: what is left then does not depend on the moment.
    await new Promise((resolve) => setTimeout(resolve, 1_700 - (Date.now() % 1_000)));
    await server.kill();
    await seconds(3);
    await server.again();
    await seconds(5);
    crowd.tell();
    await crowd.reports();
    const windows = byWindow(crowd.stamps());
    const ends = [...windows.keys()];
    assert.ok(Math.max(...windows.values()) <= 500, `${[...windows.values()]}`);
    for (let end = ends[0]!; end < ends.at(-1)!; end += 1_000)
      assert.ok((windows.get(end) ?? 0) > 0, `${[...windows]}`);
  });

  it("frozen for good: no call hangs", async () => {
    await crowd.add(2, { home: { redis: server.port }, specs: [quota], calls: 4_000, waitMs: 300 });
    crowd.tell();
    await crowd.admitted(500);
    server.freeze();
    const reports = await crowd.reports();
    assert.equal(reports.length, 2);
    assert.ok(reports.some(({ verdicts }) => verdicts[UNAVAILABLE]! > 0));
    assert.equal(
      reports.reduce((sum, { verdicts }) => sum + verdicts.reduce((a, b) => a + b), 0),
      8_000,
    );
  });
});
