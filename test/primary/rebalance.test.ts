// Responsible for: when connections are asked to leave a busy worker. Pure arithmetic.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Carrier, isHot, Rebalance } from "../../src/primary/rebalance.js";

const worker = (busy: number, connections = 10): Carrier => ({ busy, connections });

/** The first move within so many looks at the same workers. */
function firstMove(workers: readonly Carrier[], looks: number) {
  const rebalance = new Rebalance<Carrier>();
  for (let n = 1; n <= looks; n++) {
    const move = rebalance.look(workers);
    if (move !== undefined) return { ...move, look: n };
  }
  return undefined;
}

describe("rebalancing", () => {
  test("moves some connections off a worker that is busy while others are not, at the second look", () => {
    const hot = worker(0.95, 40);
    const move = firstMove([hot, worker(0.1), worker(0.1)], 5);
    assert.equal(move?.worker, hot);
    assert.equal(move?.look, 2);
    assert.equal(move?.connections, 10);
  });

  test("moves nothing when all are busy, or none, or only one is known", () => {
    assert.equal(firstMove([worker(0.95), worker(0.9)], 5), undefined);
    assert.equal(firstMove([worker(0.5), worker(0.0)], 5), undefined);
    assert.equal(firstMove([worker(0.95), worker(-1)], 5), undefined);
    assert.equal(firstMove([worker(0.95)], 5), undefined);
    assert.equal(firstMove([], 5), undefined);
  });

  test("moves nothing off a worker with one connection, and never its last one", () => {
    assert.equal(firstMove([worker(1, 1), worker(0)], 5), undefined);
    assert.equal(firstMove([worker(1, 2), worker(0)], 5)?.connections, 1);
  });

  test("does not act on a moment: another worker in between begins the count anew", () => {
    const rebalance = new Rebalance<Carrier>();
    const [one, two] = [worker(0.9), worker(0.9)];
    assert.equal(rebalance.look([one, worker(0)]), undefined);
    assert.equal(rebalance.look([worker(0), two]), undefined);
    assert.equal(rebalance.look([one, worker(0)]), undefined);
    assert.notEqual(rebalance.look([one, worker(0)]), undefined);
  });

  test("rests after a move until its effect can be seen", () => {
    const rebalance = new Rebalance<Carrier>();
    const workers = [worker(1), worker(0)];
    const moves = Array.from({ length: 8 }, () => rebalance.look(workers) !== undefined);
    assert.deepEqual(moves, [false, true, false, false, false, false, true, false]);
  });

  test("a hot worker is one that is busy and far above the mean", () => {
    assert.equal(isHot(worker(0.9), [worker(0.9), worker(0.2)]), true);
    assert.equal(isHot(worker(0.9), [worker(0.9), worker(0.8)]), false);
    assert.equal(isHot(worker(0.4), [worker(0.4), worker(0)]), false);
  });
});
