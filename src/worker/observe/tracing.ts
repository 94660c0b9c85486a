// Traces: which calls get a span, and what stands in it. The caller's trace is continued (W3C Trace Context); spans leave by
// OTLP over HTTP in batches (span-export.ts, which is loaded only when traces are on).
// Responsible for the choice and for its bound: a caller's word that its call is sampled costs us work. Must not know:
// batches, the collector. Governed by Tyk's `opentelemetry`. Runs: once per call while traces are on.

import { randomFillSync } from "node:crypto";
import type { Clock } from "../../shared/base/clock.js";
import type { Settings } from "../../shared/config.js";
import type { Call } from "../call/call.js";
import type { CallWatcher } from "../call/call-end.js";
import {
  type CallTracer,
  chanceOf,
  isSampled,
  namesTrace,
  parseTraceparent,
  TracePlace,
  traceCall,
} from "../call/call-trace.js";
import type { SpanExport } from "./span-export.js";

type Sampling = Settings["opentelemetry"]["sampling"];

/** The longest way to the next call that is sampled: a small integer, so that counting down costs nothing. */
const FARTHEST = 2 ** 30;

export class Tracing implements CallTracer, CallWatcher {
  readonly spans: SpanExport;
  /** Of traces that begin here, and of others where the caller's word does not count. */
  private readonly rate: number;
  private readonly parentBased: boolean;
  private readonly mostPerSecond: number;
  private readonly clock: Clock;
  /** Calls without a trace of their own that are not sampled before the next that is. */
  private skipped: number;
  private secondBegan = 0;
  private begun = 0;

  constructor(options: Settings["opentelemetry"], spans: SpanExport, clock: Clock) {
    this.rate = rateOf(options.sampling);
    this.parentBased = options.sampling.parent_based;
    this.mostPerSecond = options.max_per_second;
    this.spans = spans;
    this.clock = clock;
    this.skipped = wayToNext(this.rate);
  }

  begin(call: Call): void {
    const { tracePlace } = call.plan;
    if (tracePlace !== TracePlace.NONE) this.beginOther(call, tracePlace);
    else if (--this.skipped < 0) this.beginOwn(call);
  }

  /** The call brings a traceparent, or several. */
  private beginOther(call: Call, place: number): void {
    // Two of them are one too many: nobody knows which trace it is.
    if (place === TracePlace.SEVERAL) return;
    const { value } = call.volatile[place]!;
    if (!namesTrace(value)) {
      if (--this.skipped < 0) this.beginOwn(call);
      return;
    }
    // A share of traces, not of calls: decided by the trace's number, everywhere alike.
    const wanted = this.parentBased ? isSampled(value) : chanceOf(value) < this.rate;
    if (!wanted || !this.hasRoom()) return;
    const { traceId, spanId } = parseTraceparent(value)!;
    traceCall(call, traceId, randomHex(8), spanId);
  }

  private beginOwn(call: Call): void {
    this.skipped = wayToNext(this.rate);
    if (this.rate > 0 && this.hasRoom()) traceCall(call, randomHex(16), randomHex(8), "");
  }

  ended(call: Call, origin: number, status: number, reason: string): void {
    if (call.trace === null) return;
    this.spans.add(call, call.trace, origin, status, reason, this.clock.now - call.down.born);
  }

  answered(): void {}

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

function rateOf({ type, rate }: Sampling): number {
  if (type === "AlwaysOff") return 0;
  return type === "TraceIDRatioBased" ? rate : 1;
}

/** How many are passed over when each is taken with the same chance: drawn once for all of them. */
function wayToNext(rate: number): number {
  if (rate <= 0) return FARTHEST;
  // Never the logarithm of zero.
  return Math.min(FARTHEST, Math.floor(Math.log(1 - Math.random()) / Math.log(1 - rate)));
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
