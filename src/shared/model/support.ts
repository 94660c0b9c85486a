// Every field of a classic API definition: what Sluice does with it.
// Responsible for the one question that must never be answered by forgetting: may a definition that sets this field be
// served? A field leaves the refused ones when, and only when, something enforces it.
// Must not know: how a document is walked (survey.ts). Paths: `*` stands for any key, `[]` for any item.

/**
 * True when the field does something, which may hang on its neighbours. `parents` are the objects that hold it, the
 * document first.
 */
export type Gate = (parents: readonly Record<string, unknown>[]) => boolean;

export type Support =
  /** Read by definition-schema.ts. */
  | { readonly effect: "supported" }
  /** Restricts nothing and is missed by nobody: names, bookkeeping, and what only speaks about a gated field. */
  | { readonly effect: "quiet" }
  /** Served without it, with a warning that says so. */
  | { readonly effect: "ignored"; readonly reason: string; readonly gate?: Gate | undefined }
  /** Restricts access, or decides where or how a call is served: the definition is left out. */
  | { readonly effect: "refused"; readonly reason: string; readonly gate?: Gate | undefined };

const supported: Support = { effect: "supported" };
const quiet: Support = { effect: "quiet" };
const ignored = (reason: string, gate?: Gate): Support => ({ effect: "ignored", reason, gate });
const refused = (reason: string, gate?: Gate): Support => ({ effect: "refused", reason, gate });

const unless =
  (key: string): Gate =>
  (parents) =>
    parents.at(-1)?.[key] !== true;
const inside =
  (key: string, flag: string): Gate =>
  (parents) =>
    isOn(parents[0]?.[key], flag);
const protectedApi = unless("use_keyless");
const both =
  (a: Gate, b: Gate): Gate =>
  (parents) =>
    a(parents) && b(parents);
const extended: Gate = (parents) => parents[VERSION_DEPTH]?.["use_extended_paths"] === true;
/** version_data, versions, the version itself. */
const VERSION_DEPTH = 3;

const AUTH = "this way of authentication is not supported by this version";
const SIGNATURE = "signatures of requests are not checked by this version";
const SIZES = "size limits are not supported by this version";
const BODIES = "gRPC messages are not rewritten";
const CODE = "custom code is not run";
const ANALYTICS = "no analytics are recorded";
const UPTIME = "tests over HTTP say nothing about a gRPC service: ask for sluice.health instead";
const FOR_CACHE = "gRPC answers are not cached";

const EXTENDED: Readonly<Record<string, Support>> = {
  ignored: supported,
  white_list: supported,
  black_list: supported,
  mock_response: refused("a mocked answer is not supported; the call would reach the service", extended),
  cache: ignored(FOR_CACHE, extended),
  advance_cache_config: ignored(FOR_CACHE, extended),
  transform: refused(BODIES, extended),
  transform_response: refused(BODIES, extended),
  transform_jq: refused(BODIES, extended),
  transform_jq_response: refused(BODIES, extended),
  transform_headers: supported,
  transform_response_headers: supported,
  hard_timeouts: supported,
  circuit_breakers: supported,
  url_rewrites: supported,
  virtual: refused(CODE, extended),
  size_limits: refused(SIZES, extended),
  method_transforms: refused("a gRPC call is always a POST", extended),
  track_endpoints: ignored(ANALYTICS, extended),
  do_not_track_endpoints: quiet,
  validate_json: refused("messages are not validated", extended),
  validate_request: refused("messages are not validated", extended),
  internal: refused(
    "calls between APIs inside the gateway are not supported, so the path would be open to everyone",
    extended,
  ),
  go_plugin: refused(CODE, extended),
  persist_graphql: refused("GraphQL is not supported", extended),
  rate_limit: supported,
};

const VERSION: Readonly<Record<string, Support>> = {
  name: quiet,
  expires: supported,
  "paths.ignored": supported,
  "paths.white_list": supported,
  "paths.black_list": supported,
  use_extended_paths: supported,
  global_headers: supported,
  global_headers_remove: supported,
  global_headers_disabled: supported,
  global_response_headers: supported,
  global_response_headers_remove: supported,
  global_response_headers_disabled: supported,
  ignore_endpoint_case: supported,
  global_size_limit: refused(SIZES, unless("global_size_limit_disabled")),
  global_size_limit_disabled: quiet,
  global_enforce_timeout: supported,
  global_enforce_timeout_disabled: quiet,
  override_target: refused("versions with a target of their own are not supported"),
};

/** The whole document; the deepest entry that names a path counts for everything below it. */
export const SUPPORT: Readonly<Record<string, Support>> = {
  api_id: supported,
  org_id: supported,
  name: supported,
  active: supported,
  listen_port: supported,
  protocol: supported,
  domain: supported,
  domain_disabled: supported,
  use_keyless: supported,
  "proxy.listen_path": supported,
  "proxy.target_url": supported,
  "proxy.strip_listen_path": supported,
  "proxy.disable_strip_slash": supported,
  "proxy.preserve_host_header": supported,
  "proxy.enable_load_balancing": supported,
  "proxy.target_list": supported,

  id: quiet,
  slug: quiet,
  "proxy.structured_target_list": quiet,
  "proxy.check_host_against_uptime_tests": ignored(UPTIME, (parents) => !checksHealth(parents[0]?.["sluice"])),
  "proxy.service_discovery.use_discovery_service": refused("targets cannot be discovered; list them in target_list"),
  "proxy.service_discovery": quiet,
  "proxy.transport.ssl_insecure_skip_verify": supported,
  "proxy.transport.ssl_ciphers": supported,
  "proxy.transport.ssl_min_version": supported,
  "proxy.transport.ssl_max_version": supported,
  "proxy.transport.ssl_force_common_name_check": supported,
  "proxy.transport.proxy_url": supported,

  /** Ours: how targets are chosen, checked and left out. */
  "sluice.balance": supported,
  "sluice.health": supported,
  "sluice.ejection": supported,

  // Who may call. Tyk asks for none of these on a keyless API, so there they restrict nothing.
  use_standard_auth: supported,
  use_basic_auth: supported,
  enable_jwt: supported,
  use_oauth2: refused(AUTH, protectedApi),
  use_openid: refused(AUTH, protectedApi),
  external_oauth: refused(AUTH, both(protectedApi, inside("external_oauth", "enabled"))),
  enable_signature_checking: refused(AUTH, protectedApi),
  enable_coprocess_auth: refused(AUTH, protectedApi),
  use_go_plugin_auth: refused(AUTH, protectedApi),
  custom_plugin_auth_enabled: refused(AUTH, protectedApi),
  auth: supported,
  "auth.validate_signature": refused(SIGNATURE, protectedApi),
  "auth.signature": quiet,
  auth_configs: supported,
  "auth_configs.*.validate_signature": refused(SIGNATURE, protectedApi),
  "auth_configs.*.signature": quiet,
  auth_provider: quiet,
  session_provider: quiet,
  "basic_auth.disable_caching": supported,
  "basic_auth.cache_ttl": supported,
  "basic_auth.extract_from_body": refused("credentials are not looked for in messages"),
  basic_auth: quiet,
  oauth_meta: quiet,
  openid_options: quiet,
  "scopes.jwt": supported,
  scopes: quiet,
  security_requirements: refused(AUTH, protectedApi),
  base_identity_provided_by: supported,
  strip_auth_data: supported,
  jwt_signing_method: supported,
  jwt_source: supported,
  jwt_jwks_uris: supported,
  jwt_identity_base_field: supported,
  jwt_client_base_field: quiet,
  jwt_policy_field_name: supported,
  jwt_default_policies: supported,
  jwt_issued_at_validation_skew: supported,
  jwt_expires_at_validation_skew: supported,
  jwt_not_before_validation_skew: supported,
  jwt_skip_kid: supported,
  jwt_scope_claim_name: supported,
  jwt_scope_to_policy_mapping: supported,
  idp_client_id_mapping_disabled: quiet,
  /** Ours: a token must be for one of these, and from one of these, where set. */
  jwt_allowed_audiences: supported,
  jwt_allowed_issuers: supported,
  hmac_allowed_clock_skew: quiet,
  hmac_allowed_algorithms: quiet,
  session_lifetime: supported,
  session_lifetime_respects_key_expiration: supported,
  dont_set_quota_on_create: supported,

  // Who may call, whatever the keys say.
  use_mutual_tls_auth: supported,
  client_certificates: supported,
  enable_ip_whitelisting: supported,
  enable_ip_blacklisting: supported,
  ip_access_control_disabled: supported,
  allowed_ips: supported,
  blacklisted_ips: supported,
  expiration: supported,
  internal: refused("calls between APIs inside the gateway are not supported, so it would be open to everyone"),

  // How often.
  global_rate_limit: supported,
  disable_rate_limit: supported,
  disable_quota: supported,

  certificates: supported,
  upstream_certificates: supported,
  upstream_certificates_disabled: supported,
  pinned_public_keys: supported,
  certificate_pinning_disabled: supported,
  enable_proxy_protocol: ignored("only TCP listeners read the PROXY protocol"),

  // What is done to a call.
  definition: refused("versions are not supported by this version", inside("definition", "enabled")),
  /** Ours: what is tried again, and how large and how many messages may be. */
  "sluice.retry": supported,
  "sluice.message_limits": supported,
  "sluice.methods": supported,
  "version_data.not_versioned": quiet,
  "version_data.default_version": quiet,
  ...below("version_data.versions.*", VERSION),
  ...below("version_data.versions.*.extended_paths", EXTENDED),
  request_signing: refused("signing requests is not supported", inside("request_signing", "is_enabled")),
  upstream_auth: refused("credentials towards the service are not supported", inside("upstream_auth", "enabled")),
  "custom_middleware.driver": quiet,
  "custom_middleware.id_extractor": quiet,
  custom_middleware: refused(CODE),
  custom_middleware_bundle: refused(CODE, unless("custom_middleware_bundle_disabled")),
  custom_middleware_bundle_disabled: quiet,
  graphql: refused("GraphQL is not supported", inside("graphql", "enabled")),
  is_oas: refused("its OAS companion may restrict what this file does not; only classic definitions are read"),
  application_protocol: refused("only HTTP/2 and gRPC are proxied"),
  json_rpc_version: refused("only HTTP/2 and gRPC are proxied"),
  response_processors: ignored("only header_injector changes responses here", hasOtherProcessors),
  CORS: ignored("answers to browsers are the service's own", inside("CORS", "enable")),
  cache_options: ignored(FOR_CACHE, inside("cache_options", "enable_cache")),
  enable_batch_request_support: ignored("batches are not supported"),
  uptime_tests: ignored(
    UPTIME,
    (parents) => hasChecks(parents[0]?.["uptime_tests"]) && !checksHealth(parents[0]?.["sluice"]),
  ),
  event_handlers: ignored("events are not sent"),
  notifications: ignored("events are not sent"),
  error_overrides: ignored("error answers are fixed"),

  // Bookkeeping.
  do_not_track: quiet,
  enable_detailed_recording: ignored(ANALYTICS),
  detailed_tracing: ignored("traces are not supported by this version"),
  analytics_plugin: ignored(ANALYTICS),
  tag_headers: quiet,
  expire_analytics_after: quiet,
  config_data: quiet,
  config_data_disabled: quiet,
  enable_context_vars: supported,
  tags: quiet,
  tags_disabled: quiet,
};

function below(prefix: string, table: Readonly<Record<string, Support>>): Record<string, Support> {
  return Object.fromEntries(Object.entries(table).map(([key, support]) => [`${prefix}.${key}`, support]));
}

function isOn(value: unknown, key: string): boolean {
  return typeof value === "object" && value !== null && (value as Record<string, unknown>)[key] === true;
}

/** `sluice` asks for health checks. */
function checksHealth(ours: unknown): boolean {
  const health = isRecord(ours) ? ours["health"] : undefined;
  return isRecord(health) && (health["type"] === "grpc" || health["type"] === "tcp");
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function hasOtherProcessors(parents: readonly Record<string, unknown>[]): boolean {
  const list = parents[0]?.["response_processors"];
  return !Array.isArray(list) || list.some((each) => !isRecord(each) || each["name"] !== "header_injector");
}

function hasChecks(value: unknown): boolean {
  if (typeof value !== "object" || value === null || isOn(value, "disabled")) return false;
  const list = (value as Record<string, unknown>)["check_list"];
  return Array.isArray(list) && list.length > 0;
}
