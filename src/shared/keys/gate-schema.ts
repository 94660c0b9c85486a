/**
 * The part of an API definition that the gate reads, as a schema: who may call, with what, from where, how often.
 * Must not know: routing, transport, what a worker makes of it.
 * Governed by: Tyk's classic definition. Fields of others are dropped, so that the result can travel to workers as it is.
 * Runs: once per definition and load, in the primary; the result fits `GatedDefinition` of the worker's gate.
 *
 * Nothing that restricts access is ever taken for something else: a wrong type is an error at its path, never a default.
 */

import { z } from "zod";

/** Go writes `null` for an empty list or map. */
const orAbsent = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === null ? undefined : value), schema.optional());

const flag = orAbsent(z.boolean({ error: "must be true or false" }));
const text = orAbsent(z.string({ error: "must be a string" }));
const number = orAbsent(z.number({ error: "must be a number" }));
const texts = orAbsent(z.array(z.string({ error: "must be a string" }), { error: "must be a list of strings" }));
const textMap = orAbsent(
  z.record(z.string(), z.string({ error: "must be a string" }), { error: "must be an object of strings" }),
);
const object = <Shape extends z.ZodRawShape>(shape: Shape) => z.object(shape, { error: "must be an object" });
const list = <Schema extends z.ZodType>(schema: Schema) => orAbsent(z.array(schema, { error: "must be a list" }));
const map = <Schema extends z.ZodType>(schema: Schema) =>
  orAbsent(z.record(z.string(), schema, { error: "must be an object" }));

const required = z.string({ error: ({ input }) => (input === undefined ? "is missing" : "must be a string") });

const authConfig = object({
  disable_header: flag,
  auth_header_name: text,
  use_param: flag,
  param_name: text,
  use_cookie: flag,
  cookie_name: text,
  use_certificate: flag,
});

const listEntry = object({
  disabled: flag,
  path: required,
  method: text,
  ignore_case: flag,
  method_actions: map(object({ action: text, code: number, data: text, headers: textMap })),
});

const matchRules = map(object({ match_rx: required, reverse: flag }));

const rewriteEntry = object({
  disabled: flag,
  path: required,
  method: text,
  match_pattern: required,
  rewrite_to: z.string({ error: "must be a string" }).default(""),
  triggers: list(
    object({
      on: text,
      rewrite_to: text,
      options: orAbsent(
        object({
          header_matches: matchRules,
          query_val_matches: matchRules,
          path_part_matches: matchRules,
          session_meta_matches: matchRules,
          request_context_matches: matchRules,
          payload_matches: orAbsent(object({ match_rx: text })),
        }),
      ),
    }),
  ),
});

const version = object({
  name: text,
  expires: text,
  paths: orAbsent(object({ ignored: texts, white_list: texts, black_list: texts })),
  use_extended_paths: flag,
  extended_paths: orAbsent(
    object({
      ignored: list(listEntry),
      white_list: list(listEntry),
      black_list: list(listEntry),
      url_rewrites: list(rewriteEntry),
      rate_limit: list(object({ disabled: flag, path: required, method: text, rate: number, per: number })),
    }),
  ),
  ignore_endpoint_case: flag,
});

export const gateSchema = object({
  api_id: required,
  org_id: text,
  name: text,
  use_keyless: flag,
  use_standard_auth: flag,
  use_basic_auth: flag,
  basic_auth: orAbsent(object({ disable_caching: flag, cache_ttl: number })),
  use_oauth2: flag,
  use_openid: flag,
  enable_signature_checking: flag,
  enable_coprocess_auth: flag,
  use_go_plugin_auth: flag,
  custom_plugin_auth_enabled: flag,
  external_oauth: orAbsent(object({ enabled: flag })),
  enable_jwt: flag,
  auth: orAbsent(authConfig),
  auth_configs: map(authConfig),
  strip_auth_data: flag,
  base_identity_provided_by: text,
  jwt_signing_method: text,
  jwt_source: text,
  jwt_jwks_uris: list(object({ url: required, cache_timeout: number })),
  jwt_identity_base_field: text,
  jwt_policy_field_name: text,
  jwt_default_policies: texts,
  jwt_issued_at_validation_skew: number,
  jwt_expires_at_validation_skew: number,
  jwt_not_before_validation_skew: number,
  jwt_skip_kid: flag,
  jwt_scope_claim_name: text,
  jwt_scope_to_policy_mapping: textMap,
  scopes: orAbsent(object({ jwt: orAbsent(object({ scope_claim_name: text, scope_to_policy: textMap })) })),
  jwt_allowed_audiences: texts,
  jwt_allowed_issuers: texts,
  version_data: orAbsent(object({ not_versioned: flag, default_version: text, versions: map(version) })),
  global_rate_limit: orAbsent(object({ disabled: flag, rate: number, per: number })),
  disable_rate_limit: flag,
  disable_quota: flag,
  enable_ip_whitelisting: flag,
  allowed_ips: texts,
  enable_ip_blacklisting: flag,
  blacklisted_ips: texts,
  ip_access_control_disabled: flag,
  enable_context_vars: flag,
  expiration: text,
  session_lifetime: number,
  session_lifetime_respects_key_expiration: flag,
  dont_set_quota_on_create: flag,
  proxy: object({ listen_path: required }),
});

export type GateDocument = z.output<typeof gateSchema>;
