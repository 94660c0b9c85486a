/**
 * The parts of an API definition and of the settings that the gate reads, under Tyk's names.
 * Must not know: anything else of them; a checked definition fits by its shape.
 * Runs: read once per definition when it is compiled (`api-gate.ts`).
 */

export interface AuthConfig {
  readonly disable_header?: boolean | undefined;
  readonly auth_header_name?: string | undefined;
  readonly use_param?: boolean | undefined;
  readonly param_name?: string | undefined;
  readonly use_cookie?: boolean | undefined;
  readonly cookie_name?: string | undefined;
  readonly use_certificate?: boolean | undefined;
}

export interface MethodAction {
  readonly action?: string | undefined;
  readonly code?: number | undefined;
  readonly data?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | null | undefined;
}

export interface ListEntry {
  readonly disabled?: boolean | undefined;
  readonly path: string;
  readonly method?: string | undefined;
  readonly ignore_case?: boolean | undefined;
  readonly method_actions?: Readonly<Record<string, MethodAction>> | null | undefined;
}

export interface MatchRule {
  readonly match_rx: string;
  readonly reverse?: boolean | undefined;
}

export type MatchRules = Readonly<Record<string, MatchRule>> | null | undefined;

export interface RewriteTrigger {
  readonly on?: string | undefined;
  readonly rewrite_to?: string | undefined;
  readonly options?:
    | {
        readonly header_matches?: MatchRules;
        readonly query_val_matches?: MatchRules;
        readonly path_part_matches?: MatchRules;
        readonly session_meta_matches?: MatchRules;
        readonly request_context_matches?: MatchRules;
        readonly payload_matches?: { readonly match_rx?: string | undefined } | null | undefined;
      }
    | null
    | undefined;
}

export interface RewriteEntry {
  readonly disabled?: boolean | undefined;
  readonly path: string;
  readonly method?: string | undefined;
  readonly match_pattern: string;
  readonly rewrite_to: string;
  readonly triggers?: readonly RewriteTrigger[] | null | undefined;
}

export interface RateEntry {
  readonly disabled?: boolean | undefined;
  readonly path: string;
  readonly method?: string | undefined;
  readonly rate?: number | undefined;
  readonly per?: number | undefined;
}

type List<Entry> = readonly Entry[] | null | undefined;

export interface VersionDefinition {
  readonly name?: string | undefined;
  readonly expires?: string | undefined;
  readonly paths?:
    | {
        readonly ignored?: List<string>;
        readonly white_list?: List<string>;
        readonly black_list?: List<string>;
      }
    | null
    | undefined;
  readonly use_extended_paths?: boolean | undefined;
  readonly extended_paths?:
    | {
        readonly ignored?: List<ListEntry>;
        readonly white_list?: List<ListEntry>;
        readonly black_list?: List<ListEntry>;
        readonly url_rewrites?: List<RewriteEntry>;
        readonly rate_limit?: List<RateEntry>;
      }
    | null
    | undefined;
  readonly ignore_endpoint_case?: boolean | undefined;
}

export interface GatedDefinition {
  readonly api_id: string;
  readonly org_id?: string | undefined;
  readonly name?: string | undefined;
  readonly use_keyless?: boolean | undefined;
  readonly use_standard_auth?: boolean | undefined;
  readonly use_basic_auth?: boolean | undefined;
  readonly basic_auth?:
    | { readonly disable_caching?: boolean | undefined; readonly cache_ttl?: number | undefined }
    | null
    | undefined;
  /** Methods that we do not have: a definition that asks for one is closed. */
  readonly use_oauth2?: boolean | undefined;
  readonly use_openid?: boolean | undefined;
  readonly enable_signature_checking?: boolean | undefined;
  readonly enable_coprocess_auth?: boolean | undefined;
  readonly use_go_plugin_auth?: boolean | undefined;
  readonly custom_plugin_auth_enabled?: boolean | undefined;
  readonly external_oauth?: { readonly enabled?: boolean | undefined } | null | undefined;
  readonly enable_jwt?: boolean | undefined;
  readonly auth?: AuthConfig | null | undefined;
  readonly auth_configs?: Readonly<Record<string, AuthConfig>> | null | undefined;
  readonly strip_auth_data?: boolean | undefined;
  readonly base_identity_provided_by?: string | undefined;
  readonly jwt_signing_method?: string | undefined;
  readonly jwt_source?: string | undefined;
  readonly jwt_jwks_uris?: List<{ readonly url: string; readonly cache_timeout?: number | undefined }>;
  readonly jwt_identity_base_field?: string | undefined;
  readonly jwt_policy_field_name?: string | undefined;
  readonly jwt_default_policies?: List<string>;
  readonly jwt_issued_at_validation_skew?: number | undefined;
  readonly jwt_expires_at_validation_skew?: number | undefined;
  readonly jwt_not_before_validation_skew?: number | undefined;
  readonly jwt_skip_kid?: boolean | undefined;
  readonly jwt_scope_claim_name?: string | undefined;
  readonly jwt_scope_to_policy_mapping?: Readonly<Record<string, string>> | null | undefined;
  readonly scopes?:
    | {
        readonly jwt?:
          | {
              readonly scope_claim_name?: string | undefined;
              readonly scope_to_policy?: Readonly<Record<string, string>> | null | undefined;
            }
          | null
          | undefined;
      }
    | null
    | undefined;
  /** Ours: a token must be for one of these, and from one of these, where set. */
  readonly jwt_allowed_audiences?: List<string>;
  readonly jwt_allowed_issuers?: List<string>;
  readonly version_data?:
    | {
        readonly not_versioned?: boolean | undefined;
        readonly default_version?: string | undefined;
        readonly versions?: Readonly<Record<string, VersionDefinition>> | null | undefined;
      }
    | null
    | undefined;
  readonly global_rate_limit?:
    | {
        readonly disabled?: boolean | undefined;
        readonly rate?: number | undefined;
        readonly per?: number | undefined;
      }
    | null
    | undefined;
  readonly disable_rate_limit?: boolean | undefined;
  readonly disable_quota?: boolean | undefined;
  readonly enable_ip_whitelisting?: boolean | undefined;
  readonly allowed_ips?: List<string>;
  readonly enable_ip_blacklisting?: boolean | undefined;
  readonly blacklisted_ips?: List<string>;
  readonly ip_access_control_disabled?: boolean | undefined;
  readonly enable_context_vars?: boolean | undefined;
  /** "2006-01-02 15:04" in UTC. */
  readonly expiration?: string | undefined;
  readonly proxy: { readonly listen_path: string };
}

export interface GateSettings {
  /** 0 means 3, as in Tyk. */
  readonly min_token_length?: number | undefined;
  readonly enable_path_prefix_matching?: boolean | undefined;
  readonly enable_path_suffix_matching?: boolean | undefined;
  readonly ignore_endpoint_case?: boolean | undefined;
  /** Ours. `exact` (default): a plain string in a list that grants something names a service or a method. */
  readonly plain_path_matching?: "exact" | "regex" | undefined;
  /** Ours: peers whose `X-Real-IP` and `X-Forwarded-For` are believed. */
  readonly trusted_proxies?: readonly string[] | undefined;
  readonly xff_depth?: number | undefined;
  readonly enforce_org_quotas?: boolean | undefined;
  /** `security.allow_unsafe_dynamic_mtls_token`. */
  readonly allow_unsafe_dynamic_mtls_token?: boolean | undefined;
}
