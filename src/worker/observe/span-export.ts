// Spans on their way to a collector: made with OpenTelemetry's SDK, sent as OTLP over HTTP in batches from a bounded queue.
// The only file that loads OpenTelemetry; it is imported when traces are switched on. Must not know: which calls are traced.
// Governed by OpenTelemetry's conventions for RPC spans. Runs: once per traced call.

import {
  type Attributes,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { AlwaysOnSampler, BatchSpanProcessor, type SpanExporter, TracerProvider } from "@opentelemetry/sdk-trace";
import type { Logger } from "pino";
import type { Settings } from "../../shared/config.js";
import { GrpcStatus, grpcStatusName } from "../../shared/grpc/status.js";
import type { Call } from "../call/call.js";
import type { CallTrace } from "../call/call-trace.js";

const MOST_WAITING = 4_096;
const BATCH = 512;
const DELAY_MS = 1_000;
const LONGEST_PATH = 256;
/** What the end of the process may wait for the collector. */
const LAST_MS = 1_000;
const BY = ["service", "network", "gateway", "caller"] as const;
/** Of a server's span these are errors; the others are answers. */
const ERRORS: ReadonlySet<number> = new Set([
  GrpcStatus.UNKNOWN,
  GrpcStatus.DEADLINE_EXCEEDED,
  GrpcStatus.UNIMPLEMENTED,
  GrpcStatus.INTERNAL,
  GrpcStatus.UNAVAILABLE,
  GrpcStatus.DATA_LOSS,
]);

export interface SpanCounts {
  sent: number;
  failed: number;
  /** Not begun, because there were too many. */
  dropped: number;
}

export class SpanExport {
  readonly counts: SpanCounts = { sent: 0, failed: 0, dropped: 0 };
  private readonly provider: TracerProvider;
  private readonly tracer: Tracer;
  private readonly log: Logger;
  /** Spans that are not told to the collector yet. */
  private waiting = 0;
  private failing = false;
  /** Of the span that is begun next: it was told to the service long ago. */
  private next = { spanId: "", traceId: "" };

  constructor(options: Settings["opentelemetry"], log: Logger) {
    this.log = log;
    const exporter = new OTLPTraceExporter({
      url: options.endpoint,
      headers: { ...options.headers },
      timeoutMillis: options.connection_timeout * 1_000,
    });
    this.provider = new TracerProvider({
      sampler: new AlwaysOnSampler(),
      resource: resourceFromAttributes({ "service.name": options.resource_name, "process.pid": process.pid }),
      idGenerator: { generateSpanId: () => this.next.spanId, generateTraceId: () => this.next.traceId },
      spanProcessors: [
        new BatchSpanProcessor({
          exporter: this.counted(exporter),
          maxQueueSize: MOST_WAITING,
          maxExportBatchSize: BATCH,
          scheduledDelayMillis: DELAY_MS,
        }),
      ],
    });
    this.tracer = this.provider.getTracer("sluice");
  }

  add(
    call: Call,
    { traceId, spanId, parentId }: CallTrace,
    origin: number,
    status: number,
    reason: string,
    ms: number,
  ) {
    if (this.waiting >= MOST_WAITING) {
      this.counts.dropped++;
      return;
    }
    this.waiting++;
    this.next = { spanId, traceId };
    const now = Date.now();
    const spanContext = { traceId, spanId: parentId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
    const context = parentId === "" ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext);
    const name = nameOf(call.plan.path);
    const attributes = attributesOf(call, name, BY[origin]!, status, reason);
    const span = this.tracer.startSpan(name, { kind: SpanKind.SERVER, startTime: now - ms, attributes }, context);
    if (ERRORS.has(status)) span.setStatus({ code: SpanStatusCode.ERROR, message: grpcStatusName(status) });
    span.end(now);
  }

  /** What waits is sent, if the collector takes it soon. */
  async end(): Promise<void> {
    const late = new Promise<void>((resolve) => setTimeout(resolve, LAST_MS).unref());
    await Promise.race([this.provider.shutdown().catch(() => {}), late]);
  }

  private counted(exporter: OTLPTraceExporter): SpanExporter {
    return {
      export: (spans, done) =>
        exporter.export(spans, (result) => {
          this.waiting -= spans.length;
          this.note(result.error, spans.length);
          done(result);
        }),
      shutdown: () => exporter.shutdown(),
    };
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

/** `pkg.Service/Method`; a query may hold a credential. */
function nameOf(path: string): string {
  const query = path.indexOf("?");
  return (query < 0 ? path : path.slice(0, query)).slice(1, LONGEST_PATH);
}

function attributesOf(call: Call, name: string, by: string, status: number, reason: string): Attributes {
  const { plan, down } = call;
  const attributes: Attributes = {
    "sluice.api_id": plan.route!.api_id,
    "sluice.ended_by": by,
    "client.address": plan.origin.address,
    "sluice.request_bytes": down.received,
    "sluice.response_bytes": call.responseBytes,
  };
  if (reason !== "") attributes["sluice.reason"] = reason;
  if (call.link !== null) attributes["network.peer.address"] = call.link.endpoint.name;
  if (call.attempts > 1) attributes["sluice.attempts"] = call.attempts;
  if (!plan.grpc)
    return { ...attributes, "http.request.method": plan.method, "http.response.status_code": call.httpStatus };
  const slash = name.lastIndexOf("/");
  return {
    ...attributes,
    "rpc.system": "grpc",
    "rpc.service": name.slice(0, Math.max(0, slash)),
    "rpc.method": name.slice(slash + 1),
    "rpc.grpc.status_code": status,
  };
}
