/**
 * What the gate decided about a combination of fields, and for how long that holds.
 * Must not know: how it was decided. Governed by: the contract in `gate.ts`. Runs: read once per call.
 *
 * Two parts: what a decision shares with those of thousands of other keys, which stays in the processor's cache, and the few words that
 * are its own.
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

/** The part that does not depend on whose call it is, unless a rewrite, a list or a second credential makes it so. */
export class Ruling {
  constructor(
    /** 0 when admitted, else the id of a row in `verdicts.ts`. */
    readonly verdict: number,
    /** The gate's epoch (settings, definitions, policies) when it was made. */
    readonly gateEpoch: number,
    readonly strip: StripPlan,
    /** The path or URL to forward to instead of the call's; undefined: as it came (without stripped parameters). */
    readonly rewritten: string | undefined = undefined,
    /** A mock answer of a list. */
    readonly reply: ListReply | undefined = undefined,
    /** Further keys it hangs on (several methods of authentication); null, as nearly always, for none. */
    readonly others: readonly Stamp[] | null = null,
  ) {}
}

/** How exactly the end of a decision is kept, ms: a small integer is compared where it lies, a fraction would lie elsewhere. */
const TICK_MS = 16;

export class Decision {
  private readonly lastTick: number;
  /** Fields that hang on nothing else, kept by the transforms that made them, and the claims of the token it is about. */
  fields: (Field | undefined)[] | null = null;
  claims: Readonly<Record<string, unknown>> | null = null;

  constructor(
    readonly ruling: Ruling,
    /** The key that it hangs on, known or unknown; null when none was asked for. */
    readonly session: SessionRef | null,
    readonly sessionEpoch: number,
    /** Ms on the worker's clock, kept a little shorter; 0 for a decision that holds for this one call. */
    validUntil: number,
    /** Which limits to take a unit of; null when there are none. */
    readonly limits: LimitSet | null,
  ) {
    this.lastTick = Math.floor(Math.min(validUntil / TICK_MS, 0x3fffffff));
  }

  get verdict(): number {
    return this.ruling.verdict;
  }

  /** Ms on the worker's clock; 0 when it is not to be remembered. */
  get validUntil(): number {
    return this.lastTick * TICK_MS;
  }

  /** Nothing that it was made of has changed, as far as its own part shows. */
  isFresh(now: number): boolean {
    return now < this.lastTick * TICK_MS && (this.session === null || this.session.epoch === this.sessionEpoch);
  }
}
