// Traces: which calls get a span, and what stands in it. The caller's trace is continued (W3C Trace Context); spans leave by
// OTLP over HTTP in batches (span-export.ts, which is loaded only when traces are on).
// Responsible for the choice and for its bound: a caller's word that its call is sampled costs us work. Must not know:
// batches, the collector. Governed by Tyk's `opentelemetry`. Runs: once per call while traces are on.

import { randomFillSync } from "node:crypto";
import type { Clock } from "../../shared/base/clock.js";
import type { Settings } from "../../shared/config.js";
import type { Call } from "../call/call.js";
import type { CallWatcher } from "../call/call-end.js";
import { type CallTracer, type Parent, parseTraceparent, TracePlace, traceCall } from "../call/call-trace.js";
import type { SpanExport } from "./span-export.js";

type Sampling = Settings["opentelemetry"]["sampling"];

export class Tracing implements CallTracer, CallWatcher {
  readonly spans: SpanExport;
  private readonly sampling: Sampling;
  private readonly mostPerSecond: number;
  private readonly clock: Clock;
  private secondBegan = 0;
  private begun = 0;

  constructor(options: Settings["opentelemetry"], spans: SpanExport, clock: Clock) {
    this.sampling = options.sampling;
    this.mostPerSecond = options.max_per_second;
    this.spans = spans;
    this.clock = clock;
  }

  begin(call: Call): void {
    const { tracePlace } = call.plan;
    // Two of them are one too many: nobody knows which trace it is.
    if (tracePlace === TracePlace.SEVERAL) return;
    const parent = tracePlace < 0 ? null : parseTraceparent(call.volatile[tracePlace]!.value);
    if (!this.wants(parent) || !this.hasRoom()) return;
    const traceId = parent === null ? randomHex(16) : parent.traceId;
    traceCall(call, traceId, randomHex(8), parent === null ? "" : parent.spanId);
  }

  ended(call: Call, origin: number, status: number, reason: string): void {
    if (call.trace === null) return;
    this.spans.add(call, call.trace, origin, status, reason, this.clock.now - call.down.born);
  }

  answered(): void {}

  /** A share of traces, not of calls: what has a trace is decided by its number, everywhere alike. */
  private wants(parent: Parent | null): boolean {
    const { type, rate, parent_based } = this.sampling;
    if (parent_based && parent !== null) return parent.sampled;
    if (type === "AlwaysOff") return false;
    if (type !== "TraceIDRatioBased") return true;
    const chance = parent === null ? Math.random() : Number.parseInt(parent.traceId.slice(-8), 16) / 0x1_0000_0000;
    return chance < rate;
  }

  private hasRoom(): boolean {
    const { now } = this.clock;
    if (now - this.secondBegan >= 1_000) {
      this.secondBegan = now;
      this.begun = 0;
    }
    if (++this.begun <= this.mostPerSecond) return true;
    this.spans.counts.dropped++;
    return false;
  }
}

const POOL = Buffer.alloc(4_096);
let used = POOL.length;

/** Asking the system for a few octets at a time would cost more than the rest. */
function randomHex(octets: number): string {
  if (used + octets > POOL.length) {
    randomFillSync(POOL);
    used = 0;
  }
  used += octets;
  return POOL.toString("hex", used - octets, used);
}
