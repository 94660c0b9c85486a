/**
 * A policy: rights and limits that many keys share.
 * Must not know: where it is read from (`store/policy-files.ts`) or how several are merged (`keys/policies.ts`).
 * Governed by: Tyk's policy document. Runs: at load, and for inline policies when a key is first seen.
 */

import { z } from "zod";
import { accessSchema, smoothingSchema } from "./session.js";

const orAbsent = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === null ? undefined : value), schema.optional());

const number = orAbsent(z.number());
const text = orAbsent(z.string());
const flag = orAbsent(z.boolean());

export const partitionsSchema = z.looseObject({
  quota: flag,
  rate_limit: flag,
  complexity: flag,
  acl: flag,
  per_api: flag,
});

export const policySchema = z.looseObject({
  _id: z.unknown().optional(),
  id: text,
  name: text,
  org_id: text,
  rate: number,
  per: number,
  quota_max: number,
  quota_renewal_rate: number,
  throttle_interval: number,
  throttle_retry_limit: number,
  max_query_depth: number,
  access_rights: orAbsent(z.record(z.string(), accessSchema)),
  hmac_enabled: flag,
  enable_http_signature_validation: flag,
  active: flag,
  is_inactive: flag,
  tags: orAbsent(z.array(z.string())),
  key_expires_in: number,
  post_expiry_action: text,
  post_expiry_grace_period: number,
  partitions: orAbsent(partitionsSchema),
  last_updated: orAbsent(z.union([z.string(), z.number()])),
  meta_data: orAbsent(z.record(z.string(), z.unknown())),
  smoothing: orAbsent(smoothingSchema),
});

export type Policy = z.infer<typeof policySchema>;

export type Policies = ReadonlyMap<string, Policy>;

/** Which parts of a session a policy governs. */
export interface Parts {
  readonly quota: boolean;
  readonly rate: boolean;
  readonly complexity: boolean;
  readonly acl: boolean;
}

/** True when some partition (other than `per_api`) is chosen. */
export function isPartitioned(policy: Policy): boolean {
  const chosen = policy.partitions;
  return Boolean(chosen?.quota || chosen?.rate_limit || chosen?.complexity || chosen?.acl);
}

export function partsOf(policy: Policy): Parts {
  if (!isPartitioned(policy)) return { quota: true, rate: true, complexity: true, acl: true };
  const chosen = policy.partitions;
  return {
    quota: chosen?.quota === true,
    rate: chosen?.rate_limit === true,
    complexity: chosen?.complexity === true,
    acl: chosen?.acl === true,
  };
}
