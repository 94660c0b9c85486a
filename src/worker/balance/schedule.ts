// The order in which weighted things take turns: each as often as it weighs, and as evenly spread as that allows.
// Responsible for the order only. Must not know: what takes turns. Runs: when weights or members change.

/** Beyond this a cycle would cost more memory than its last per cent of exactness is worth. */
const LONGEST = 2_048;
/** Weights are told apart as parts of the least one, down to a twelfth; beyond that, of the largest one, … */
const LARGEST_FACTOR = 12;
/** … in so many parts, which is as fine as a slow start needs to be. */
const FINEST = 20;

/**
 * One cycle as indexes into `weights`. Each index comes at the middles of as many equal parts of the cycle as it
 * weighs, so that no two of the same follow each other while another one is due.
 */
export function schedule(weights: readonly number[]): Int32Array {
  const shares = shorten(weights);
  let length = 0;
  for (const share of shares) length += share;
  const places: { readonly at: number; readonly index: number }[] = [];
  for (const [index, share] of shares.entries())
    for (let k = 0; k < share; k++) places.push({ at: (k + 0.5) / share, index });
  places.sort((a, b) => a.at - b.at || a.index - b.index);
  const order = new Int32Array(length);
  for (const [at, place] of places.entries()) order[at] = place.index;
  return order;
}

/** Whole numbers in the same proportions, as small as may be; what weighs anything at all keeps a turn. */
function shorten(weights: readonly number[]): number[] {
  const least = weights.reduce((low, weight) => (weight > 0 && weight < low ? weight : low), Number.POSITIVE_INFINITY);
  const longest = Math.max(LONGEST, weights.length);
  for (let factor = 1; factor <= LARGEST_FACTOR; factor++) {
    const shares = weights.map((weight) => whole((weight / least) * factor));
    if (!shares.includes(-1) && sum(shares) <= longest) return shares;
  }
  const largest = weights.reduce((high, weight) => Math.max(high, weight), 0);
  const parts = Math.max(1, Math.min(FINEST, Math.trunc(LONGEST / weights.length)));
  return weights.map((weight) => (weight <= 0 ? 0 : Math.max(1, Math.round((weight / largest) * parts))));
}

/** The whole number that `value` is but for the error of a division; -1 when it is none. */
function whole(value: number): number {
  const rounded = Math.round(value);
  return Math.abs(value - rounded) < 1e-9 ? rounded : -1;
}

function sum(values: readonly number[]): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}
