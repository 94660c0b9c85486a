/**
 * A histogram of durations whose buckets grow with the value: 64 steps to every power of two, so any percentile is right to 1.6 %.
 * Must not know what was timed. Runs once per call.
 */

const STEPS = 64;
const STEP_BITS = 6;
const POWERS = 36;

/** As it travels between processes: only buckets that hold something, as pairs of place and count. */
export interface HistogramData {
  readonly buckets: readonly (readonly [number, number])[];
  readonly max: number;
}

export class Histogram {
  readonly counts = new Float64Array(STEPS * POWERS);
  total = 0;
  max = 0;

  /** Whole units (the bench uses nanoseconds up to 2^41); below 64 every value has a bucket of its own. */
  record(value: number, times = 1): void {
    this.counts[bucketOf(value)]! += times;
    this.total += times;
    if (value > this.max) this.max = value;
  }

  /**
   * Records a closed-loop value as an open loop would have seen it: while one call took longer than the interval at which calls were
   * meant to start, the ones that could not start waited too.
   */
  recordCorrected(value: number, interval: number): void {
    this.record(value);
    if (interval > 0) for (let missed = value - interval; missed >= interval; missed -= interval) this.record(missed);
  }

  /** The smallest bucket top below which `share` of all values lie; the largest value is exact. */
  percentile(share: number): number {
    if (this.total === 0) return 0;
    const wanted = Math.max(1, Math.ceil(share * this.total - 1e-9));
    let seen = 0;
    for (let i = 0; i < this.counts.length; i++) {
      seen += this.counts[i]!;
      if (seen >= wanted) return Math.min(topOf(i), this.max);
    }
    return this.max;
  }

  data(): HistogramData {
    const buckets: [number, number][] = [];
    for (let i = 0; i < this.counts.length; i++) if (this.counts[i]! > 0) buckets.push([i, this.counts[i]!]);
    return { buckets, max: this.max };
  }

  static from({ buckets, max }: HistogramData): Histogram {
    const histogram = new Histogram();
    for (const [bucket, count] of buckets) {
      histogram.counts[bucket] = count;
      histogram.total += count;
    }
    histogram.max = max;
    return histogram;
  }

  add(other: Histogram): void {
    for (let i = 0; i < this.counts.length; i++) this.counts[i]! += other.counts[i]!;
    this.total += other.total;
    this.max = Math.max(this.max, other.max);
  }
}

const bucketOf = (value: number): number => {
  const whole = Math.max(0, Math.round(value));
  if (whole < STEPS) return whole;
  const power = Math.floor(Math.log2(whole)) - STEP_BITS;
  return Math.min(STEPS * POWERS - 1, STEPS * (power + 1) + Math.floor(whole / 2 ** power) - STEPS);
};

const topOf = (bucket: number): number => {
  if (bucket < STEPS) return bucket;
  const power = Math.floor(bucket / STEPS) - 1;
  return (STEPS + (bucket % STEPS) + 1) * 2 ** power - 1;
};
