/** The histogram against sorted values, and its correction for calls that could not start. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Histogram } from "../../bench/load/histogram.js";

const filled = (values: readonly number[]): Histogram => {
  const histogram = new Histogram();
  for (const value of values) histogram.record(value);
  return histogram;
};

test("small values are kept exactly", () => {
  const histogram = filled([1, 2, 3, 60]);
  assert.equal(histogram.percentile(0.25), 1);
  assert.equal(histogram.percentile(0.5), 2);
  assert.equal(histogram.percentile(1), 60);
});

test("an empty histogram answers zero", () => assert.equal(new Histogram().percentile(0.99), 0));

test("every percentile lies within 1.6 % above the sorted value", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 2 ** 40 }), { minLength: 1, maxLength: 200 }),
      fc.constantFrom(0.5, 0.9, 0.99, 1),
      (values, share) => {
        const exact = [...values].sort((a, b) => a - b)[Math.ceil(share * values.length - 1e-9) - 1]!;
        const found = filled(values).percentile(share);
        assert.ok(found >= exact && found <= exact * (1 + 1 / 64) + 1, `${found} for ${exact}`);
      },
    ),
  );
});

test("two histograms added are the histogram of all values", () => {
  const sum = filled([5, 500, 50_000]);
  sum.add(filled([7, 700, 70_000]));
  const all = filled([5, 500, 50_000, 7, 700, 70_000]);
  for (const share of [0.1, 0.5, 0.9, 1]) assert.equal(sum.percentile(share), all.percentile(share));
  assert.equal(sum.total, 6);
});

test("a stall counts for every call that should have started meanwhile", () => {
  const histogram = new Histogram();
  for (let i = 0; i < 99; i++) histogram.recordCorrected(1000, 1000);
  // One call of 100 intervals hides 99 others that waited too: half of all then took at least their share of it.
  histogram.recordCorrected(100_000, 1000);
  assert.equal(histogram.total, 99 + 100);
  assert.ok(histogram.percentile(0.75) > 40_000);
});
