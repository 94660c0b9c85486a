/**
 * Who wants to know how the gate comes to a decision, step by step.
 * Must not know: the steps. Runs: only where an operator asks; real calls have none, and pay a comparison per decision.
 */

import type { ApiLimits, SessionLimits } from "./limits/specs.js";

export interface Trace {
  /** A pass begins: what an earlier one said is void, since something had to be asked first. */
  begin(): void;
  /** `says` never holds a credential's value. */
  note(what: string, says: string): void;
  /** What would count; no unit is taken. */
  limits(session: SessionLimits | undefined, api: ApiLimits): void;
}
