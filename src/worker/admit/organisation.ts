/**
 * What is stored about the organisation of an API: whether it may call at all, and what it may use together.
 * Responsible for: finding it, and the limits it adds. Must not know: keys, rights, how limits are counted.
 * Governed by: Tyk's `enforce_org_quotas` and organisation sessions (`orgkey.<org>`). One that is not stored restricts
 * nothing, as in Tyk. Runs: once per decision of an API whose organisation is looked after.
 */

import { ORGANISATION } from "../../shared/keys/organisation.js";
import type { Session } from "../../shared/model/session.js";
import type { Senses } from "./evaluation.js";
import type { ApiLimits } from "./limits/specs.js";
import type { Questions } from "./questions.js";
import type { SessionRef } from "./session-ref.js";
import { GATE_BUSY, STORE_AWAY } from "./verdicts.js";

/** A verdict's id, or the record, or that it is known not to be there; undefined: something must be asked first. */
export function organisationOf(senses: Senses, orgId: string, questions: Questions): SessionRef | number | undefined {
  const names = [ORGANISATION + orgId];
  const known = senses.organisations.peek(orgId, names);
  if (known !== undefined) return known;
  const question = `organisation ${orgId}`;
  const ask = () => questions.ask(question, () => senses.organisations.load(orgId, names));
  const answer = ask();
  if (answer === undefined) return undefined;
  if (answer.error !== undefined) return answer.error.name === "Busy" ? GATE_BUSY : STORE_AWAY;
  const ref = answer.value as SessionRef;
  if (!ref.gone) return ref;
  // News came between the answer and now.
  questions.forget(question);
  ask();
  return undefined;
}

/** What it may use, beside what a key may. */
export function organisationLimits(session: Session | undefined): ApiLimits["organisation"] {
  if (session === undefined) return undefined;
  const { rate, per, quota_max, quota_renewal_rate } = session;
  return { rate, per, quota_max, quota_renewal_rate };
}
