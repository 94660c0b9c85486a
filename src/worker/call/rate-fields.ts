// The X-RateLimit-* fields of a proxied response (spec 6.3): the values of the call's limits, and none of the service's
// own. Runs once per response of an API with keys.

import { encodeLiteral, literalBound } from "../../shared/http2/hpack/encoder.js";
import { Field, type FieldStore } from "../../shared/http2/hpack/field.js";
import type { FieldList } from "../../shared/http2/hpack/field-list.js";
import { type RateHeaders, readHeaders } from "../admit/limits/headers.js";
import type { LimitSet } from "../admit/limits/set.js";

const NAMES = ["x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"] as const;

export class RateFields {
  private readonly values: RateHeaders = { limit: 0, remaining: 0, reset: 0 };
  /** The three literals of the last call; valid until the next. */
  block: Uint8Array = new Uint8Array(512);

  /** True when the service sent one of the fields itself. */
  has(list: FieldList): boolean {
    for (let i = 0; i < list.length; i++) if (isRateField(list.fields[i]!)) return true;
    return false;
  }

  /** The list without the service's own. */
  without(list: FieldList): Field[] {
    return list.fields.slice(0, list.length).filter((field) => !isRateField(field));
  }

  /** Writes the three fields as literals; no table is touched. @returns their length in `block` */
  encode(store: FieldStore, set: LimitSet | null, quotas: boolean, now: number, offset: number): number {
    const values = this.values;
    if (set === null) values.limit = values.remaining = values.reset = 0;
    else readHeaders(set, quotas, now, offset, values);
    const limit = store.field(NAMES[0], String(values.limit));
    const remaining = new Field(store.name(NAMES[1]), String(values.remaining), false, false);
    const reset = store.field(NAMES[2], String(values.reset));
    const bound = literalBound(limit) + literalBound(remaining) + literalBound(reset);
    if (bound > this.block.length) this.block = new Uint8Array(bound * 2);
    return encodeLiteral(reset, this.block, encodeLiteral(remaining, this.block, encodeLiteral(limit, this.block, 0)));
  }
}

function isRateField(field: Field): boolean {
  const { text } = field.name;
  return text.length > 16 && text.startsWith("x-ratelimit-") && (NAMES as readonly string[]).includes(text);
}
