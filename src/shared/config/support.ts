// Fields of tyk.conf without a meaning here: which of them may be there all the same.
// A setting that restricts access and is not enforced makes the settings unusable; it never passes silently.
// Must not know: the supported ones (schema.ts). Paths as in model/support.ts.

import type { Gate, Support } from "../model/support.js";

const quiet: Support = { effect: "quiet" };
const ignored = (reason: string): Support => ({ effect: "ignored", reason });
const refused = (reason: string, gate?: Gate): Support => ({ effect: "refused", reason, gate });

const KEYS = "keys and policies are not supported by this version";
const TLS = "TLS is not supported by this version";
const HTTP1 = "only matters with HTTP/1.1";
const ANALYTICS = "no analytics are recorded";
const ORGS = "limits of organisations are not supported by this version";

export const SETTINGS_SUPPORT: Readonly<Record<string, Support>> = {
  "http_server_options.use_ssl": refused(TLS),
  "http_server_options.max_request_body_size": refused("size limits are not supported by this version"),
  "http_server_options.certificates": ignored(TLS),
  "http_server_options.ssl_certificates": ignored(TLS),
  "http_server_options.ssl_ciphers": ignored(TLS),
  "http_server_options.min_version": ignored(TLS),
  "http_server_options.max_version": ignored(TLS),
  "http_server_options.server_name": ignored(TLS),
  "http_server_options.ssl_insecure_skip_verify": quiet,
  "http_server_options.skip_client_ca_announcement": quiet,
  "http_server_options.enable_websockets": quiet,
  "http_server_options.enable_path_prefix_matching": quiet,
  "http_server_options.enable_path_suffix_matching": quiet,
  "http_server_options.skip_target_path_escaping": quiet,
  "http_server_options.override_defaults": quiet,
  "http_server_options.xff_depth": quiet,
  "http_server_options.max_response_body_size": ignored("answers are not changed"),
  "security.control_api_use_mutual_tls": refused(TLS),
  security: ignored(TLS),
  use_db_app_configs: refused("definitions are read from app_path only"),
  "slave_options.use_rpc": refused("definitions are read from app_path only"),
  slave_options: quiet,
  db_app_conf_options: quiet,
  enforce_org_quotas: refused(ORGS),
  enforce_org_data_age: refused(ORGS),
  control_api_hostname: refused("the control port answers every host; bind it with control_api_address"),
  close_connections: ignored(HTTP1),
  proxy_close_connections: ignored(HTTP1),
  max_idle_connections: ignored(HTTP1),
  max_idle_connections_per_host: ignored(HTTP1),
  proxy_enable_http2: quiet,
  proxy_ssl_insecure_skip_verify: quiet,
  proxy_ssl_min_version: quiet,
  proxy_ssl_max_version: quiet,
  proxy_ssl_ciphers: quiet,
  proxy_ssl_disable_renegotiation: quiet,
  ssl_force_common_name_check: quiet,
  policies: ignored(KEYS),
  storage: ignored(KEYS),
  cache_storage: ignored(KEYS),
  enable_separate_cache_store: quiet,
  hash_keys: quiet,
  hash_key_function: quiet,
  hash_key_function_fallback: quiet,
  allow_master_keys: quiet,
  min_token_length: quiet,
  enable_analytics: ignored(ANALYTICS),
  analytics_config: quiet,
  template_path: quiet,
  middleware_path: quiet,
  tyk_js_path: quiet,
  pid_file_location: ignored("no process id file is written"),
  suppress_redis_signal_reload: quiet,
  enable_jsvm: quiet,
  coprocess_options: quiet,
  ignore_endpoint_case: quiet,
  allow_insecure_configs: quiet,
  public_key_path: quiet,
  force_global_session_lifetime: quiet,
  global_session_lifetime: quiet,
  local_session_cache: quiet,
  uptime_tests: ignored("targets are not checked for health by this version"),
  health_check: quiet,
  liveness_check: quiet,
  dns_cache: ignored("names are resolved again as upstream.resolve_interval says"),
  track_404_logs: quiet,
  opentelemetry: ignored("traces are not supported by this version"),
  access_logs: ignored("an access log is not supported by this version"),
  override_messages: ignored("error answers are fixed by this version"),
  monitor: ignored("events are not sent"),
};
