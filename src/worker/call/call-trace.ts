// A traced call: which trace it belongs to, and the field that tells the service so. Governed by W3C Trace Context,
// traceparent. Must not know: who is told of spans, which calls are traced. Runs: once per traced call.

import { encodeLiteral, literalBound } from "../../shared/http2/hpack/encoder.js";
import { Field } from "../../shared/http2/hpack/field.js";
import type { Call } from "./call.js";

export const TRACEPARENT = "traceparent";

export interface CallTrace {
  readonly traceId: string;
  /** Of this call's own span, the service's parent. */
  readonly spanId: string;
  /** Of the caller's span; empty where a trace begins here. */
  readonly parentId: string;
  /** What the service gets, where the caller sent no such field whose place it could take. */
  readonly field: Field | null;
}

/** Who decides which calls are traced; told of every call while traces are on. */
export interface CallTracer {
  begin(call: Call): void;
}

/** Where the caller's field stands among the gaps. */
export const TracePlace = { NONE: -1, SEVERAL: -2 } as const;

const PATTERN = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/;
const SAMPLED = 1;

export interface Parent {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

/** Null for what the specification says to ignore. */
export function parseTraceparent(value: string): Parent | null {
  const found = value.length > 512 ? null : PATTERN.exec(value);
  if (found === null || (value.startsWith("00") && value.length !== 55)) return null;
  return { traceId: found[1]!, spanId: found[2]!, sampled: (Number.parseInt(found[3]!, 16) & SAMPLED) !== 0 };
}

/** Hangs the trace on the call, and puts what the service gets in the place of the caller's field if there is one. */
export function traceCall(call: Call, traceId: string, spanId: string, parentId: string): void {
  const { plan } = call;
  const name = plan.connection.shared.fields.name(TRACEPARENT);
  const field = new Field(name, `00-${traceId}-${spanId}-01`, false, false);
  const has = plan.tracePlace >= 0;
  if (has) {
    const all = call.volatile.slice();
    all[plan.tracePlace] = field;
    call.volatile = all;
  }
  call.trace = { traceId, spanId, parentId, field: has ? null : field };
}

/** What `withField` has made; valid until the next. */
export let block: Uint8Array = new Uint8Array(4_096);

/** A header block with one more literal behind it. @returns its length */
export function withField(from: Uint8Array, length: number, field: Field): number {
  const wanted = length + literalBound(field);
  if (wanted > block.length) block = new Uint8Array(wanted * 2);
  block.set(from.subarray(0, length));
  return encodeLiteral(field, block, length);
}
