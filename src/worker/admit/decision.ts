/**
 * What the gate decided about a combination of fields, and for how long that holds.
 * Must not know: how it was decided. Governed by: the contract in `gate.ts`. Runs: read once per call.
 */

import type { Field } from "../../shared/http2/hpack/field.js";
import type { StripPlan } from "./credentials/strip.js";
import type { LimitSet } from "./limits/set.js";
import type { ListReply } from "./rights/path-lists.js";
import type { SessionRef } from "./session-ref.js";

export interface Stamp {
  readonly ref: SessionRef;
  readonly epoch: number;
}

export class Decision {
  /** Fields that hang on nothing else, kept by the transforms that made them, and the claims of the token it is about. */
  fields: (Field | undefined)[] | null = null;
  claims: Readonly<Record<string, unknown>> | null = null;

  constructor(
    /** 0 when admitted, else the id of a row in `verdicts.ts`. */
    readonly verdict: number,
    /** The gate's epoch (settings, definitions, policies) when it was made. */
    readonly gateEpoch: number,
    /** The key that it hangs on, known or unknown; null when none was asked for. */
    readonly session: SessionRef | null,
    readonly sessionEpoch: number,
    /** On the worker's clock; 0 for a decision that holds for this one call. */
    readonly validUntil: number,
    /** Which limits to take a unit of; null when there are none. */
    readonly limits: LimitSet | null,
    readonly strip: StripPlan,
    /** The path or URL to forward to instead of the call's; undefined: as it came (without stripped parameters). */
    readonly rewritten: string | undefined,
    /** A mock answer of a list. */
    readonly reply: ListReply | undefined,
    /** Further keys it hangs on (several methods of authentication); null, as nearly always, for none. */
    readonly others: readonly Stamp[] | null = null,
  ) {}
}
