// A traced call: which trace it belongs to, and the field that tells the service so. Governed by W3C Trace Context,
// traceparent. Must not know: who is told of spans, which calls are traced. Runs: once per traced call; what is asked of a
// caller's traceparent, once per call that has one while traces are on.

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

/** Where the parts of a traceparent begin: version, trace, parent, flags. Each is followed by a dash, the last by the end. */
const At = { TRACE: 3, SPAN: 36, FLAGS: 53, END: 55 } as const;
const LONGEST = 512;
const DASH = 0x2d;
const SAMPLED = 1;
/** The digits that a share of traces is chosen by. */
const CHOOSING = 8;

export interface Parent {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

/**
 * Whether it names a trace; false for what the specification says to ignore. Nothing is made of it here, nor where it is asked
 * further: most calls' traces are somebody else's choice not to sample.
 */
export function namesTrace(value: string): boolean {
  const { length } = value;
  if (length < At.END || length > LONGEST || value.startsWith("ff")) return false;
  // Later versions may have more behind their flags.
  if (length > At.END && (value.startsWith("00") || value.charCodeAt(At.END) !== DASH)) return false;
  return (
    value.charCodeAt(At.TRACE - 1) === DASH &&
    value.charCodeAt(At.SPAN - 1) === DASH &&
    value.charCodeAt(At.FLAGS - 1) === DASH &&
    digits(value, 0, At.TRACE - 1) >= 0 &&
    digits(value, At.TRACE, At.SPAN - 1) > 0 &&
    digits(value, At.SPAN, At.FLAGS - 1) > 0 &&
    digits(value, At.FLAGS, At.END) >= 0
  );
}

/** Whether the caller samples the trace that `value` names. */
export function isSampled(value: string): boolean {
  return (digit(value.charCodeAt(At.END - 1)) & SAMPLED) !== 0;
}

/** A number from 0 up to 1 that goes with the trace, the same wherever it passes. */
export function chanceOf(value: string): number {
  let number = 0;
  for (let at = At.SPAN - 1 - CHOOSING; at < At.SPAN - 1; at++) number = number * 16 + digit(value.charCodeAt(at));
  return number / 16 ** CHOOSING;
}

/** Null for what names no trace. */
export function parseTraceparent(value: string): Parent | null {
  if (!namesTrace(value)) return null;
  const traceId = value.slice(At.TRACE, At.SPAN - 1);
  return { traceId, spanId: value.slice(At.SPAN, At.FLAGS - 1), sampled: isSampled(value) };
}

/** All their bits together, so that 0 is nothing but zeros; -1 where one is no digit. */
function digits(value: string, start: number, end: number): number {
  let bits = 0;
  for (let at = start; at < end; at++) {
    const one = digit(value.charCodeAt(at));
    if (one < 0) return -1;
    bits |= one;
  }
  return bits;
}

/** By code; -1 for no digit. Lower case alone (section 3.2.2.1). */
const DIGITS = Int8Array.from({ length: 128 }, (_, code) => "0123456789abcdef".indexOf(String.fromCharCode(code)));

function digit(code: number): number {
  return code < 128 ? DIGITS[code]! : -1;
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
