// Responsible for: what the processes of a gateway hold, sampled from outside, and whether it stays the same.
// Must not know: load, gateways. Governed by: proc(5); issue "Operating it", acceptance. How often: every few seconds of a soak.

import { readdirSync, readFileSync } from "node:fs";

const MIB = 1 << 20;

export interface Sample {
  /** Seconds since the soak began. */
  readonly second: number;
  readonly pid: number;
  readonly role: string;
  readonly rss: number;
  readonly descriptors: number;
  readonly threads: number;
}

/** Null for a process that has ended meanwhile. */
export function sample(pid: number, role: string, second: number): Sample | null {
  try {
    const text = readFileSync(`/proc/${pid}/status`, "utf8");
    const descriptors = readdirSync(`/proc/${pid}/fd`).length;
    const of = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? Number.NaN);
    const rss = of("VmRSS") * 1_024;
    return Number.isNaN(rss) ? null : { second, pid, role, rss, descriptors, threads: of("Threads") };
  } catch {
    return null;
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

/** What may be more at the end than in the middle. */
export interface Allowance {
  /** Of RSS the larger of the two. */
  readonly share: number;
  readonly bytes: number;
  readonly handles: number;
}

export interface Growth {
  readonly role: string;
  readonly pid: number;
  readonly text: string;
  readonly flat: boolean;
}

/** Medians of two spans of a process's life: single samples are before or after a collection of garbage. */
export function growth(before: readonly Sample[], after: readonly Sample[], may: Allowance): Growth {
  const { role = "", pid = 0 } = before[0] ?? {};
  const both = (pick: (one: Sample) => number): [number, number] => [median(before.map(pick)), median(after.map(pick))];
  const [rss, rssAfter] = both((one) => one.rss);
  const [open, openAfter] = both((one) => one.descriptors);
  const [threads, threadsAfter] = both((one) => one.threads);
  const mib = (bytes: number): string => (bytes / MIB).toFixed(1);
  return {
    role,
    pid,
    text: `${role} ${pid}: ${mib(rss)} → ${mib(rssAfter)} MiB, ${open} → ${openAfter} descriptors, ${threads} → ${threadsAfter} threads`,
    flat:
      rssAfter <= Math.max(rss * (1 + may.share), rss + may.bytes) &&
      openAfter <= open + may.handles &&
      threadsAfter <= threads + may.handles,
  };
}

/** For the eye, and for other programs: columns apart by tabs. */
export function tableOf(samples: readonly Sample[]): string {
  const rows = samples.map(({ second, role, pid, rss, descriptors, threads }) =>
    [second.toFixed(0), role, pid, (rss / MIB).toFixed(1), descriptors, threads].join("\t"),
  );
  return `second\trole\tpid\trss_mib\tdescriptors\tthreads\n${rows.join("\n")}\n`;
}
