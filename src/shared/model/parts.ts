// Members of what is read as a whole: ways of authentication, and entries of a version's lists.
// Responsible for which names mean something there, so that a misspelt one is told. Must not know: what they mean (the
// schemas do), what becomes of the whole (support.ts). Governed by: Tyk's classic definition.
// Paths as in support.ts: `*` stands for any key, `[]` for any item.

const ENTRY = ["disabled", "path", "method"];
const PATH_ENTRY = [...ENTRY, "ignore_case", "method_actions"];
const HEADER_ENTRY = [...ENTRY, "add_headers", "delete_headers", "act_on"];
const AUTH = [
  "name",
  "disable_header",
  "auth_header_name",
  "use_param",
  "param_name",
  "use_cookie",
  "cookie_name",
  "use_certificate",
];
const BREAKER = [
  ...ENTRY,
  "threshold_percent",
  "samples",
  "return_to_service_after",
  "disable_half_open_state",
  "grpc_statuses",
];
const EXTENDED = "version_data.versions.*.extended_paths";

export const PARTS: Readonly<Record<string, readonly string[]>> = {
  auth: AUTH,
  "auth_configs.*": AUTH,
  [`${EXTENDED}.ignored.[]`]: PATH_ENTRY,
  [`${EXTENDED}.white_list.[]`]: PATH_ENTRY,
  [`${EXTENDED}.black_list.[]`]: PATH_ENTRY,
  [`${EXTENDED}.transform_headers.[]`]: HEADER_ENTRY,
  [`${EXTENDED}.transform_response_headers.[]`]: HEADER_ENTRY,
  [`${EXTENDED}.hard_timeouts.[]`]: [...ENTRY, "timeout", "duration"],
  [`${EXTENDED}.circuit_breakers.[]`]: BREAKER,
  [`${EXTENDED}.url_rewrites.[]`]: [...ENTRY, "match_pattern", "rewrite_to", "triggers", "match_regexp"],
  [`${EXTENDED}.rate_limit.[]`]: [...ENTRY, "rate", "per"],
};
