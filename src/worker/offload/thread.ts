// What a pool thread runs: one job at a time, and how long it took. Must not know: who asked.
// Runs: once per job, on a thread.

import { setPriority } from "node:os";
import { isMainThread } from "node:worker_threads";
import { type Job, type Kind, runJob } from "./jobs.js";

/** Below the loop's: calls of everybody go before the password of one, also where both share a core. */
const NICENESS = 5;

// On Linux this is the calling thread's alone; elsewhere, or where it is not allowed, threads are as they are.
if (!isMainThread && process.platform === "linux") {
  try {
    setPriority(NICENESS);
  } catch {
    // Served all the same.
  }
}

export interface Done {
  readonly value: unknown;
  /** Microseconds on the thread. */
  readonly took: number;
}

export default function work(job: Job): Done {
  const begun = performance.now();
  const value = runJob(job.kind as Kind, job.with as never);
  return { value, took: Math.round((performance.now() - begun) * 1_000) };
}
