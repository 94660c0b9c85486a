// Responsible for: names of services that move, with a look-up that a test answers: what comes, what goes, and what stays
// while nobody answers. Must not know: DNS. Governed by: issue 6, item 3. How often: tests only.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { parseTarget } from "../../src/shared/model/target.js";
import type { Lookup } from "../../src/worker/upstream/target-pool.js";
import { upstreamScene } from "./scene.js";

type Found = Parameters<Lookup>[1];

/** One target with a name, and its questions in the order they came. */
function named(context: TestContext) {
  const questions: Found[] = [];
  const scene = upstreamScene(context, { lookup: (_, found) => void questions.push(found) });
  const target = parseTarget("h2c://service.test:1");
  assert.ok(!("problem" in target));
  const pool = scene.upstreams.pool(target.host, target.port);
  const balancer = scene.upstreams.balancer("api", [target], [pool], null);
  const answer = (...addresses: string[]): void => questions.shift()!("", addresses);
  const fail = (): void => questions.shift()!("ESERVFAIL", []);
  const tickAt = (now: number): void => {
    scene.time.now = now;
    scene.upstreams.tick(now);
  };
  const addresses = (): string[] => pool.endpoints.map((it) => it.address);
  return { ...scene, pool, balancer, questions, answer, fail, tickAt, addresses };
}

describe("a name", () => {
  test("lets calls wait for its first answer, and gives them back to be placed", (context) => {
    const { balancer, call, answer, outcomes } = named(context);
    balancer.give(call("one"));
    balancer.give(call("two"));
    assert.deepEqual(outcomes, []);
    answer("127.0.0.1");
    assert.deepEqual(outcomes, ["one again", "two again"]);
  });

  test("lets only so many calls wait", (context) => {
    const { balancer, call, outcomes } = named(context);
    for (let at = 0; at < 9; at++) balancer.give(call(`call ${at}`));
    assert.deepEqual(outcomes, ["call 8 fails queue_full"]);
  });

  test("that nobody knows fails its calls at once, and is asked again less and less often", (context) => {
    const { balancer, call, fail, tickAt, questions, outcomes, lines } = named(context);
    fail();
    balancer.give(call("one"));
    assert.deepEqual(outcomes, ["one fails lookup"]);
    const times: number[] = [];
    for (let now = 1_100; now < 40_000; now += 100) {
      tickAt(now);
      if (questions.length === 0) continue;
      times.push(now);
      fail();
    }
    assert.ok(times.length >= 4 && times.length <= 6, times.join(" "));
    assert.ok(times.every((it, at) => at < 2 || it - times[at - 1]! > 1.2 * (times[at - 1]! - times[at - 2]!)));
    assert.equal(lines.filter((it) => it.msg === "name cannot be resolved").length, 1, "the log is told once");
  });

  test("gets an endpoint for each address, once each, in the same order whatever the answer's", (context) => {
    const { answer, addresses } = named(context);
    answer("127.0.0.3", "127.0.0.1", "127.0.0.3", "127.0.0.2");
    assert.deepEqual(addresses(), ["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
  });

  test("is asked again after the interval, a little earlier or later; what stays keeps its endpoint", (context) => {
    const { answer, tickAt, questions, pool, addresses, lines } = named(context);
    answer("127.0.0.1", "127.0.0.2");
    const [first, second] = pool.endpoints;
    tickAt(1_000 + 26_000);
    assert.equal(questions.length, 0);
    tickAt(1_000 + 33_100);
    assert.equal(questions.length, 1);
    answer("127.0.0.2", "127.0.0.3");
    assert.deepEqual(addresses(), ["127.0.0.2", "127.0.0.3"]);
    assert.equal(pool.endpoints[0], second);
    assert.equal(first?.hopeful, false, "what is gone takes no calls");
    const moved = lines.find((it) => it.msg === "name moved");
    assert.deepEqual([moved?.["gone"], moved?.["fresh"]], [["127.0.0.1"], ["127.0.0.3"]]);
  });

  test("that cannot be resolved for a while keeps what it stood for", (context) => {
    const { answer, fail, tickAt, addresses, lines } = named(context);
    answer("127.0.0.1", "127.0.0.2");
    tickAt(40_000);
    fail();
    assert.deepEqual(addresses(), ["127.0.0.1", "127.0.0.2"]);
    tickAt(42_000);
    answer("127.0.0.1", "127.0.0.2");
    assert.deepEqual(
      lines.map((it) => it.msg),
      ["name cannot be resolved", "name is resolved again"],
    );
  });

  test("with more addresses than may be is cut off, and the log says so", (context) => {
    const { answer, addresses, lines } = named(context);
    answer(...Array.from({ length: 300 }, (_, at) => `127.1.${at >> 8}.${at & 255}`));
    assert.equal(addresses().length, 256);
    assert.deepEqual(
      lines.map((it) => [it.msg, it["found"]]),
      [["name has too many addresses", 300]],
    );
  });
});

describe("services that rewrites name", () => {
  test("are bounded in number: one that lies idle makes room for another", (context) => {
    const { upstreams } = upstreamScene(context);
    const all = Array.from({ length: 1_000 }, (_, at) => upstreams.single("api", "127.0.0.1", 1_000 + at, null));
    assert.ok(all.every((it) => it !== null));
    assert.equal([...upstreams.all()].length, 256);
  });

  test("that were forgotten are found again by calls whose decision still names them", (context) => {
    const { upstreams, call, outcomes } = upstreamScene(context);
    const first = upstreams.single("api", "127.0.0.1", 1_000, null)!;
    for (let at = 1; at <= 300; at++) upstreams.single("api", "127.0.0.1", 1_000 + at, null);
    first.give(call("late"));
    assert.deepEqual(outcomes, [], "it waits for its connection");
    assert.ok([...upstreams.all()].some((pool) => pool.port === 1_000 && pool.inFlight === 1));
  });

  test("stay as they are while they are used again", (context) => {
    const { upstreams } = upstreamScene(context);
    const one = upstreams.single("api", "127.0.0.1", 1_000, null);
    assert.equal(upstreams.single("api", "127.0.0.1", 1_000, null), one);
  });
});

describe("a new configuration", () => {
  test("keeps the choice of an API whose targets stay, with what its calls have shown", (context) => {
    const { upstreams, pool, balancer } = named(context);
    const target = parseTarget("h2c://service.test:1");
    assert.ok(!("problem" in target));
    assert.equal(upstreams.balancer("api", [target], [pool], null), balancer);
    upstreams.keepOnly(new Set([balancer]));
    assert.deepEqual([...upstreams.all()], [pool]);
    upstreams.keepOnly(new Set());
    assert.deepEqual([...upstreams.all()], []);
  });

  test("counts entries that send the same to the same place as one that weighs more", (context) => {
    const { upstreams, pool } = named(context);
    const [plain, other] = ["h2c://service.test:1", "h2c://service.test:1/below"].map(parseTarget);
    assert.ok(plain !== undefined && other !== undefined && !("problem" in plain) && !("problem" in other));
    const { places } = upstreams.balancer("many", [plain, other, plain], [pool, pool, pool], null);
    assert.deepEqual(
      places.map(({ target, weight }) => [target, weight]),
      [
        [0, 2],
        [1, 1],
      ],
    );
  });
});
