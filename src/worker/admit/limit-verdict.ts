/**
 * Which denial a used-up limit is.
 * Must not know: how a denial is written. Runs: once per call that a limit refuses.
 */

import { isOrganisationCounter } from "../../shared/keys/organisation.js";
import { API_RATE, QUOTA } from "./limits/limit.js";
import * as verdicts from "./verdicts.js";

export function verdictOf(limit: { readonly kind: number; readonly key: string } | undefined): number {
  if (limit === undefined) return verdicts.KEY_RATE;
  const { kind, key } = limit;
  if (isOrganisationCounter(key)) return kind === QUOTA ? verdicts.ORGANISATION_QUOTA : verdicts.ORGANISATION_RATE;
  if (kind === QUOTA) return verdicts.QUOTA;
  return kind === API_RATE ? verdicts.API_RATE : verdicts.KEY_RATE;
}
