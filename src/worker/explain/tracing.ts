// The gate's steps, kept as it tells them, and its limits as sentences. Must not know: how it decides.
// Runs: per explanation.

import type { Counter } from "../../shared/counters/exchange.js";
import type { Step } from "../../shared/explanation.js";
import { isOrganisationCounter } from "../../shared/keys/organisation.js";
import type { LimitSpec } from "../admit/limits/engine.js";
import { API_RATE, QUOTA } from "../admit/limits/limit.js";
import type { ApiLimits, Limits, SessionLimits } from "../admit/limits/specs.js";
import type { Trace } from "../admit/trace.js";

type ReadCounter = (key: string, quota: boolean) => Promise<Counter | undefined>;

export class Tracing implements Trace {
  steps: Step[] = [];
  private specs: readonly LimitSpec[] = [];
  private readonly limitsOf: (session: SessionLimits | undefined, api: ApiLimits) => Limits;

  constructor(limitsOf: (session: SessionLimits | undefined, api: ApiLimits) => Limits) {
    this.limitsOf = limitsOf;
  }

  begin(): void {
    this.steps = [];
    this.specs = [];
  }

  note(what: string, says: string): void {
    this.steps.push({ what, says });
  }

  limits(session: SessionLimits | undefined, api: ApiLimits): void {
    this.specs = this.limitsOf(session, api).specs;
  }

  /** Puts the limits among the steps, with what their counters hold. @returns the first that is used up */
  async tellLimits(read: ReadCounter, wall: number): Promise<LimitSpec | undefined> {
    let used: LimitSpec | undefined;
    if (this.specs.length === 0) this.note("limits", "none");
    for (const spec of this.specs) {
      const counter = spec.count === "leased" ? await read(spec.key, spec.kind === QUOTA) : undefined;
      const runs = counter !== undefined && (counter.end === 0 || counter.end > wall);
      // What a worker was lent and has not spent is still to be had.
      const spent = runs ? counter.taken - counter.shares.reduce((sum, [, , held]) => sum + Math.abs(held), 0) : 0;
      if (spent >= spec.limit) used ??= spec;
      this.note("limits", `${limitText(spec)}${spec.count === "leased" ? `, ${spent} used` : ""}`);
    }
    return used;
  }
}

/** Without the counter's name: the key may stand in it. */
function limitText({ key, kind, limit, perMs }: LimitSpec): string {
  const whose = isOrganisationCounter(key) ? "organisation" : kind === API_RATE ? "API" : "key";
  const span = perMs === 0 ? "and never again" : `in ${perMs / 1_000} s`;
  return `${kind === QUOTA ? "quota" : "rate"} of the ${whose}: ${limit} calls ${span}`;
}
