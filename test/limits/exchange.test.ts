import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { Redis } from "ioredis";
import {
  type Ask,
  BIRTH,
  type Counter,
  END,
  exchange,
  GRANTED,
  LEAVING,
  LEFT,
  MINE,
  SLIDE_ADMITTED,
  slide,
} from "../../src/shared/counters/exchange.js";
import { packAsks, unpackReplies } from "../../src/shared/counters/packed.js";
import { EXCHANGE, SLIDE } from "../../src/shared/counters/scripts.js";
import { type RedisServer, redisMissing, startRedis } from "../store/redis-server.js";

const START_US = 1_763_800_000_000_000;

function ask(changes: Partial<Ask>): Ask {
  const empty = { key: "k", holder: "a", limit: 100, perMs: 1_000, aligned: true, need: 0, want: 0 };
  return { ...empty, held: 0, mine: 0, birth: 0, end: 0, ...changes };
}

describe("the arithmetic of a shared counter", () => {
  it("gives what is needed, and of what is wanted at most a sixteenth of the rest", () => {
    const [first, reply] = exchange(undefined, ask({ need: 2, want: 50 }), START_US);
    assert.equal(reply[GRANTED], 6);
    const [, second] = exchange(first, ask({ holder: "b", need: 90, want: 90 }), START_US);
    assert.equal(second[GRANTED], 90);
    assert.equal(second[LEFT], 4);
  });

  it("takes no batch out of a small limit", () => {
    const [, reply] = exchange(undefined, ask({ limit: 20, need: 1, want: 20 }), START_US);
    assert.equal(reply[GRANTED], 1);
  });

  it("never grants more than is left", () => {
    const [, reply] = exchange(undefined, ask({ limit: 3, need: 10 }), START_US);
    assert.deepEqual([reply[GRANTED], reply[LEFT]], [3, 0]);
  });

  it("forgets what an ended window gave", () => {
    const [counter, reply] = exchange(undefined, ask({ need: 60 }), START_US);
    const late = ask({ need: 100, mine: 60, birth: reply[BIRTH]!, end: reply[END]! });
    assert.equal(exchange(counter, late, START_US + 1_000_000)[1][GRANTED], 100);
  });

  it("raises a counter that the store has lost by what its workers say they used", () => {
    const [counter, a] = exchange(undefined, ask({ need: 60 }), START_US);
    const b = exchange(counter, ask({ holder: "b", need: 30 }), START_US)[1];
    const [again] = exchange(undefined, ask({ mine: 60, birth: a[BIRTH]!, end: a[END]! }), START_US + 5);
    const [, last] = exchange(
      again,
      ask({ holder: "b", need: 99, mine: 30, birth: b[BIRTH]!, end: b[END]! }),
      START_US + 9,
    );
    assert.equal(last[GRANTED], 10);
  });

  it("goes on in the remembered window when a lost counter was a quota", () => {
    const quota = { aligned: false, perMs: 60_000 };
    const [, a] = exchange(undefined, ask({ ...quota, need: 1 }), START_US);
    const report = ask({ ...quota, mine: 1, birth: a[BIRTH]!, end: a[END]! });
    const [, again] = exchange(undefined, report, START_US + 30_000_000);
    assert.equal(again[END], a[END]);
  });

  it("takes a grant back whose answer the worker never got", () => {
    const [counter, a] = exchange(undefined, ask({ need: 10 }), START_US);
    const [lost] = exchange(counter, ask({ need: 50, mine: 10, birth: a[BIRTH]!, end: a[END]! }), START_US);
    const [after] = exchange(lost, ask({ mine: 10, birth: a[BIRTH]!, end: a[END]! }), START_US);
    assert.equal(after.taken, 10);
  });

  it("takes a grant back whose answer was the first of its holder", () => {
    const [counter] = exchange(undefined, ask({ need: 10 }), START_US);
    const [after, reply] = exchange(counter, ask({ need: 1 }), START_US);
    assert.deepEqual([after.taken, reply[MINE]], [1, 1]);
  });

  it("keeps what a leaving worker used", () => {
    const [counter, a] = exchange(undefined, ask({ need: 10 }), START_US);
    const leave = ask({ held: LEAVING, mine: 7, birth: a[BIRTH]!, end: a[END]! });
    const [after] = exchange(counter, leave, START_US);
    assert.deepEqual([after.taken, after.shares], [7, []]);
  });

  it("bounds the workers a counter remembers", () => {
    let counter: Counter | undefined;
    for (let i = 0; i < 2_000; i++) {
      counter = exchange(
        counter,
        ask({ holder: `w${i}`, limit: 5_000, perMs: 0, need: 1 }),
        START_US + i * 1_000_000,
      )[0];
    }
    assert.ok(counter !== undefined && counter.shares.length <= 256);
    assert.equal(counter.taken, 2_000);
  });

  it("a sliding log holds no more than the limit in any period and does not count what it refuses", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.array(fc.integer({ min: 0, max: 400_000 }), { maxLength: 60 }),
        (limit, gaps) => {
          let log: number[] = [];
          let now = START_US;
          const admitted: number[] = [];
          for (const gap of gaps) {
            now += gap;
            const free = admitted.filter((at) => at > now - 1_000_000).length < limit;
            const [next, reply] = slide(log, limit, 1_000, now);
            log = next;
            assert.equal(reply[SLIDE_ADMITTED] === 1, free);
            if (free) admitted.push(now);
          }
        },
      ),
    );
  });
});

/** One step of a random life: who reports, what has happened to it since, how much time has passed. */
const step = fc.record({
  worker: fc.constantFrom("a", "b", "c"),
  need: fc.integer({ min: 0, max: 6 }),
  want: fc.integer({ min: 0, max: 80 }),
  back: fc.integer({ min: 0, max: 5 }),
  held: fc.integer({ min: -1, max: 5 }),
  gapUs: fc.oneof(fc.integer({ min: 0, max: 900 }), fc.integer({ min: 0, max: 3_000_000 })),
  happens: fc.constantFrom(
    "",
    "",
    "",
    "",
    "store lost",
    "answer lost",
    "worker forgets",
    "limit changes",
    "per changes",
  ),
});

const life = fc.record({
  limit: fc.integer({ min: 0, max: 300 }),
  perMs: fc.constantFrom<number>(0, 1, 50, 1_000, 60_000),
  aligned: fc.boolean(),
  steps: fc.array(step, { maxLength: 30 }),
});

describe("the script and its twin", { skip: redisMissing() }, () => {
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

  it("agree on every answer of random lives", async () => {
    await fc.assert(
      fc.asyncProperty(life, async ({ limit, perMs, aligned, steps }) => {
        await redis.del("k");
        let twin: Counter | undefined;
        // Far in the future, so that the windows' ends do not remove what is looked at.
        let us = START_US * 2;
        const known = new Map<string, { mine: number; birth: number; end: number }>();
        for (const each of steps) {
          us += each.gapUs;
          if (each.happens === "store lost") {
            twin = undefined;
            await redis.del("k");
          }
          if (each.happens === "worker forgets") known.delete(each.worker);
          if (each.happens === "limit changes") limit += 7;
          if (each.happens === "per changes") perMs = perMs === 0 ? 500 : 0;
          const memory = known.get(each.worker) ?? { mine: 0, birth: 0, end: 0 };
          memory.mine = Math.max(0, memory.mine - each.back);
          const { need, want, held } = each;
          const said: Ask = { key: "k", holder: each.worker, limit, perMs, aligned, need, want, held, ...memory };
          const [next, expected] = exchange(structuredClone(twin), said, us);
          twin = next;
          const answer = await redis.callBuffer("EVAL", EXCHANGE, 1, "k", us, packAsks([said]));
          assert.deepEqual([...unpackReplies(answer as Buffer)], expected);
          if (each.happens !== "answer lost") {
            known.set(each.worker, { mine: expected[MINE]!, birth: expected[BIRTH]!, end: expected[END]! });
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  it("agree on the sliding log", async () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 30_000 }), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), gaps, async (limit, between) => {
        await redis.del("log");
        let log: number[] = [];
        let us = START_US;
        for (const [index, gap] of between.entries()) {
          us += gap;
          const [next, expected] = slide(log, limit, 100, us);
          log = next;
          assert.deepEqual(await redis.eval(SLIDE, 1, "log", us, index, limit, 100), expected);
        }
      }),
      { numRuns: 60 },
    );
  });
});
