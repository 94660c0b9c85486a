/** The figures the bench speaks in, against values worked out by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { difference, mannWhitney, median, pairedRatio, signedRank, spread } from "../../bench/statistics.js";

test("the median of an even number of values lies between the middle two", () => {
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([9, 1, 5]), 5);
  assert.ok(Number.isNaN(median([])));
});

test("the spread is half of the range as a share of the median", () => {
  assert.equal(spread([9, 10, 11]), 0.1);
  assert.equal(spread([7]), 0);
});

test("the ratio is taken round by round, so a disturbance that hit both falls out", () => {
  assert.equal(pairedRatio([1, 10, 1.1], [2, 20, 2.2]), 0.5);
  assert.equal(pairedRatio([1, 2], [2]), 0.5);
});

test("the rank test gives the exact two-sided probability for small samples", () => {
  // All of three below all of three: 2 of the 20 arrangements are as extreme.
  assert.ok(Math.abs(mannWhitney([1, 2, 3], [4, 5, 6]) - 0.1) < 1e-12);
  // Five against five: 2 of 252.
  assert.ok(Math.abs(mannWhitney([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]) - 2 / 252) < 1e-12);
});

test("the rank test finds nothing in equal samples and in samples that are all ties", () => {
  assert.equal(mannWhitney([1, 1, 1], [1, 1, 1]), 1);
  assert.ok(mannWhitney([1, 3, 5, 7, 9], [2, 4, 6, 8, 10]) > 0.5);
  assert.equal(mannWhitney([], [1]), 1);
});

test("the approximation for long samples agrees with the exact test", () => {
  const a = Array.from({ length: 10 }, (_, i) => i * 2);
  const b = Array.from({ length: 10 }, (_, i) => i * 2 + 7);
  const exact = mannWhitney(
    a,
    b.map((value) => value + 0.5),
  );
  // One tie is enough to leave the exact path.
  const approximate = mannWhitney([...a, 100], [...b.map((value) => value + 0.5), 100]);
  assert.ok(Math.abs(exact - approximate) < 0.05);
});

test("a difference is only named when the rank test sees one", () => {
  assert.equal(difference([10, 11, 12, 13, 14, 15], [5, 6, 7, 8, 9, 9.5]), "lower");
  assert.equal(difference([5, 6, 7, 8, 9, 9.5], [10, 11, 12, 13, 14, 15]), "higher");
  assert.equal(difference([10, 11, 12], [9, 11.5, 12.5]), "no difference");
});

test("the paired test gives the exact two-sided probability, also where values are equal", () => {
  // All five pairs on one side: 2 of the 32 ways to toss.
  assert.ok(Math.abs(signedRank([1, 2, 3, 4, 5], [2, 5, 9, 13, 17]) - 2 / 32) < 1e-12);
  // Equal pairs say nothing; of two that are as far apart on either side, anything is as extreme.
  assert.equal(signedRank([1, 1, 2], [1, 2, 1]), 1);
  assert.equal(signedRank([3, 3], [3, 3]), 1);
  assert.equal(signedRank([], []), 1);
  // Ranks 1 to 4, the smallest on the other side: sums of 0 and 1 of 16, twice.
  assert.ok(Math.abs(signedRank([1.1, 1, 1, 1], [1, 2, 3, 4]) - 4 / 16) < 1e-12);
});

test("pairs see a difference that the machine's weather hides from unpaired ranks", () => {
  const weather = [1, 9, 3, 12, 2, 7, 15, 5];
  const change = weather.map((value) => value * 0.9);
  assert.equal(difference(weather, change), "no difference");
  assert.equal(difference(weather, change, signedRank), "lower");
  assert.equal(difference(change, weather, signedRank), "higher");
});
