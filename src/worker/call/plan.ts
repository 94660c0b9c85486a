// What is to be done with requests that carry certain fields on a certain connection: decided once, repeated while the
// same fields (by identity) come again. A field that changes with every call and decides nothing leaves a gap in the
// plan that any value fills, and so does the credential: what it decides is remembered by decisions.ts, for all
// connections. Made on the slow path by planner.ts; looked up once per call.

import type { Connection } from "../../shared/http2/connection.js";
import type { Field, FieldName } from "../../shared/http2/hpack/field.js";
import type { FieldList } from "../../shared/http2/hpack/field-list.js";
import type { ApiGate } from "../admit/api-gate.js";
import type { StripPlan } from "../admit/credentials/strip.js";
import type { Balancer } from "../balance/balancer.js";
import type { Route } from "../route/route.js";
import type { BoundChange } from "../transform/bound-change.js";
import type { Answer } from "./answers.js";
import type { CallRule } from "./call-rules.js";
import { TracePlace } from "./call-trace.js";
import type { Scope } from "./decisions.js";
import { fixedTimeout, Timeout, timeoutPlace } from "./departure.js";
import type { Outgoing } from "./outgoing.js";
import type { Origin, Rules } from "./planner.js";

/** What is forwarded of a plan's calls, and where to: the same for every credential unless it brings another path. */
export class Prepared {
  readonly strip: StripPlan;
  /** The path or URL that a rewrite made; undefined: as it came. */
  readonly rewritten: string | undefined;
  /** Where it may go; null where a rewrite leads nowhere. */
  readonly targets: Balancer | null;
  /** The header list for each target. */
  readonly outgoing: readonly Outgoing[];

  constructor(
    strip: StripPlan,
    rewritten: string | undefined,
    targets: Balancer | null,
    outgoing: readonly Outgoing[],
  ) {
    this.strip = strip;
    this.rewritten = rewritten;
    this.targets = targets;
    this.outgoing = outgoing;
  }
}

export interface PlanParts {
  readonly fields: readonly (Field | null)[];
  readonly names: readonly FieldName[];
  readonly keys: readonly number[];
  readonly rules: Rules;
  readonly connection: Connection;
  readonly origin: Origin;
  readonly method: string;
  readonly path: string;
  readonly grpc: boolean;
  readonly answer: Answer | null;
  readonly health: "hello" | "ready" | null;
  readonly control: boolean;
  readonly route: Route | null;
  readonly gate: ApiGate | null;
  readonly rule: CallRule | null;
}

export class Plan {
  /** The caller's fields; null at a gap, whose name stands in `names`. */
  readonly fields: readonly (Field | null)[];
  readonly names: readonly FieldName[];
  /** Which of the gaps, in order, hold what the gate knows callers by. */
  readonly keys: readonly number[];
  /** Requests with these fields may come again: nothing that stands in them changes with every call. */
  readonly repeats: boolean;
  /** The configuration it was made under. */
  readonly rules: Rules;
  /** The connection it was made for. */
  readonly connection: Connection;
  readonly origin: Origin;
  readonly method: string;
  readonly path: string;
  readonly grpc: boolean;
  /** The method is HEAD. */
  readonly head: boolean;
  /** Set when the gateway answers by itself. */
  readonly answer: Answer | null;
  /** Set when /hello or /ready is asked for. */
  readonly health: "hello" | "ready" | null;
  /** The primary answers: the control API on the main port. */
  readonly control: boolean;
  readonly route: Route | null;
  /** What decides about its calls; null where everybody may call. */
  readonly gate: ApiGate | null;
  /** What its definition says about the course of calls; null where it says nothing. */
  readonly rule: CallRule | null;
  /** Where the caller's deadline stands: see departure.ts. */
  readonly timeoutPlace: number;
  /** The deadline that all its calls have, ms; of no use where it stands in a gap. */
  readonly timeoutMs: number;
  /** Its calls have a time that they must keep. */
  readonly timed: boolean;
  /** What is changed in its calls' header lists; null where nothing is. Set right after it is made. */
  change: BoundChange | null = null;
  /** What its decisions are remembered under; null before the first, and where none is. */
  scope: Scope | null = null;
  /** What is forwarded; made with the first decision that lets a call through. */
  prepared: Prepared | null = null;
  /** The same for other paths, where rewrites look at the key: the last few. */
  rewrites: Prepared[] | null = null;
  /** Where the caller's traceparent stands among the gaps, or a TracePlace; only while traces are on. */
  tracePlace: number = TracePlace.NONE;
  /** A method of the gateway's own health; null for all else. Set right after it is made. */
  healthMethod: "check" | "watch" | null = null;
  /** What its calls are counted in, and by whom is not known here (observe/). */
  tally: object | null = null;
  readonly gaps: number;
  /** Where they stand in the caller's list. */
  private readonly places: readonly number[];

  constructor(parts: PlanParts) {
    this.fields = parts.fields;
    this.names = parts.names;
    this.keys = parts.keys;
    this.rules = parts.rules;
    this.connection = parts.connection;
    this.origin = parts.origin;
    this.method = parts.method;
    this.path = parts.path;
    this.grpc = parts.grpc;
    this.head = parts.method === "HEAD";
    this.answer = parts.answer;
    this.health = parts.health;
    this.control = parts.control;
    this.route = parts.route;
    this.gate = parts.gate;
    this.rule = parts.rule;
    this.timeoutPlace = parts.grpc ? timeoutPlace(parts.fields, parts.names) : Timeout.NONE;
    this.timeoutMs = this.timeoutPlace === Timeout.FIXED ? fixedTimeout(parts.fields) : Number.POSITIVE_INFINITY;
    this.timed = this.timeoutPlace !== Timeout.NONE || (parts.rule !== null && parts.rule.boundMs > 0);
    const places: number[] = [];
    parts.fields.forEach((field, at) => {
      if (field === null) places.push(at);
    });
    this.places = places;
    this.gaps = places.length;
    this.repeats = parts.fields.every((field) => field === null || field.stable);
  }

  /** True when `list` differs from the plan's fields only in its gaps. */
  fits(list: FieldList): boolean {
    const mine = this.fields;
    if (mine.length !== list.length) return false;
    const fields = list.fields;
    for (let i = 0; i < mine.length; i++) {
      const expected = mine[i]!;
      const field = fields[i]!;
      if (expected === null ? field.name !== this.names[i] : field !== expected) return false;
    }
    return true;
  }

  /** The fields that fill the gaps, in order. */
  volatileOf(list: FieldList): readonly Field[] {
    const { places } = this;
    const { fields } = list;
    // An array that is filled one by one makes room for sixteen.
    switch (places.length) {
      case 0:
        return NONE;
      case 1:
        return [fields[places[0]!]!];
      case 2:
        return [fields[places[0]!]!, fields[places[1]!]!];
      case 3:
        return [fields[places[0]!]!, fields[places[1]!]!, fields[places[2]!]!];
      default:
        return places.map((at) => fields[at]!);
    }
  }
}

const NONE: readonly Field[] = [];
