/**
 * What an API key grants: the session, as stored under `apikey-…` and sent to `/tyk/keys`.
 * Must not know: how it is stored or checked.
 * Governed by: Tyk's session document; unknown fields are kept, since Tyk may share the store.
 * Runs: when a key is written or first seen by a worker, never per call.
 */

import { z } from "zod";

/** Go writes `null` for an empty list or map. */
const orAbsent = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === null ? undefined : value), schema.optional());

const number = orAbsent(z.number());
const text = orAbsent(z.string());
const flag = orAbsent(z.boolean());
const texts = orAbsent(z.array(z.string()));
const meta = orAbsent(z.record(z.string(), z.unknown()));

export const smoothingSchema = z.looseObject({
  enabled: flag,
  threshold: number,
  trigger: number,
  step: number,
  delay: number,
});

export const limitSchema = z.looseObject({
  rate: number,
  per: number,
  throttle_interval: number,
  throttle_retry_limit: number,
  max_query_depth: number,
  quota_max: number,
  quota_renews: number,
  quota_remaining: number,
  quota_renewal_rate: number,
  smoothing: orAbsent(smoothingSchema),
  /** Ours, inside a merge only: which policy or API set it. */
  set_by: text,
});

export const endpointSchema = z.looseObject({
  path: z.string(),
  methods: orAbsent(
    z.array(
      z.looseObject({
        name: z.string(),
        limit: orAbsent(z.looseObject({ rate: number, per: number, smoothing: orAbsent(smoothingSchema) })),
      }),
    ),
  ),
});

export const allowedUrlSchema = z.looseObject({
  url: z.string(),
  methods: texts,
  /** Ours: `exact` compares, `regex` is Tyk's search. Absent: the gateway's setting decides. */
  match: orAbsent(z.enum(["exact", "regex"])),
});

export const accessSchema = z.looseObject({
  api_name: text,
  api_id: text,
  versions: texts,
  allowed_urls: orAbsent(z.array(allowedUrlSchema)),
  limit: orAbsent(limitSchema),
  endpoints: orAbsent(z.array(endpointSchema)),
  allowance_scope: text,
});

export const basicDataSchema = z.looseObject({ password: text, hash_type: text });

export const sessionSchema = z.looseObject({
  org_id: text,
  alias: text,
  rate: number,
  per: number,
  throttle_interval: number,
  throttle_retry_limit: number,
  quota_max: number,
  quota_remaining: number,
  quota_renews: number,
  quota_renewal_rate: number,
  max_query_depth: number,
  expires: number,
  date_created: z.unknown().optional(),
  last_updated: orAbsent(z.union([z.string(), z.number()])),
  access_rights: orAbsent(z.record(z.string(), accessSchema)),
  apply_policies: texts,
  apply_policy_id: text,
  basic_auth_data: orAbsent(basicDataSchema),
  jwt_data: orAbsent(z.looseObject({ secret: text })),
  hmac_enabled: flag,
  enable_http_signature_validation: flag,
  certificate: text,
  mtls_static_certificate_bindings: texts,
  is_inactive: flag,
  tags: texts,
  meta_data: meta,
  session_lifetime: number,
  post_expiry_action: text,
  post_expiry_grace_period: number,
  smoothing: orAbsent(smoothingSchema),
});

export type Session = z.infer<typeof sessionSchema>;
export type Access = z.infer<typeof accessSchema>;
export type AllowedUrl = z.infer<typeof allowedUrlSchema>;
export type Limit = z.infer<typeof limitSchema>;
export type Endpoint = z.infer<typeof endpointSchema>;
export type Smoothing = z.infer<typeof smoothingSchema>;

/** Tyk: 0 and -1 never expire; the second of the expiry itself still passes. */
export function hasExpired(session: Session, nowMs: number): boolean {
  const expires = session.expires ?? 0;
  return expires >= 1 && nowMs > expires * 1_000;
}

export function policyIdsOf(session: Session): readonly string[] {
  if (session.apply_policies !== undefined && session.apply_policies.length > 0) return session.apply_policies;
  return session.apply_policy_id ? [session.apply_policy_id] : [];
}

/** A limit that says nothing at all, so that another level decides. */
export function isEmptyLimit(limit: Limit | undefined): boolean {
  if (limit === undefined) return true;
  return !(
    limit.rate ||
    limit.per ||
    limit.throttle_interval ||
    limit.throttle_retry_limit ||
    limit.max_query_depth ||
    limit.quota_max ||
    limit.quota_renews ||
    limit.quota_remaining ||
    limit.quota_renewal_rate ||
    limit.smoothing
  );
}
