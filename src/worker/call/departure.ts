// The header block with which a call leaves for a service, where it is not simply the plan's: the time that is left
// instead of the deadline as it came, and how often the call was tried before. Governed by the gRPC protocol document
// (grpc-timeout, grpc-previous-rpc-attempts). Must not know: timers, targets. Runs once per call that has a deadline.

import { formatGrpcTimeout, parseGrpcTimeout, parseGrpcTimeoutOctets } from "../../shared/grpc/timeout.js";
import type { Connection } from "../../shared/http2/connection.js";
import { encodeLiteral, literalBound } from "../../shared/http2/hpack/encoder.js";
import { Field, FieldKind, type FieldName, octetsOf } from "../../shared/http2/hpack/field.js";
import type { Call } from "./call.js";
import { type Outgoing, block as plainBlock } from "./outgoing.js";
import type { Plan } from "./plan.js";

const ATTEMPTS = "grpc-previous-rpc-attempts";
/** Where a plan keeps its deadline. */
export const Timeout = { NONE: -1, FIXED: -2, MALFORMED: -3 } as const;

/**
 * Where the caller's deadline stands: the ordinal number of its gap, or a Timeout. Two of them are one too many: a
 * service might read the other.
 */
export function timeoutPlace(fields: readonly (Field | null)[], names: readonly FieldName[]): number {
  let place: number = Timeout.NONE;
  let gap = 0;
  for (let i = 0; i < names.length; i++) {
    if (names[i]!.kind === FieldKind.GRPC_TIMEOUT) {
      if (place !== Timeout.NONE) return Timeout.MALFORMED;
      place = fields[i] === null ? gap : Timeout.FIXED;
    }
    if (fields[i] === null) gap++;
  }
  return place;
}

/** The deadline of a plan that has the same with every call, ms. */
export function fixedTimeout(fields: readonly (Field | null)[]): number {
  const field = fields.find((each) => each?.name.kind === FieldKind.GRPC_TIMEOUT);
  return field === undefined || field === null ? Number.POSITIVE_INFINITY : parseGrpcTimeout(field.value);
}

/** What the caller allows, ms: Infinity when it says nothing, -1 when it cannot be read. */
export function callerTimeout(plan: Plan, volatile: readonly Field[]): number {
  const place = plan.timeoutPlace;
  if (place >= 0) return timeoutOf(volatile[place]!);
  if (place === Timeout.NONE) return Number.POSITIVE_INFINITY;
  return place === Timeout.FIXED ? plan.timeoutMs : -1;
}

const digits = new Uint8Array(128);

/** Most come with a value of their own, of which no text is made. */
function timeoutOf(field: Field): number {
  if (field.sent === null) return parseGrpcTimeout(field.value);
  return parseGrpcTimeoutOctets(digits, octetsOf(field.sent, digits));
}

/** The last block made, for one call; valid until the next. */
export let block: Uint8Array = plainBlock;

/** The header block for `c` is left in `block` up to the returned length. `now` is the coarse clock. */
export function encodeDeparture(call: Call, outgoing: Outgoing, c: Connection, now: number): number {
  const { plan, volatile } = call;
  const spent = now - call.down.born;
  if (call.attempts > 1) return encodeAgain(call, outgoing, c, spent);
  if (spent === 0 && !call.bounded) return plain(outgoing, c, volatile);
  if (!plan.grpc || call.timeoutMs === 0) return plain(outgoing, c, volatile);
  const field = remaining(call, c, spent);
  const place = plan.timeoutPlace;
  if (place >= 0) {
    const filled = volatile.slice();
    filled[place] = field;
    return plain(outgoing, c, filled);
  }
  if (place === Timeout.FIXED) return encodeList(c, replaced(outgoing.filled(volatile), field));
  const length = plain(outgoing, c, volatile);
  return append(field, length);
}

function plain(outgoing: Outgoing, c: Connection, volatile: readonly Field[]): number {
  const length = outgoing.encode(c, volatile);
  block = plainBlock;
  return length;
}

/** Never nothing: a service would take the call for late before the gateway does. */
function remaining(call: Call, c: Connection, spent: number): Field {
  const left = Math.max(1, Math.floor(call.timeoutMs - spent));
  return new Field(c.shared.fields.name("grpc-timeout"), formatGrpcTimeout(left), false, false);
}

/** A retry: rare, so the list is made anew. */
function encodeAgain(call: Call, outgoing: Outgoing, c: Connection, spent: number): number {
  const store = c.shared.fields;
  let list = outgoing.filled(call.volatile);
  let before = call.attempts - 1;
  for (const field of list)
    if (field.name.text === ATTEMPTS && /^\d{1,9}$/.test(field.value)) before += Number(field.value);
  list = list.filter((field) => field.name.text !== ATTEMPTS);
  list.push(new Field(store.name(ATTEMPTS), String(before), false, false));
  if (call.plan.grpc && call.timeoutMs > 0) list = replaced(list, remaining(call, c, spent));
  return encodeList(c, list);
}

function replaced(list: Field[], field: Field): Field[] {
  const at = list.findIndex((each) => each.name.kind === FieldKind.GRPC_TIMEOUT);
  if (at < 0) list.push(field);
  else list[at] = field;
  return list;
}

function encodeList(c: Connection, list: readonly Field[]): number {
  const length = c.encoder.encode(list, list.length, false);
  block = c.encoder.out;
  return length;
}

let longer: Uint8Array = new Uint8Array(4_096);

/** Puts a literal, which touches no table, behind the block. */
function append(field: Field, length: number): number {
  const wanted = length + literalBound(field);
  if (wanted > longer.length) longer = new Uint8Array(wanted * 2);
  longer.set(block.subarray(0, length));
  block = longer;
  return encodeLiteral(field, longer, length);
}
