/**
 * Names under which an organisation's record and its counters stand.
 * Governed by: Tyk's `orgkey.<org>`. Must not know: who counts. Runs: per request of an operator, per decision.
 */

export const ORGANISATION = "orgkey.";

/** With the record's name in it: no key is called so. */
export function organisationQuota(org: string): string {
  return `quota-${ORGANISATION}${org}`;
}

export function organisationRate(org: string): string {
  return `rate-limit-${ORGANISATION}${org}`;
}

const COUNTERS: readonly string[] = [organisationQuota(""), organisationRate("")];

/** Whether a counter is an organisation's. */
export function isOrganisationCounter(name: string): boolean {
  return COUNTERS.some((start) => name.startsWith(start));
}
