/**
 * Which limits hold for a session on an API, from what Tyk's documents say.
 * Must not know: stores, leases, how a session was found. Governed by: Tyk's session (rate, per, quota), access rights,
 * `global_rate_limit`, `extended_paths.rate_limit`, `rate_limit_pattern` and the switches of its limiters.
 * Runs: once per decision about a session and an API.
 *
 * Differences to Tyk, on purpose: what quota refuses is not counted by the rate (all limits or none); counters of different
 * numbers (`rate_limit_pattern` shared by keys with different rates) are counters of their own; an endpoint's limit
 * replaces the limit one level above it, as in Tyk.
 */

import { createHash } from "node:crypto";
import { organisationQuota, organisationRate } from "../../../shared/keys/organisation.js";
import { quotaName, scopePrefix } from "../../../shared/keys/quota-name.js";
import type { LimitSpec } from "./engine.js";
import { API_RATE, QUOTA, RATE } from "./limit.js";
import { NO_THROTTLE, type Throttle } from "./set.js";

export interface RateNumbers {
  readonly rate?: number | undefined;
  readonly per?: number | undefined;
}

export interface LimitNumbersOfTyk extends RateNumbers {
  readonly quota_max?: number | undefined;
  readonly quota_renewal_rate?: number | undefined;
  readonly throttle_interval?: number | undefined;
  readonly throttle_retry_limit?: number | undefined;
}

/** The caller's side: a session, already merged with its policies. */
export interface SessionLimits extends LimitNumbersOfTyk {
  /** Name of the counters: the key as it is stored (hashed where keys are hashed). */
  readonly keyName: string;
  /** `access_rights[api].limit` and its scope, where it is not empty. */
  readonly perApi?: { readonly scope: string; readonly limit: LimitNumbersOfTyk } | undefined;
  /** The entry of `access_rights[api].endpoints` that matches the call; `name` is "METHOD:path" as the document says it. */
  readonly endpoint?: ({ readonly name: string } & RateNumbers) | undefined;
  /** `meta_data.rate_limit_pattern` with its variables filled in; empty: none. */
  readonly customKey?: string | undefined;
}

/** The service's side. */
export interface ApiLimits {
  readonly orgId: string;
  readonly apiId: string;
  readonly global?: (RateNumbers & { readonly disabled?: boolean | undefined }) | undefined;
  readonly endpoint?: ({ readonly name: string } & RateNumbers) | undefined;
  /** What all keys and APIs of the organisation may use together. */
  readonly organisation?: LimitNumbersOfTyk | undefined;
  readonly disableRateLimit?: boolean | undefined;
  readonly disableQuota?: boolean | undefined;
}

export type Counting = LimitSpec["count"];

export interface Limits {
  readonly specs: readonly LimitSpec[];
  readonly throttle: Throttle;
}

/** Beyond this the numbers of the shared counters would lose units. */
const UNITS_MAX = 10_000_000_000_000;
const KEY_MAX = 200;
const SECOND_MS = 1_000;

/** `session` is absent on a keyless API: only the API's own limits hold. */
export function limitsOf(session: SessionLimits | undefined, api: ApiLimits, counting: Counting): Limits {
  const specs: LimitSpec[] = [];
  let throttle = NO_THROTTLE;
  if (session !== undefined) {
    const numbers = session.perApi?.limit ?? session;
    const scope = session.perApi?.scope;
    if (api.disableRateLimit !== true) {
      push(specs, rateSpec(keyRateName(session, scopePrefix(scope)), RATE, session.endpoint ?? numbers, counting));
      throttle = throttleOf(numbers);
    }
    if (api.disableQuota !== true) push(specs, quotaSpec(quotaName(scope, session.keyName), numbers));
  }
  push(specs, apiSpec(api, counting));
  if (api.organisation !== undefined) {
    push(specs, rateSpec(organisationRate(api.orgId), RATE, api.organisation, counting));
    push(specs, quotaSpec(organisationQuota(api.orgId), api.organisation));
  }
  return { specs, throttle };
}

/** What the settings ask for, by Tyk's order of choice, and what is accepted but does nothing here. */
export function countingOf(settings: Readonly<Record<string, unknown>>): { counting: Counting; warnings: string[] } {
  const warnings: string[] = [];
  for (const name of Object.keys(settings)) {
    if (name.startsWith("drl_")) warnings.push(`${name} has no effect: shares of a limit follow demand (leases)`);
  }
  if (settings["enable_rate_limit_smoothing"] === true) {
    warnings.push("enable_rate_limit_smoothing has no effect: rates stay as they are written");
  }
  if (settings["enable_non_transactional_rate_limiter"] === true) {
    warnings.push("enable_non_transactional_rate_limiter has no effect: every count is one atomic step");
  }
  if (settings["enable_fixed_window_rate_limiter"] === true) return { counting: "fixed", warnings };
  if (settings["enable_sentinel_rate_limiter"] === true) return { counting: "exact", warnings };
  if (settings["enable_redis_rolling_limiter"] === true) return { counting: "exact", warnings };
  return { counting: "leased", warnings };
}

function push(specs: LimitSpec[], spec: LimitSpec | undefined): void {
  if (spec !== undefined) specs.push(spec);
}

function keyRateName(session: SessionLimits, scope: string): string {
  if (session.customKey !== undefined && session.customKey !== "") return `rate-limit-${bounded(session.customKey)}`;
  const endpoint = session.endpoint === undefined ? "" : `-${digest(session.endpoint.name)}`;
  return `rate-limit-${scope}${session.keyName}${endpoint}`;
}

function apiSpec(api: ApiLimits, counting: Counting): LimitSpec | undefined {
  const name = `rate-limit-apilimiter-${api.orgId}${api.apiId}`;
  if (api.endpoint !== undefined) {
    return rateSpec(`${name}-${digest(api.endpoint.name)}`, API_RATE, api.endpoint, counting);
  }
  if (api.global === undefined || api.global.disabled === true) return undefined;
  return rateSpec(name, API_RATE, api.global, counting);
}

/** Units are whole: 0.5 per second is 1 per 2 seconds; of other fractions the part below a unit is never admitted. */
function rateSpec(name: string, kind: number, numbers: RateNumbers, counting: Counting): LimitSpec | undefined {
  const rate = numbers.rate ?? 0;
  const per = numbers.per ?? 0;
  if (!(rate > 0) || !(per > 0)) return undefined;
  const limit = Math.min(UNITS_MAX, Math.max(1, Math.floor(rate)));
  const perMs = Math.max(1, Math.round((rate < 1 ? per / rate : per) * SECOND_MS));
  // A fixed window is whole seconds in the library; a lease window is a fixed window of any length.
  const count = counting === "fixed" && perMs % SECOND_MS !== 0 ? "leased" : counting;
  return { key: `${name}/${limit}/${perMs}`, kind, limit, perMs, count };
}

function quotaSpec(key: string, numbers: LimitNumbersOfTyk): LimitSpec | undefined {
  const max = Math.floor(numbers.quota_max ?? 0);
  if (!(max > 0)) return undefined;
  const renewal = numbers.quota_renewal_rate ?? 0;
  const perMs = renewal > 0 ? Math.round(renewal * SECOND_MS) : 0;
  return { key, kind: QUOTA, limit: Math.min(UNITS_MAX, max), perMs, count: "leased" };
}

function throttleOf(numbers: LimitNumbersOfTyk): Throttle {
  const interval = numbers.throttle_interval ?? 0;
  const tries = Math.floor(numbers.throttle_retry_limit ?? 0);
  if (!(interval > 0) || !(tries > 0)) return NO_THROTTLE;
  return { intervalMs: interval * SECOND_MS, tries };
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

function bounded(name: string): string {
  return name.length <= KEY_MAX ? name : createHash("sha256").update(name).digest("hex");
}
