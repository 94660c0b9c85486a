// Spans on their way to a collector: kept in a bounded queue, sent as OTLP over HTTP in small batches, one at a time.
// Responsible for the bound and for when a batch leaves: after the turn it became full in, or when its first span has waited
// long enough. The only file that loads OpenTelemetry's exporter; it is imported when traces are switched on.
// Must not know: which calls are traced, what stands in a span (call-span.ts). Runs: per batch; `add` once per traced call.

import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { type Resource, resourceFromAttributes } from "@opentelemetry/resources";
import type { Logger } from "pino";
import type { Settings } from "../../shared/config.js";
import type { Call } from "../call/call.js";
import type { CallTrace } from "../call/call-trace.js";
import { CallSpan } from "./call-span.js";

/** Spans that the collector has not taken, those on their way included. */
const MOST_WAITING = 4_096;
/** A batch is written as JSON in one go, during which no call moves: about a millisecond. */
const BATCH = 256;
const DELAY_MS = 1_000;
/** What the end of the process may wait for the collector. */
const LAST_MS = 1_000;

export interface SpanCounts {
  sent: number;
  failed: number;
  /** Not begun, or not kept, because there were too many. */
  dropped: number;
}

export class SpanExport {
  readonly counts: SpanCounts = { sent: 0, failed: 0, dropped: 0 };
  private readonly exporter: OTLPTraceExporter;
  private readonly resource: Resource;
  private readonly log: Logger;
  private waiting: CallSpan[] = [];
  /** On their way to the collector. */
  private leaving = 0;
  private timer: NodeJS.Timeout | null = null;
  private asked = false;
  private failing = false;
  /** Set while the end waits for the last. */
  private emptied: (() => void) | null = null;

  constructor(options: Settings["opentelemetry"], log: Logger) {
    this.log = log;
    this.resource = resourceFromAttributes({ "service.name": options.resource_name, "process.pid": process.pid });
    this.exporter = new OTLPTraceExporter({
      url: options.endpoint,
      headers: { ...options.headers },
      timeoutMillis: options.connection_timeout * 1_000,
    });
  }

  add(call: Call, trace: CallTrace, origin: number, status: number, reason: string, ms: number): void {
    if (this.waiting.length + this.leaving >= MOST_WAITING) {
      this.counts.dropped++;
      return;
    }
    this.waiting.push(new CallSpan(call, trace, { origin, status, reason }, Date.now(), ms, this.resource));
    this.ask();
  }

  /** What waits is sent, if the collector takes it soon. */
  async end(): Promise<void> {
    const late = new Promise<void>((resolve) => setTimeout(resolve, LAST_MS).unref());
    const empty = new Promise<void>((resolve) => {
      this.emptied = resolve;
    });
    if (this.leaving === 0) this.send();
    await Promise.race([empty, late]);
    this.stopWaiting();
    await Promise.race([this.exporter.shutdown().catch(() => {}), late]);
  }

  /** While a batch is on its way its end asks for the next. */
  private ask(): void {
    if (this.leaving > 0 || this.asked) return;
    if (this.waiting.length >= BATCH) {
      this.asked = true;
      setImmediate(() => this.send());
    } else this.timer ??= setTimeout(() => this.send(), DELAY_MS).unref();
  }

  private stopWaiting(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private send(): void {
    this.stopWaiting();
    this.asked = false;
    if (this.leaving > 0) return;
    if (this.waiting.length === 0) {
      this.emptied?.();
      return;
    }
    const batch = this.waiting.splice(0, BATCH);
    this.leaving = batch.length;
    try {
      this.exporter.export(batch, ({ error }) => this.left(batch.length, error));
    } catch (error) {
      this.left(batch.length, error instanceof Error ? error : new Error(String(error)));
    }
  }

  private left(spans: number, error: Error | undefined): void {
    this.leaving = 0;
    this.note(error, spans);
    if (this.emptied !== null) this.send();
    else if (this.waiting.length > 0) this.ask();
  }

  /** Once per outage: the collector's trouble is not worth a line a second. */
  private note(error: Error | undefined, spans: number): void {
    this.counts[error === undefined ? "sent" : "failed"] += spans;
    const failing = error !== undefined;
    if (failing === this.failing) return;
    this.failing = failing;
    if (failing) this.log.warn({ reason: error.message }, "spans cannot be sent to the collector");
    else this.log.info("spans can be sent to the collector again");
  }
}
