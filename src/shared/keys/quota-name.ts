/**
 * Under which name a key's quota is counted, and what sets the counters of its parts apart.
 * Must not know: who counts, who asks. Governed by: Tyk's `quota-<scope>-<key>`, the scope only where there is one.
 * Runs: per decision in a worker, per request of an operator; both must come to the same name.
 */

/** What several policies or APIs of one key count apart begins with its scope. */
export function scopePrefix(scope: string | undefined): string {
  return scope ? `${scope}-` : "";
}

export function quotaName(scope: string | undefined, key: string): string {
  return `quota-${scopePrefix(scope)}${key}`;
}
