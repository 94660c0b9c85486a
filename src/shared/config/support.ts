// Fields of tyk.conf without a meaning here: which of them may be there all the same.
// A setting that restricts access and is not enforced makes the settings unusable; it never passes silently.
// Must not know: the supported ones (schema.ts). Paths as in model/support.ts.

import type { Gate, Support } from "../model/support.js";

const quiet: Support = { effect: "quiet" };
const ignored = (reason: string): Support => ({ effect: "ignored", reason });
const refused = (reason: string, gate?: Gate): Support => ({ effect: "refused", reason, gate });

const HTTP1 = "only matters with HTTP/1.1";
const ANALYTICS = "no analytics are recorded";
const LEASES = "shares of a limit follow demand";

export const SETTINGS_SUPPORT: Readonly<Record<string, Support>> = {
  "http_server_options.max_request_body_size": refused("size limits are not supported by this version"),
  "http_server_options.server_name": quiet,
  "http_server_options.ssl_insecure_skip_verify": quiet,
  "http_server_options.enable_websockets": quiet,
  "http_server_options.skip_target_path_escaping": quiet,
  "http_server_options.override_defaults": quiet,
  "http_server_options.max_response_body_size": ignored("answers are not changed"),
  "security.certificates.dashboard_api": quiet,
  "security.certificates.mdcb_api": quiet,
  use_db_app_configs: refused("definitions are read from app_path only"),
  "slave_options.use_rpc": refused("definitions are read from app_path only"),
  slave_options: quiet,
  db_app_conf_options: quiet,
  enforce_org_data_age: ignored(ANALYTICS),
  enforce_org_data_detail_logging: ignored(ANALYTICS),
  suppress_default_org_store: quiet,
  experimental_process_org_off_thread: quiet,
  control_api_hostname: refused("the control port answers every host; bind it with control_api_address"),
  close_connections: ignored(HTTP1),
  proxy_close_connections: ignored(HTTP1),
  max_idle_connections: ignored(HTTP1),
  max_idle_connections_per_host: ignored(HTTP1),
  // Only HTTP/2 is proxied, which forbids renegotiation (RFC 9113 section 9.2.1).
  proxy_ssl_disable_renegotiation: quiet,
  "storage.optimisation_max_idle": quiet,
  "storage.optimisation_max_active": quiet,
  "policies.policy_connection_string": quiet,
  "policies.allow_explicit_policy_id": quiet,
  drl_threshold: ignored(LEASES),
  drl_notification_frequency: ignored(LEASES),
  drl_enable_sentinel_rate_limiter: ignored(LEASES),
  enable_rate_limit_smoothing: ignored("rates stay as they are written"),
  enable_non_transactional_rate_limiter: ignored("every count is one atomic step"),
  cache_storage: quiet,
  enable_separate_cache_store: quiet,
  enable_analytics: ignored(ANALYTICS),
  analytics_config: quiet,
  template_path: quiet,
  middleware_path: quiet,
  tyk_js_path: quiet,
  pid_file_location: ignored("no process id file is written"),
  enable_jsvm: quiet,
  coprocess_options: quiet,
  public_key_path: quiet,
  local_session_cache: quiet,
  uptime_tests: ignored("targets are not checked for health by this version"),
  health_check: quiet,
  liveness_check: quiet,
  dns_cache: ignored("names are resolved again as upstream.resolve_interval says"),
  track_404_logs: quiet,
  monitor: ignored("events are not sent"),
};
