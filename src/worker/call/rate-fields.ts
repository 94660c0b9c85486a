// The X-RateLimit-* fields of a proxied response (spec 6.3): the values of the call's limits, and none of the service's
// own. They are read when the call is let in, as in Tyk, while its limits lie in the processor's cache; among thousands of
// keys they would have to be fetched again for the response. Runs once per call, and once per response, of an API with keys.

import type { Field } from "../../shared/http2/hpack/field.js";
import type { FieldList } from "../../shared/http2/hpack/field-list.js";
import { type RateHeaders, readHeaders } from "../admit/limits/headers.js";
import type { LimitSet } from "../admit/limits/set.js";

const NAMES = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] as const;

/** What a call keeps of them; all 0 without limits. */
export interface RatedCall {
  rateLimit: number;
  rateLeft: number;
  rateReset: number;
}

export class RateFields {
  private readonly values: RateHeaders = { limit: 0, remaining: 0, reset: 0 };
  /** The three literals of the last call; valid until the next. */
  readonly block: Uint8Array = new Uint8Array(256);

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

  /** Writes the three fields as literals; no table is touched. @returns their length in `block` */
  encode(call: RatedCall): number {
    const { block } = this;
    let at = literal(block, 0, 0, call.rateLimit);
    at = literal(block, at, 1, call.rateLeft);
    return literal(block, at, 2, call.rateReset);
  }
}

/** Literals without indexing with a new name, raw (RFC 7541 6.2.2), up to the value. */
const HEADS = NAMES.map((name) => Uint8Array.of(0, name.length, ...Buffer.from(name, "latin1")));

/** Numbers of calls and of seconds have at most 15 digits, so the length of a value is one octet. */
function literal(block: Uint8Array, start: number, name: number, value: number): number {
  const head = HEADS[name]!;
  let at = start;
  for (let i = 0; i < head.length; i++) block[at++] = head[i]!;
  let rest = Math.min(Math.max(0, Math.trunc(value)), 999_999_999_999_999);
  let digits = 1;
  for (let bound = 10; bound <= rest; bound *= 10) digits++;
  block[at++] = digits;
  for (let i = at + digits - 1; i >= at; i--) {
    const left = Math.floor(rest / 10);
    block[i] = 0x30 + rest - left * 10;
    rest = left;
  }
  return at + digits;
}

function isRateField(field: Field): boolean {
  const { text } = field.name;
  return text.length > 16 && text.startsWith("x-ratelimit-") && (NAMES as readonly string[]).includes(text);
}
