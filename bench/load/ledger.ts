/** Counts what the calls came to: successes, failures by reason, durations. Must not know connections. Runs once per call. */
import { latencyOf, type Share } from "../outcome.js";
import { Histogram } from "./histogram.js";

const REASONS_KEPT = 20;

export class Ledger {
  calls = 0;
  messages = 0;
  bytes = 0;
  running = 0;
  readonly failures = new Map<string, number>();
  readonly durations = new Histogram();
  #started = 0;
  #lastEnd = 0;

  begin(now: number): void {
    this.#started = now;
    this.#lastEnd = now;
  }

  /** Times are milliseconds of performance.now(); the histogram keeps nanoseconds. */
  succeeded(intended: number, now: number, messages: number, bytes: number): void {
    this.calls++;
    this.messages += messages;
    this.bytes += bytes;
    this.#lastEnd = now;
    this.durations.record((now - intended) * 1e6);
  }

  /** A call that was due and never started: it took at least this long. */
  waited(intended: number, now: number): void {
    this.durations.record((now - intended) * 1e6);
  }

  failed(reason: string): void {
    const kept = this.failures.size < REASONS_KEPT || this.failures.has(reason) ? reason : "other reasons";
    this.failures.set(kept, (this.failures.get(kept) ?? 0) + 1);
  }

  outcome(): Share {
    const cpu = process.cpuUsage();
    return {
      calls: this.calls,
      messages: this.messages,
      bytes: this.bytes,
      seconds: Math.max(1e-9, (this.#lastEnd - this.#started) / 1000),
      failures: Object.fromEntries(this.failures),
      latency: this.calls === 0 ? null : latencyOf(this.durations),
      clientNs: (cpu.user + cpu.system) * 1000,
      durations: this.durations.data(),
    };
  }
}
