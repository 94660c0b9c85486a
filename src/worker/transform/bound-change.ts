// What is changed in the header lists of one plan's calls: the fields that all of them get, made once, and those that
// every call, or every decision of the gate, gets anew. Must not know: where blocks are kept, routes.
// Governed by: spec 2.3; RFC 9113 section 8.2. Bound once per plan; `fill` and `tail` run once per call of such a plan.

import { encodeLiteral, literalBound } from "../../shared/http2/hpack/encoder.js";
import { Field, type FieldName, type FieldStore } from "../../shared/http2/hpack/field.js";
import { isBase64 } from "../../shared/model/header-value.js";
import { BlockCache } from "../call/block-cache.js";
import type { Call } from "../call/call.js";
import type { Plan } from "../call/plan.js";
import type { CallChange, Change, Setting } from "./route-changes.js";
import { bindPart, type Source } from "./variables.js";

/** A field whose value is made. */
class Made {
  private readonly name: FieldName;
  private readonly parts: readonly (string | Source)[];
  /** Where a decision keeps it; -1 where it may be another with every call. */
  private readonly slot: number;
  private readonly binary: boolean;

  constructor(name: FieldName, parts: readonly (string | Source)[], slot: number) {
    this.name = name;
    this.parts = parts;
    this.slot = slot;
    this.binary = name.text.endsWith("-bin");
  }

  /** Not interned: as many values may come as there are keys. */
  fieldFor(call: Call): Field {
    const { decision } = call;
    if (this.slot < 0 || decision === null) return this.make(call);
    decision.fields ??= [];
    decision.fields[this.slot] ??= this.make(call);
    return decision.fields[this.slot]!;
  }

  private make(call: Call): Field {
    let value = "";
    for (const part of this.parts) value += typeof part === "string" ? part : part(call);
    value = value.trim();
    if (this.binary && !isBase64(value)) value = "";
    return new Field(this.name, value, this.name.credential, false);
  }
}

class BoundSide {
  readonly drop: ReadonlySet<string>;
  readonly fixed: readonly Field[];
  readonly made: readonly Made[];

  constructor(change: Change, plan: Plan, whole: CallChange, firstSlot: number) {
    const store = plan.connection.shared.fields;
    const fixed: Field[] = [];
    const made: Made[] = [];
    change.set.forEach((setting, n) => {
      const found = bind(setting, plan, whole, store, firstSlot + n);
      if (found instanceof Field) fixed.push(found);
      else made.push(found);
    });
    this.drop = change.drop;
    this.fixed = fixed;
    this.made = made;
  }
}

function bind(setting: Setting, plan: Plan, whole: CallChange, store: FieldStore, slot: number): Field | Made {
  const name = store.pin(setting.name);
  const parts = setting.parts.map((part) => bindPart(part, plan, whole.settings));
  const values = parts.map((part) => part.value);
  if (values.every((value) => typeof value === "string")) {
    const value = values.join("").trim();
    const fits = !setting.name.endsWith("-bin") || isBase64(value);
    return store.field(name, fits ? value : "", name.credential);
  }
  return new Made(name, values, parts.every((part) => part.decided) ? slot : -1);
}

/** The changes of responses, with what they came to for blocks that come again. */
export class BoundAnswer extends BoundSide {
  readonly blocks = new BlockCache();

  /** What all calls get of a list. */
  changed(fields: readonly Field[], length: number): Field[] {
    const kept: Field[] = [];
    for (let i = 0; i < length; i++) if (!this.drop.has(fields[i]!.name.text)) kept.push(fields[i]!);
    kept.push(...this.fixed);
    return kept;
  }

  /** Writes this call's own fields as literals into `tail`, `room` octets more being free behind them. */
  tail(call: Call, room: number): number {
    const fields = this.made.map((each) => each.fieldFor(call));
    let bound = room;
    for (const field of fields) bound += literalBound(field);
    if (bound > tail.length) tail = new Uint8Array(bound * 2);
    let at = 0;
    for (const field of fields) at = encodeLiteral(field, tail, at);
    return at;
  }
}

/** The last that was written; valid until the next. */
export let tail: Uint8Array = new Uint8Array(1_024);

export class BoundChange {
  readonly request: BoundSide | null;
  readonly answer: BoundAnswer | null;

  constructor(change: CallChange, plan: Plan) {
    const { request, response } = change;
    this.request = request === null ? null : new BoundSide(request, plan, change, 0);
    this.answer = response === null ? null : new BoundAnswer(response, plan, change, request?.set.length ?? 0);
  }

  /** Puts what is made of this call behind the fields that fill its plan's gaps. */
  fill(call: Call): void {
    const { request } = this;
    if (request === null || request.made.length === 0) return;
    const all = call.volatile.slice();
    for (const made of request.made) all.push(made.fieldFor(call));
    call.volatile = all;
  }
}
