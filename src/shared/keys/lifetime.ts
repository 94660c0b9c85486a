/**
 * How long a session stays in the store.
 * Governed by: Tyk's precedence: forced global lifetime, post-expiry action, the session's own, the API's, none.
 * Runs: when a key is written.
 */

import type { Session } from "../model/session.js";

export interface LifetimeRules {
  readonly force_global_session_lifetime?: boolean | undefined;
  readonly global_session_lifetime?: number | undefined;
  readonly session_lifetime_respects_key_expiration?: boolean | undefined;
  /** `session_lifetime` of the API, seconds. */
  readonly apiLifetime?: number | undefined;
  readonly apiRespectsExpiration?: boolean | undefined;
}

/** Milliseconds, 0 for "stays". */
export function sessionTtl(session: Session, rules: LifetimeRules, nowMs: number): number {
  if (rules.force_global_session_lifetime === true) return Math.max(0, rules.global_session_lifetime ?? 0) * 1_000;
  const expires = session.expires ?? 0;
  const untilExpiry = expires > 0 ? Math.max(1, expires * 1_000 - nowMs) : 0;
  const after = afterExpiry(session, untilExpiry);
  if (after !== undefined) return after;
  const lifetime = (session.session_lifetime || rules.apiLifetime || 0) * 1_000;
  if (lifetime <= 0) return 0;
  const respects = rules.session_lifetime_respects_key_expiration === true || rules.apiRespectsExpiration === true;
  if (!respects) return lifetime;
  // A key that never expires must not vanish because of a lifetime.
  return untilExpiry === 0 ? 0 : Math.max(lifetime, untilExpiry);
}

function afterExpiry(session: Session, untilExpiry: number): number | undefined {
  if (!session.post_expiry_action || untilExpiry === 0) return undefined;
  if (session.post_expiry_action === "delete") return untilExpiry;
  const grace = session.post_expiry_grace_period ?? 0;
  if (session.post_expiry_action !== "retain") return undefined;
  return grace < 0 ? 0 : untilExpiry + grace * 1_000;
}
