/** What one run of load reports, whoever drove it. Must not know which client it was. */
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
