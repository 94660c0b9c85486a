// The gate's steps, kept as it tells them, and its limits as sentences. Must not know: how it decides.
// Runs: per explanation.

import type { Step } from "../../shared/explanation.js";
import { isOrganisationCounter } from "../../shared/keys/organisation.js";
import type { LimitSpec } from "../admit/limits/engine.js";
import { API_RATE, QUOTA } from "../admit/limits/limit.js";
import type { ApiLimits, Limits, SessionLimits } from "../admit/limits/specs.js";
import type { Trace } from "../admit/trace.js";

export class Tracing implements Trace {
  steps: Step[] = [];
  private readonly limitsOf: (session: SessionLimits | undefined, api: ApiLimits) => Limits;

  constructor(limitsOf: (session: SessionLimits | undefined, api: ApiLimits) => Limits) {
    this.limitsOf = limitsOf;
  }

  begin(): void {
    this.steps = [];
  }

  note(what: string, says: string): void {
    this.steps.push({ what, says });
  }

  limits(session: SessionLimits | undefined, api: ApiLimits): void {
    const { specs } = this.limitsOf(session, api);
    if (specs.length === 0) this.note("limits", "none");
    for (const spec of specs) this.note("limits", limitText(spec));
  }
}

/** Without the counter's name: the key may stand in it. */
function limitText({ key, kind, limit, perMs }: LimitSpec): string {
  const whose = isOrganisationCounter(key) ? "organisation" : kind === API_RATE ? "API" : "key";
  const span = perMs === 0 ? "and never again" : `in ${perMs / 1_000} s`;
  return `${kind === QUOTA ? "quota" : "rate"} of the ${whose}: ${limit} calls ${span}; how much is left is not looked at`;
}
