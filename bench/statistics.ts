/**
 * The few figures the bench speaks in: median, spread, ratio, and rank tests for "is it different". Pure arithmetic; must not know
 * what was measured. Runs once per table row.
 */

export const median = (values: readonly number[]): number => {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

/** Half the distance from the smallest to the largest, as a share of the median: "± 4 %". */
export const spread = (values: readonly number[]): number =>
  values.length < 2 ? 0 : (Math.max(...values) - Math.min(...values)) / 2 / median(values);

/** The ratio of each round's pair, then its median: what both suffered in the same second falls out. */
export const pairedRatio = (ours: readonly number[], theirs: readonly number[]): number => {
  const pairs = Math.min(ours.length, theirs.length);
  const ratios: number[] = [];
  for (let i = 0; i < pairs; i++) ratios.push(ours[i]! / theirs[i]!);
  return median(ratios);
};

/** Complementary error function, Abramowitz and Stegun 7.1.26: wrong by less than 1.5e-7, enough for a p-value. */
const erfc = (x: number): number => {
  const t = 1 / (1 + 0.3275911 * x);
  const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return sum * Math.exp(-x * x);
};

interface Ranked {
  readonly sum: number;
  readonly ties: number;
}

/** Sum of the ranks of `a` among both; equal values share the mean of their ranks. */
const rankSum = (a: readonly number[], b: readonly number[]): Ranked => {
  const all = [...a.map((value) => ({ value, ours: true })), ...b.map((value) => ({ value, ours: false }))];
  all.sort((x, y) => x.value - y.value);
  let sum = 0;
  let ties = 0;
  for (let i = 0; i < all.length; ) {
    let j = i;
    while (j < all.length && all[j]!.value === all[i]!.value) j++;
    const rank = (i + 1 + j) / 2;
    for (let k = i; k < j; k++) if (all[k]!.ours) sum += rank;
    const tied = j - i;
    ties += tied * tied * tied - tied;
    i = j;
  }
  return { sum, ties };
};

/** In how many ways `n` of the first `n + m` ranks reach each U: the exact distribution without ties. */
const exactCounts = (n: number, m: number): number[] => {
  const most = ((n + m) * (n + m + 1)) / 2;
  const ways = Array.from({ length: n + 1 }, () => new Float64Array(most + 1));
  ways[0]![0] = 1;
  for (let rank = 1; rank <= n + m; rank++) {
    // Larger choices first, so that no rank is chosen twice.
    for (let chosen = Math.min(n, rank); chosen > 0; chosen--) {
      for (let sum = rank; sum <= most; sum++) ways[chosen]![sum]! += ways[chosen - 1]![sum - rank]!;
    }
  }
  const least = (n * (n + 1)) / 2;
  return [...ways[n]!.subarray(least, least + n * m + 1)];
};

const EXACT_LIMIT = 20;

/** Two-sided Mann-Whitney U: exact for short runs without ties, the normal approximation (with ties corrected) otherwise. */
export const mannWhitney = (a: readonly number[], b: readonly number[]): number => {
  const [n, m] = [a.length, b.length];
  if (n === 0 || m === 0) return 1;
  const { sum, ties } = rankSum(a, b);
  const u = sum - (n * (n + 1)) / 2;
  if (ties === 0 && n + m <= EXACT_LIMIT) {
    const counts = exactCounts(n, m);
    const total = counts.reduce((x, y) => x + y, 0);
    const low = Math.min(u, n * m - u);
    return Math.min(1, (2 * counts.slice(0, low + 1).reduce((x, y) => x + y, 0)) / total);
  }
  const size = n + m;
  const deviation = Math.sqrt(((n * m) / 12) * (size + 1 - ties / (size * (size - 1))));
  if (deviation === 0) return 1;
  return erfc(Math.max(0, Math.abs(u - (n * m) / 2) - 0.5) / deviation / Math.SQRT2);
};

/**
 * Two-sided Wilcoxon signed-rank test over pairs of the same round, exact, ties included: what the machine does to a whole round falls out of
 * it, where the test above would count it as scatter. Ratios are ranked, not differences: a slow round weighs no more than a quick one.
 */
export const signedRank = (a: readonly number[], b: readonly number[]): number => {
  const apart = a
    .slice(0, b.length)
    .map((value, i) => Math.log(value / b[i]!))
    .filter((value) => value !== 0)
    .sort((x, y) => Math.abs(x) - Math.abs(y));
  // Twice the ranks, so that shared ones are whole numbers.
  const ranks: number[] = [];
  for (let i = 0; i < apart.length; ) {
    let j = i;
    while (j < apart.length && Math.abs(apart[j]!) === Math.abs(apart[i]!)) j++;
    for (let k = i; k < j; k++) ranks.push(i + 1 + j);
    i = j;
  }
  const most = ranks.reduce((sum, rank) => sum + rank, 0);
  const above = ranks.reduce((sum, rank, i) => sum + (apart[i]! > 0 ? rank : 0), 0);
  // How likely each sum is when every sign is a toss of a coin.
  const likely = new Float64Array(most + 1);
  likely[0] = 1;
  for (const rank of ranks)
    for (let sum = most; sum >= 0; sum--) likely[sum] = (likely[sum]! + (sum < rank ? 0 : likely[sum - rank]!)) / 2;
  const tail = likely.subarray(0, Math.min(above, most - above) + 1).reduce((x, y) => x + y, 0);
  return Math.min(1, 2 * tail);
};

export type Difference = "lower" | "higher" | "no difference";

/** `lower` means that `change` uses less than `base`, at the 5 % level; by pairs of rounds where `test` is told so. */
export const difference = (
  base: readonly number[],
  change: readonly number[],
  test: (a: readonly number[], b: readonly number[]) => number = mannWhitney,
  level = 0.05,
): Difference => {
  if (test(base, change) >= level) return "no difference";
  const lower = test === signedRank ? pairedRatio(change, base) < 1 : median(change) < median(base);
  return lower ? "lower" : "higher";
};
