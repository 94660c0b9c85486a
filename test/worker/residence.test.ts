// Responsible for: how long callers' connections may stay, and how many there may be. Governed by: gRPC proposal A9.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { pino } from "pino";
import { Census } from "../../src/worker/downstream/census.js";
import { Residence } from "../../src/worker/downstream/residence.js";

const FOR_EVER = { maxAge: 0, maxAgeJitter: 0, maxIdle: 0 };

describe("the residence of a connection", () => {
  test("never ends without limits", () => {
    assert.equal(new Residence(0, 1).isOver(1e12, 1, 0, FOR_EVER), false);
  });

  test("ends at its greatest age, calls or not, each connection's a little different", () => {
    const limits = { ...FOR_EVER, maxAge: 1_000, maxAgeJitter: 0.1 };
    for (const [chance, age] of [
      [-1, 900],
      [0, 1_000],
      [1, 1_100],
    ] as const) {
      const residence = new Residence(50, chance);
      assert.equal(residence.isOver(50 + age - 1, 1, 3, limits), false);
      assert.equal(residence.isOver(50 + age, 1, 3, limits), true);
    }
  });

  test("ends after an idle time: open calls hold it, and calls that came and went since the last look", () => {
    const limits = { ...FOR_EVER, maxIdle: 100 };
    const residence = new Residence(0);
    assert.equal(residence.isOver(99, 0, 0, limits), false);
    assert.equal(residence.isOver(150, 1, 1, limits), false);
    assert.equal(residence.isOver(400, 1, 1, limits), false);
    assert.equal(residence.isOver(499, 1, 0, limits), false);
    assert.equal(residence.isOver(600, 5, 0, limits), false);
    assert.equal(residence.isOver(699, 5, 0, limits), false);
    assert.equal(residence.isOver(700, 5, 0, limits), true);
  });
});

describe("the census of connections", () => {
  const census = (perWorker: number, perAddress: number): { census: Census; lines: string[] } => {
    const lines: string[] = [];
    const made = new Census(pino({}, { write: (line: string) => void lines.push(line) }));
    made.limits = { perWorker, perAddress };
    return { census: made, lines };
  };

  test("admits as many as come without limits", () => {
    assert.equal(census(0, 0).census.admits("10.0.0.1", 1e6, 0), true);
  });

  test("counts each address apart, and forgets those that went", () => {
    const { census: counts } = census(0, 2);
    counts.came("10.0.0.1");
    counts.came("10.0.0.1");
    assert.equal(counts.admits("10.0.0.1", 2, 0), false);
    assert.equal(counts.admits("10.0.0.2", 2, 0), true);
    counts.went("10.0.0.1");
    assert.equal(counts.admits("10.0.0.1", 1, 0), true);
  });

  test("tells a storm of refusals once in a while, with its rule and how many there were", () => {
    const { census: counts, lines } = census(1, 0);
    for (let n = 0; n < 100; n++) counts.admits("10.0.0.1", 1, n);
    counts.admits("10.0.0.1", 1, 20_000);
    const told = lines.map((line) => JSON.parse(line) as { rule: string; refused: number });
    assert.deepEqual(
      told.map(({ rule, refused }) => [rule, refused]),
      [
        ["connections.max_per_worker", 1],
        ["connections.max_per_worker", 100],
      ],
    );
  });
});
