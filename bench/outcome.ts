/** What one run of load reports, whoever drove it. Must not know which client it was. */
import { Histogram, type HistogramData } from "./load/histogram.js";

export interface Outcome {
  readonly calls: number;
  readonly messages: number;
  /** Body bytes received and sent, prefixes included. */
  readonly bytes: number;
  readonly seconds: number;
  /** Reason → how often. Empty = every call was right. */
  readonly failures: Readonly<Record<string, number>>;
  /** Microseconds; null where the client does not keep them. */
  readonly latency: Latency | null;
  /** CPU nanoseconds that the client itself spent. */
  readonly clientNs: number;
}

/** What a client process hands back: its durations too, so that those of several can be put together. */
export interface Share extends Outcome {
  readonly durations: HistogramData;
}

export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export const failureText = (failures: Readonly<Record<string, number>>): string =>
  Object.entries(failures)
    .map(([reason, count]) => `${count} × ${reason}`)
    .join("; ");

export const latencyOf = (durations: Histogram): Latency | null => {
  const us = (share: number): number => durations.percentile(share) / 1000;
  if (durations.total === 0) return null;
  return { p50: us(0.5), p99: us(0.99), p999: us(0.999), max: durations.max / 1000 };
};

const sum = (shares: readonly Share[], key: "calls" | "messages" | "bytes" | "clientNs"): number =>
  shares.reduce((total, share) => total + share[key], 0);

/** Several processes that loaded the same proxy at the same time, as one: percentiles are those of all calls, not means of percentiles. */
export const mergeShares = (shares: readonly Share[]): Outcome => {
  const durations = new Histogram();
  const failures: Record<string, number> = {};
  for (const share of shares) {
    durations.add(Histogram.from(share.durations));
    for (const [reason, count] of Object.entries(share.failures)) failures[reason] = (failures[reason] ?? 0) + count;
  }
  return {
    calls: sum(shares, "calls"),
    messages: sum(shares, "messages"),
    bytes: sum(shares, "bytes"),
    seconds: Math.max(...shares.map((share) => share.seconds)),
    failures,
    latency: sum(shares, "calls") === 0 ? null : latencyOf(durations),
    clientNs: sum(shares, "clientNs"),
  };
};
