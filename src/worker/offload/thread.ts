// What a pool thread runs: one job at a time, and how long it took. Must not know: who asked.
// Runs: once per job, on a thread.

import { type Job, type Kind, runJob } from "./jobs.js";

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
