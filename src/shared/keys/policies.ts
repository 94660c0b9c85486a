/**
 * Applies policies to a session: which limits win, which rights are united.
 * Responsible for: the merge and its errors. Must not know: where either comes from. Leaves its input as it was.
 * Governed by: Tyk's merge rules. Where Tyk depends on the order of policies by accident (a quota-only policy after one
 * with rights for the same API drops the rights), the result here does not.
 * Runs: when a worker decodes a session, and for key creation and preview; never per call.
 */

import { isPartitioned, type Parts, type Policies, type Policy, partsOf, policySchema } from "../model/policy.js";
import { type Access, isEmptyLimit, type Limit, policyIdsOf, type Session } from "../model/session.js";
import { fasterRate, highest, mergeEndpoints, mergeRights } from "./rights-merge.js";

export interface Applied {
  readonly session: Session;
  /** The key must be refused; the session is as far as it came and must not be used. */
  readonly error: string | undefined;
}

export interface ApplyOptions {
  /** The API's organisation; policies of another one are an error. Absent: not compared. */
  readonly orgId?: string | undefined;
}

const NO_VALID_POLICIES = "key has no valid policies to be applied";
const MIXED = "cannot apply multiple policies when some have per_api set and some are partitioned";
const OTHER_ORG = "attempting to apply policy from different organisation to key, skipping";
/** A list in a session is bounded like everything an outsider's document can make us do. */
const MAX_POLICIES = 64;

interface Merge {
  readonly session: Session;
  readonly rights: Map<string, Access>;
  readonly acl: Set<string>;
  readonly quota: Set<string>;
  readonly rate: Set<string>;
  readonly complexity: Set<string>;
  readonly own: Readonly<Record<string, Access>>;
}

export function applyPolicies(given: Session, policies: Policies, options: ApplyOptions = {}): Applied {
  const session = copyOf(given);
  const inline = inlinePolicies(session);
  const ids = inline === undefined ? policyIdsOf(session) : [...inline.keys()];
  if (ids.length === 0) {
    scopeOwnLimits(session);
    return { session, error: undefined };
  }
  if (ids.length > MAX_POLICIES) return { session, error: `a key can have at most ${MAX_POLICIES} policies` };
  const source = inline ?? policies;
  const chosen: Policy[] = [];
  for (const id of ids) {
    const policy = source.get(id);
    if (policy !== undefined) chosen.push({ ...policy, id });
    else if (ids.length === 1) return { session, error: `policy not found: "${id}"` };
  }
  const error = conflict(chosen, options);
  if (error !== undefined) return { session, error };
  return mergeAll(session, chosen);
}

/** As deep as the merge writes; lists are replaced by it, never changed. */
function copyOf(given: Session): Session {
  const rights = given.access_rights;
  if (rights === undefined) return { ...given };
  const copies = Object.entries(rights).map(([apiId, access]) => [apiId, { ...access }] as const);
  return { ...given, access_rights: Object.fromEntries(copies) };
}

/** `key_expires_in` counts from the moment a key is made; 0 when no policy says so. */
export function expiryAtCreation(session: Session, policies: Policies, nowMs: number): number {
  let longest = 0;
  for (const id of policyIdsOf(session)) longest = Math.max(longest, policies.get(id)?.key_expires_in ?? 0);
  return longest > 0 ? Math.floor(nowMs / 1_000) + longest : 0;
}

function conflict(chosen: readonly Policy[], options: ApplyOptions): string | undefined {
  if (chosen.length === 0) return NO_VALID_POLICIES;
  let perApi = false;
  let partitioned = false;
  for (const policy of chosen) {
    if (options.orgId !== undefined && (policy.org_id ?? "") !== options.orgId) return OTHER_ORG;
    const isPerApi = policy.partitions?.per_api === true;
    if (isPerApi && isPartitioned(policy)) {
      return `cannot apply policy ${policy.id} which has per_api and any of partitions set`;
    }
    perApi ||= isPerApi && Object.keys(policy.access_rights ?? {}).length > 0;
    partitioned ||= isPartitioned(policy);
  }
  return perApi && partitioned ? MIXED : undefined;
}

function mergeAll(session: Session, chosen: readonly Policy[]): Applied {
  for (const policy of chosen) clear(session, partsOf(policy));
  const merge: Merge = {
    session,
    rights: new Map(),
    acl: new Set(),
    quota: new Set(),
    rate: new Set(),
    complexity: new Set(),
    own: session.access_rights ?? {},
  };
  let opensAll = false;
  for (const policy of chosen) {
    const apis = Object.entries(policy.access_rights ?? {});
    if (apis.length === 0) {
      applyRoot(session, policy);
      opensAll ||= partsOf(policy).acl;
    }
    for (const [apiId, access] of apis) {
      if (policy.partitions?.per_api === true) applyPerApi(merge, policy, apiId, access);
      else applyParts(merge, policy, apiId, access);
    }
    applyTraits(session, policy);
  }
  finishRights(merge);
  updateRoot(merge);
  if (merge.acl.size > 0) session.access_rights = Object.fromEntries(merge.rights);
  // No rights at all means every API. Only a policy that says so, or the key itself, may open that much.
  const open = Object.keys(session.access_rights ?? {}).length === 0;
  return { session, error: open && !opensAll ? NO_VALID_POLICIES : undefined };
}

function clear(session: Session, parts: Parts): void {
  if (parts.quota) {
    session.quota_max = 0;
    session.quota_remaining = 0;
    session.quota_renewal_rate = 0;
  }
  if (parts.rate) {
    session.rate = 0;
    session.per = 0;
    session.smoothing = undefined;
    session.throttle_interval = 0;
    session.throttle_retry_limit = 0;
  }
  if (parts.complexity) session.max_query_depth = 0;
}

/** A policy without rights ("master policy") governs the limits of the key as a whole. */
function applyRoot(session: Session, policy: Policy): void {
  const parts = partsOf(policy);
  if (parts.rate) {
    session.rate = policy.rate;
    session.per = policy.per;
    session.smoothing = policy.smoothing;
    session.throttle_interval = policy.throttle_interval;
    session.throttle_retry_limit = policy.throttle_retry_limit;
  }
  if (parts.complexity) session.max_query_depth = policy.max_query_depth;
  if (parts.quota) {
    session.quota_max = policy.quota_max;
    session.quota_renewal_rate = policy.quota_renewal_rate;
  }
}

function applyPerApi(merge: Merge, policy: Policy, apiId: string, access: Access): void {
  const own = access.limit !== undefined && !isEmptyLimit(access.limit);
  const scope = own ? apiId : (policy.id ?? "");
  const limit: Limit = { ...(own ? access.limit : limitOf(policy)), set_by: scope };
  keepRenewal(limit, merge.own[apiId]);
  let next: Access = { ...access, allowance_scope: scope, limit };
  const before = merge.rights.get(apiId);
  if (before !== undefined) next = widerPerApi(next, before);
  merge.rights.set(apiId, next);
  for (const part of [merge.acl, merge.quota, merge.rate, merge.complexity]) part.add(apiId);
}

function widerPerApi(next: Access, before: Access): Access {
  const limit: Limit = { ...next.limit };
  const old = before.limit ?? {};
  takeRate(limit, fasterRate(old, limit) ? old : limit);
  limit.quota_max = highest(old.quota_max, limit.quota_max);
  limit.quota_renewal_rate = highest(old.quota_renewal_rate, limit.quota_renewal_rate);
  if (limit.quota_max === -1) limit.quota_renewal_rate = 0;
  return {
    ...mergeRights(before, next),
    allowance_scope: next.allowance_scope,
    limit,
    endpoints: mergeEndpoints(before.endpoints, next.endpoints),
  };
}

function applyParts(merge: Merge, policy: Policy, apiId: string, access: Access): void {
  const { session } = merge;
  const parts = partsOf(policy);
  const before = merge.rights.get(apiId);
  let next: Access = before ?? { ...access, limit: { ...access.limit } };
  if (before !== undefined) {
    if (parts.acl) next = merge.acl.has(apiId) ? mergeRights(before, access) : withRights(before, access);
    if (parts.acl || parts.rate) next.endpoints = mergeEndpoints(before.endpoints, access.endpoints);
  }
  const limit: Limit = { ...next.limit };
  if (parts.acl) {
    merge.acl.add(apiId);
    limit.set_by = policy.id;
  }
  if (parts.quota) {
    merge.quota.add(apiId);
    for (const target of [limit, session]) {
      target.quota_max = highest(policy.quota_max, target.quota_max);
      target.quota_renewal_rate = Math.max(policy.quota_renewal_rate ?? 0, target.quota_renewal_rate ?? 0);
    }
  }
  if (parts.rate) {
    merge.rate.add(apiId);
    for (const target of [limit, session]) {
      if (fasterRate(policy, target)) takeRate(target, policy);
      target.throttle_interval = Math.max(policy.throttle_interval ?? 0, target.throttle_interval ?? 0);
      target.throttle_retry_limit = Math.max(policy.throttle_retry_limit ?? 0, target.throttle_retry_limit ?? 0);
    }
  }
  if (parts.complexity) {
    merge.complexity.add(apiId);
    for (const target of [limit, session]) {
      target.max_query_depth = highest(policy.max_query_depth, target.max_query_depth);
    }
  }
  keepRenewal(limit, merge.own[apiId]);
  merge.rights.set(apiId, { ...next, limit });
}

/** Rights of this policy with the limits that an earlier one without rights has set. */
function withRights(before: Access, access: Access): Access {
  return { ...access, limit: before.limit };
}

function applyTraits(session: Session, policy: Policy): void {
  session.is_inactive = session.is_inactive === true || policy.is_inactive === true;
  session.tags = [...new Set([...(session.tags ?? []), ...(policy.tags ?? [])])];
  if (policy.meta_data !== undefined) session.meta_data = { ...session.meta_data, ...policy.meta_data };
  if (Number(policy.last_updated ?? 0) > Number(session.last_updated ?? 0)) session.last_updated = policy.last_updated;
  session.hmac_enabled ||= policy.hmac_enabled;
  session.enable_http_signature_validation ||= policy.enable_http_signature_validation;
  if (policy.post_expiry_action) {
    session.post_expiry_action = policy.post_expiry_action;
    session.post_expiry_grace_period = policy.post_expiry_grace_period;
  }
}

/** An API whose policies set only some parts takes the rest from the key as a whole. */
function finishRights({ session, rights, acl, quota, rate, complexity }: Merge): void {
  const setters = new Set<string>();
  for (const access of rights.values()) if (access.limit?.set_by) setters.add(access.limit.set_by);
  for (const [apiId, access] of rights) {
    if (!acl.has(apiId)) {
      rights.delete(apiId);
      continue;
    }
    const { set_by: setBy, ...limit }: Limit = access.limit ?? {};
    if (!rate.has(apiId)) {
      takeRate(limit, session);
      limit.throttle_interval = session.throttle_interval;
      limit.throttle_retry_limit = session.throttle_retry_limit;
    }
    if (!complexity.has(apiId)) limit.max_query_depth = session.max_query_depth;
    if (!quota.has(apiId)) {
      limit.quota_max = session.quota_max;
      limit.quota_renewal_rate = session.quota_renewal_rate;
      limit.quota_renews = session.quota_renews;
    }
    const scope = access.allowance_scope || (setters.size > 1 ? setBy : undefined);
    rights.set(apiId, { ...access, limit, ...(scope ? { allowance_scope: scope } : {}) });
  }
}

/** Policies that speak of one API only also set the key as a whole, for readers of the older fields. */
function updateRoot({ session, rights, quota, rate, complexity }: Merge): void {
  if (quota.size !== 1 || rate.size !== 1 || complexity.size !== 1) return;
  for (const { limit } of rights.values()) {
    if (limit === undefined) continue;
    takeRate(session, limit);
    session.quota_max = limit.quota_max;
    session.quota_renews = limit.quota_renews;
    session.quota_renewal_rate = limit.quota_renewal_rate;
    session.max_query_depth = limit.max_query_depth;
  }
}

function takeRate(target: Limit | Session, from: Limit | Session | Policy): void {
  target.rate = from.rate;
  target.per = from.per;
  target.smoothing = from.smoothing;
}

function keepRenewal(limit: Limit, own: Access | undefined): void {
  if (own?.limit !== undefined && !isEmptyLimit(own.limit)) limit.quota_renews = own.limit.quota_renews;
}

function limitOf(policy: Policy): Limit {
  return {
    rate: policy.rate,
    per: policy.per,
    smoothing: policy.smoothing,
    throttle_interval: policy.throttle_interval,
    throttle_retry_limit: policy.throttle_retry_limit,
    max_query_depth: policy.max_query_depth,
    quota_max: policy.quota_max,
    quota_renewal_rate: policy.quota_renewal_rate,
  };
}

/** A key without policies: a limit of its own for one API counts apart from the others. */
function scopeOwnLimits(session: Session): void {
  for (const [apiId, access] of Object.entries(session.access_rights ?? {})) {
    if (!isEmptyLimit(access.limit)) access.allowance_scope = apiId;
  }
}

/** `meta_data.policies`: a key may carry its policies itself. One that is broken counts as missing. */
function inlinePolicies(session: Session): Map<string, Policy> | undefined {
  const list = session.meta_data?.["policies"];
  if (!Array.isArray(list) || list.length === 0) return undefined;
  const found = new Map<string, Policy>();
  for (const entry of list.slice(0, MAX_POLICIES)) {
    const parsed = policySchema.safeParse(entry);
    if (parsed.success && parsed.data.id) found.set(parsed.data.id, parsed.data);
  }
  return found;
}
