// One traced call as the exporter reads spans. Made by hand: a span of the SDK's own costs four times as much, for clocks,
// events and links that a call which has ended does not need. Must not know: batches, the collector.
// Governed by OpenTelemetry's conventions for RPC spans. Runs: once per traced call.

import {
  type Attributes,
  type HrTime,
  type SpanContext,
  SpanKind,
  type SpanStatus,
  SpanStatusCode,
  TraceFlags,
} from "@opentelemetry/api";
import type { Resource } from "@opentelemetry/resources";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { GrpcStatus, grpcStatusName } from "../../shared/grpc/status.js";
import type { Call } from "../call/call.js";
import type { CallTrace } from "../call/call-trace.js";

const LONGEST_PATH = 256;
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
const UNSET: SpanStatus = { code: SpanStatusCode.UNSET };
const SCOPE = { name: "sluice" };
/** What calls do not have. */
const NONE: never[] = [];

/** What a span needs of a call, read when the call ends: its plan and its streams are let go with it. */
export class CallSpan implements ReadableSpan {
  readonly name: string;
  readonly kind: SpanKind = SpanKind.SERVER;
  readonly parentSpanContext?: SpanContext;
  readonly startTime: HrTime;
  readonly endTime: HrTime;
  readonly duration: HrTime;
  readonly status: SpanStatus;
  readonly attributes: Attributes;
  readonly resource: Resource;
  readonly instrumentationScope: { readonly name: string } = SCOPE;
  readonly ended: boolean = true;
  readonly links: never[] = NONE;
  readonly events: never[] = NONE;
  readonly droppedAttributesCount: number = 0;
  readonly droppedEventsCount: number = 0;
  readonly droppedLinksCount: number = 0;
  private readonly context: SpanContext;

  /** @param now when it ended, `ms` after it began */
  constructor(
    call: Call,
    { traceId, spanId, parentId }: CallTrace,
    end: { readonly origin: number; readonly status: number; readonly reason: string },
    now: number,
    ms: number,
    resource: Resource,
  ) {
    this.name = nameOf(call.plan.path);
    this.context = { traceId, spanId, traceFlags: TraceFlags.SAMPLED };
    if (parentId !== "")
      this.parentSpanContext = { traceId, spanId: parentId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
    this.startTime = timeOf(now - ms);
    this.endTime = timeOf(now);
    this.duration = timeOf(ms);
    this.status = ERRORS.has(end.status) ? { code: SpanStatusCode.ERROR, message: grpcStatusName(end.status) } : UNSET;
    this.attributes = attributesOf(call, this.name, BY[end.origin]!, end.status, end.reason);
    this.resource = resource;
  }

  spanContext(): SpanContext {
    return this.context;
  }
}

/** Seconds, and nanoseconds beside them. */
function timeOf(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
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
  if (plan.grpc) {
    const slash = name.lastIndexOf("/");
    attributes["rpc.system"] = "grpc";
    attributes["rpc.service"] = name.slice(0, Math.max(0, slash));
    attributes["rpc.method"] = name.slice(slash + 1);
    attributes["rpc.grpc.status_code"] = status;
  } else {
    attributes["http.request.method"] = plan.method;
    attributes["http.response.status_code"] = call.httpStatus;
  }
  if (reason !== "") attributes["sluice.reason"] = reason;
  if (call.link !== null) attributes["network.peer.address"] = call.link.endpoint.name;
  if (call.attempts > 1) attributes["sluice.attempts"] = call.attempts;
  return attributes;
}
