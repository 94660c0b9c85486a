// The X-RateLimit-* fields of a proxied response (spec 6.3): the values of the call's limits, and none of the service's
// own. They are read when the call is let in, as in Tyk, while its limits lie in the processor's cache; among thousands of
// keys they would have to be fetched again for the response. Runs once per call, and once per response, of an API with keys.

import type { Field } from "../../shared/http2/hpack/field.js";
import type { FieldList } from "../../shared/http2/hpack/field-list.js";
import { noRates, readHeaders } from "../admit/limits/headers.js";
import type { LimitSet } from "../admit/limits/set.js";

const NAMES = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] as const;

/** What a call keeps of them; all 0 without limits. */
export interface RatedCall {
  rateLimit: number;
  rateLeft: number;
  rateReset: number;
}

export class RateFields {
  private readonly values = noRates();
  /** How the last block is laid out: digits of each value, where they begin, and the limit that stands in it. */
  private readonly places = { a: 0, b: 0, c: 0, atA: 0, atB: 0, atC: 0, limit: -1 };
  /** The three literals of the last call; valid until the next. */
  block: Uint8Array = NO_OCTETS;
  private readonly octets: Uint8Array = new Uint8Array(256);

  /** True when the service sent one of the fields itself. */
  has(list: FieldList): boolean {
    for (let i = 0; i < list.length; i++) if (isRateField(list.fields[i]!)) return true;
    return false;
  }

  /** The list without the service's own. */
  without(list: FieldList): Field[] {
    return list.fields.slice(0, list.length).filter((field) => !isRateField(field));
  }

  /** Notes the values for a call that was let in just now. */
  note(call: RatedCall, set: LimitSet, quotas: boolean, now: number, offset: number): void {
    const { values } = this;
    readHeaders(set, quotas, now, offset, values);
    call.rateLimit = values.limit;
    call.rateLeft = values.remaining;
    call.rateReset = values.reset;
  }

  /** Leaves the three fields in `block`, as literals; no table is touched. */
  encode(call: RatedCall): void {
    const { places } = this;
    const [limit, left, reset] = [whole(call.rateLimit), whole(call.rateLeft), whole(call.rateReset)];
    const [a, b, c] = [digitsOf(limit), digitsOf(left), digitsOf(reset)];
    // Of most calls all that differs from the call before are a few digits, which stand where they stood.
    if (places.a !== a || places.b !== b || places.c !== c) this.layOut(a, b, c);
    if (places.limit !== limit) write(this.octets, places.atA + a, limit);
    write(this.octets, places.atB + b, left);
    write(this.octets, places.atC + c, reset);
    places.limit = limit;
  }

  private layOut(a: number, b: number, c: number): void {
    const { places, octets } = this;
    Object.assign(places, { a, b, c, limit: -1 });
    places.atA = literal(octets, 0, 0, a);
    places.atB = literal(octets, places.atA + a, 1, b);
    places.atC = literal(octets, places.atB + b, 2, c);
    this.block = octets.subarray(0, places.atC + c);
  }
}

const NO_OCTETS = new Uint8Array(0);
/** Literals without indexing with a new name, raw (RFC 7541 6.2.2), up to the value. */
const HEADS = NAMES.map((name) => Uint8Array.of(0, name.length, ...Buffer.from(name, "latin1")));

/** Everything of a literal but its digits, which have less than 127 octets. @returns where they begin */
function literal(block: Uint8Array, at: number, name: number, digits: number): number {
  const head = HEADS[name]!;
  block.set(head, at);
  block[at + head.length] = digits;
  return at + head.length + 1;
}

/** Numbers of calls and of seconds have at most 15 digits. */
function whole(value: number): number {
  return value > 0 ? Math.min(Math.floor(value), 999_999_999_999_999) : 0;
}

function digitsOf(value: number): number {
  let digits = 1;
  for (let bound = 10; bound <= value; bound *= 10) digits++;
  return digits;
}

/** The digits of `value`, the last one before `end`. */
function write(block: Uint8Array, end: number, value: number): void {
  let at = end;
  let rest = value;
  while (rest > 0x7fff_ffff) {
    const left = Math.floor(rest / 10);
    block[--at] = 0x30 + (rest - left * 10);
    rest = left;
  }
  // Small integers from here on: a division of those is a multiplication.
  let small = rest | 0;
  do {
    const left = (small / 10) | 0;
    block[--at] = 0x30 + (small - left * 10);
    small = left;
  } while (small > 0);
}

function isRateField(field: Field): boolean {
  const { text } = field.name;
  return text.length > 16 && text.startsWith("x-ratelimit-") && (NAMES as readonly string[]).includes(text);
}
