// What is to be done with requests that carry certain fields on a certain connection: decided once, repeated while the
// same fields (by identity) come again. A field that changes with every call and decides nothing leaves a gap in the
// plan that any value fills. Made on the slow path by planner.ts; looked up once per call.

import type { Connection } from "../../shared/http2/connection.js";
import type { Field, FieldName } from "../../shared/http2/hpack/field.js";
import type { FieldList } from "../../shared/http2/hpack/field-list.js";
import type { ApiGate } from "../admit/api-gate.js";
import type { Decision } from "../admit/decision.js";
import type { Route } from "../route/route.js";
import type { TargetPool } from "../upstream/target-pool.js";
import type { Answer } from "./answers.js";
import type { Outgoing } from "./outgoing.js";
import type { Origin, Rules } from "./planner.js";

/** What the gate decided about a plan's calls, and what is forwarded then. */
export class Prepared {
  /** Null on an API that the gate has nothing to say about. */
  readonly decision: Decision | null;
  /** The targets' pools, in order. */
  readonly pools: readonly TargetPool[];
  /** The header list for each of them. */
  readonly outgoing: readonly Outgoing[];

  constructor(decision: Decision | null, pools: readonly TargetPool[], outgoing: readonly Outgoing[]) {
    this.decision = decision;
    this.pools = pools;
    this.outgoing = outgoing;
  }
}

export interface PlanParts {
  readonly fields: readonly (Field | null)[];
  readonly names: readonly FieldName[];
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
}

export class Plan {
  /** The caller's fields; null at a gap, whose name stands in `names`. */
  readonly fields: readonly (Field | null)[];
  readonly names: readonly FieldName[];
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
  /** What was last decided, as long as it holds. */
  prepared: Prepared | null = null;
  readonly gaps: number;

  constructor(parts: PlanParts) {
    this.fields = parts.fields;
    this.names = parts.names;
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
    let gaps = 0;
    for (const field of parts.fields) if (field === null) gaps++;
    this.gaps = gaps;
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
    if (this.gaps === 0) return NONE;
    const found: Field[] = [];
    const mine = this.fields;
    for (let i = 0; i < mine.length; i++) if (mine[i] === null) found.push(list.fields[i]!);
    return found;
  }
}

const NONE: readonly Field[] = [];
