// How this process is: its loop, its memory, its CPU. Must not know: calls.
// Responsible for a watch on the loop's delay, which is a timer of the runtime's own and costs no JavaScript.
// Runs: per collection.

import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import type { Sample } from "../../shared/observe/figures.js";
import type { Increments } from "./increments.js";

const RESOLUTION_MS = 20;
const NS = 1e9;

export class ProcessReadings {
  private readonly delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private before = performance.eventLoopUtilization();

  constructor() {
    this.delay.enable();
  }

  read(into: Sample[], increments: Increments): void {
    const gauge = (name: string, value: number, labels: Sample["labels"] = {}): void => {
      into.push({ name, labels, value });
    };
    const { delay } = this;
    // The histogram holds whole intervals; what is over the resolution is delay. Empty it says nonsense.
    const over = (ns: number): number => (delay.count === 0 ? 0 : Math.max(0, ns / NS - RESOLUTION_MS / 1_000));
    gauge("sluice_event_loop_delay_seconds", over(delay.percentile(50)), { quantile: "0.5" });
    gauge("sluice_event_loop_delay_seconds", over(delay.percentile(99)), { quantile: "0.99" });
    gauge("sluice_event_loop_delay_seconds", over(delay.max), { quantile: "1" });
    delay.reset();
    const now = performance.eventLoopUtilization();
    gauge("sluice_event_loop_busy_ratio", performance.eventLoopUtilization(now, this.before).utilization);
    this.before = now;
    const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
    gauge("sluice_memory_bytes", rss, { kind: "resident" });
    gauge("sluice_memory_bytes", heapUsed, { kind: "heap" });
    gauge("sluice_memory_bytes", external, { kind: "external" });
    gauge("sluice_memory_bytes", arrayBuffers, { kind: "buffers" });
    const { user, system } = process.cpuUsage();
    increments.add(into, "sluice_cpu_seconds_total", user / 1e6, { mode: "user" });
    increments.add(into, "sluice_cpu_seconds_total", system / 1e6, { mode: "system" });
  }

  end(): void {
    this.delay.disable();
  }
}
