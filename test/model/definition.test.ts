import assert from "node:assert/strict";
import { test } from "node:test";
import { SUPPORT } from "../../src/shared/model/support.js";
import { definitionWith, errorsOf, judge, settingsWith, warningsOf } from "./fixture.js";

const withVersion = (version: Record<string, unknown>, more: Record<string, unknown> = {}) =>
  definitionWith({
    version_data: { not_versioned: true, versions: { Default: { name: "Default", ...version } } },
    ...more,
  });
const withExtended = (paths: Record<string, unknown>) =>
  withVersion({ use_extended_paths: true, extended_paths: paths });
const item = { path: "/x", method: "POST" };

test("a keyless definition is served with every field that is read", () => {
  const judgement = judge(definitionWith());
  assert.deepEqual(judgement.problems, []);
  assert.deepEqual(judgement.definition, {
    api_id: "greeter",
    org_id: "default",
    name: "Greeter",
    file: "apps/greeter.json",
    port: 8080,
    protocol: "http",
    domain: "",
    use_keyless: true,
    version_data: { not_versioned: true, versions: { Default: { name: "Default", use_extended_paths: true } } },
    proxy: {
      listen_path: "/helloworld.Greeter",
      strip_listen_path: false,
      disable_strip_slash: false,
      preserve_host_header: false,
      enable_load_balancing: false,
      targets: [
        { scheme: "h2c", host: "localhost", port: 50051, authority: "localhost:50051", basePath: "", query: "" },
      ],
      transport: {
        ssl_insecure_skip_verify: false,
        ssl_ciphers: [],
        ssl_min_version: 0,
        ssl_max_version: 0,
        ssl_force_common_name_check: false,
        proxy_url: "",
      },
    },
    certificates: [],
    use_mutual_tls_auth: false,
    use_certificate: false,
    client_certificates: [],
    upstream_certificates: {},
    upstream_certificates_disabled: false,
    pinned_public_keys: {},
    certificate_pinning_disabled: false,
  });
});

// Each of these changes who may call, how often, or what reaches the service.
const REFUSED: [string, Record<string, unknown>, string][] = [
  ["client certificates on a port without TLS", { use_mutual_tls_auth: true }, "$.use_mutual_tls_auth"],
  [
    "certificates as keys on a port without TLS",
    { use_keyless: false, auth_configs: { authToken: { use_certificate: true } } },
    "$.auth_configs.authToken.use_certificate",
  ],
  [
    "certificates as keys beside another way, without tokens",
    { use_keyless: false, use_basic_auth: true, protocol: "https", auth: { use_certificate: true } },
    "$.auth.use_certificate",
  ],
  ["an expiry that is no time", { expiration: "tomorrow" }, "$.expiration"],
  [
    "an address that is none",
    { enable_ip_whitelisting: true, allowed_ips: ["10.0.0.1", "10.0.0"] },
    "$.allowed_ips[1]",
  ],
  ["a range that is none", { enable_ip_blacklisting: true, blacklisted_ips: ["10.0.0.0/33"] }, "$.blacklisted_ips[0]"],
  ["a way of authentication that is not there", { use_keyless: false, use_oauth2: true }, "$.use_oauth2"],
  [
    "a signature beside its token",
    { use_keyless: false, auth_configs: { authToken: { validate_signature: true } } },
    "$.auth_configs.authToken.validate_signature",
  ],
  [
    "no place for a credential",
    { use_keyless: false, auth_configs: { authToken: { disable_header: true } } },
    "$.auth_configs.authToken",
  ],
  ["tokens of an unknown kind", { use_keyless: false, enable_jwt: true }, "$.jwt_signing_method"],
  [
    "an identity of a way that is not in use",
    { use_keyless: false, use_basic_auth: true, base_identity_provided_by: "jwt_claim" },
    "$.base_identity_provided_by",
  ],
  ["a limit of the wrong kind", { global_rate_limit: { rate: "1", per: 1 } }, "$.global_rate_limit.rate"],
  ["an internal API", { internal: true }, "$.internal"],
  ["versions", { definition: { enabled: true } }, "$.definition"],
  ["signed requests", { request_signing: { is_enabled: true } }, "$.request_signing"],
  ["upstream credentials", { upstream_auth: { enabled: true } }, "$.upstream_auth"],
  ["a plugin before", { custom_middleware: { pre: [{ name: "x" }] } }, "$.custom_middleware.pre"],
  ["an authentication plugin", { custom_middleware: { auth_check: { name: "x" } } }, "$.custom_middleware.auth_check"],
  ["a bundle", { custom_middleware_bundle: "x.zip" }, "$.custom_middleware_bundle"],
  ["GraphQL", { graphql: { enabled: true } }, "$.graphql"],
  ["an OAS companion", { is_oas: true }, "$.is_oas"],
  ["a field in another case", { Use_Mutual_TLS_Auth: true }, "$.Use_Mutual_TLS_Auth"],
  [
    "discovery",
    { proxy: { service_discovery: { use_discovery_service: true } } },
    "$.proxy.service_discovery.use_discovery_service",
  ],
  ["a proxy of another kind", { proxy: { transport: { proxy_url: "socks5://p" } } }, "$.proxy.transport.proxy_url"],
  ["an unknown suite", { proxy: { transport: { ssl_ciphers: ["X"] } } }, "$.proxy.transport.ssl_ciphers"],
  [
    "TLS versions the wrong way round",
    { proxy: { transport: { ssl_min_version: 772, ssl_max_version: 771 } } },
    "$.proxy.transport.ssl_min_version",
  ],
];

for (const [name, changes, path] of REFUSED) {
  test(`a definition with ${name} is left out`, () => {
    const judgement = judge(definitionWith(changes));
    assert.equal(judgement.definition, undefined);
    assert.ok(
      errorsOf(judgement).some((error) => error.startsWith(`${path} `)),
      errorsOf(judgement).join(),
    );
    assert.deepEqual(judgement.place, { api: "Greeter", port: 8080, domain: "", listen_path: "/helloworld.Greeter" });
  });
}

const REFUSED_LISTS = [
  "mock_response",
  "transform",
  "transform_response",
  "transform_jq",
  "transform_jq_response",
  "virtual",
  "size_limits",
  "method_transforms",
  "validate_json",
  "validate_request",
  "internal",
  "go_plugin",
  "persist_graphql",
];

for (const list of REFUSED_LISTS) {
  test(`a definition with ${list} is left out, unless the list is empty, switched off or not in use`, () => {
    const path = `$.version_data.versions.Default.extended_paths.${list}`;
    assert.ok(errorsOf(judge(withExtended({ [list]: [item] })))[0]?.startsWith(path));
    assert.deepEqual(errorsOf(judge(withExtended({ [list]: [] }))), []);
    assert.deepEqual(errorsOf(judge(withExtended({ [list]: [{ ...item, disabled: true }] }))), []);
    const unused = withVersion({ use_extended_paths: false, extended_paths: { [list]: [item] } });
    assert.deepEqual(errorsOf(judge(unused)), []);
  });
}

test("keys, lists, limits and rewrites are served and travel with the definition", () => {
  const extended_paths = {
    white_list: [{ path: "/x", method_actions: { POST: { action: "no_action", code: 200 } } }],
    url_rewrites: [{ path: "/x", method: "POST", match_pattern: "/x", rewrite_to: "/y" }],
    rate_limit: [{ path: "/x", method: "POST", rate: 1, per: 2 }],
  };
  const fields = {
    use_keyless: false,
    use_standard_auth: true,
    auth_configs: { authToken: { auth_header_name: "x-key" } },
    strip_auth_data: true,
    global_rate_limit: { rate: 5, per: 1 },
    allowed_ips: ["10.0.0.0/8", "::1"],
    enable_ip_whitelisting: true,
    expiration: "2040-01-01 00:00",
    session_lifetime: 60,
  };
  const judgement = judge(
    withVersion({ use_extended_paths: true, extended_paths, paths: { black_list: ["/z"] } }, fields),
  );
  assert.deepEqual(judgement.problems, []);
  const { version_data, ...rest } = judgement.definition!;
  for (const [name, value] of Object.entries(fields)) assert.deepEqual(rest[name as "api_id"], value, name);
  assert.deepEqual(version_data?.versions?.["Default"]?.extended_paths, extended_paths);
  assert.deepEqual(version_data?.versions?.["Default"]?.paths, { black_list: ["/z"] });
});

test("a rewrite that would read messages leaves the definition out", () => {
  const trigger = { on: "any", options: { payload_matches: { match_rx: "x" } }, rewrite_to: "/y" };
  const rewrite = { path: "/x", method: "POST", match_pattern: "/x", rewrite_to: "/y", triggers: [trigger] };
  assert.match(errorsOf(judge(withExtended({ url_rewrites: [rewrite] })))[0] ?? "", /payload_matches would need/);
  assert.deepEqual(errorsOf(judge(withExtended({ url_rewrites: [{ ...rewrite, disabled: true }] }))), []);
});

test("fields of a version that restrict leave the definition out", () => {
  for (const version of [{ expires: "soon" }, { global_size_limit: 10 }, { override_target: "h2c://elsewhere" }])
    assert.equal(errorsOf(judge(withVersion(version))).length, 1, JSON.stringify(version));
  for (const version of [
    { expires: "-1" },
    { expires: "" },
    { global_size_limit: 10, global_size_limit_disabled: true },
    { global_headers: { connection: "b" }, global_headers_disabled: true },
  ])
    assert.deepEqual(errorsOf(judge(withVersion(version))), [], JSON.stringify(version));
});

test("a version of another name is surveyed too", () => {
  const versions = { v1: {}, v2: { use_extended_paths: true, extended_paths: { validate_json: [item] } } };
  const judgement = judge(definitionWith({ version_data: { not_versioned: true, versions } }));
  assert.match(errorsOf(judgement)[0] ?? "", /^\$\.version_data\.versions\.v2\.extended_paths\.validate_json /);
});

test("versions that callers would have to name leave the definition out", () => {
  const judgement = judge(definitionWith({ version_data: { versions: { Default: { name: "Default" } } } }));
  assert.match(errorsOf(judgement)[0] ?? "", /^\$\.version_data\.not_versioned /);
  assert.deepEqual(errorsOf(judge(definitionWith({ version_data: {} }))), []);
});

test("values that do nothing are no problem", () => {
  const judgement = judge(
    definitionWith({
      use_mutual_tls_auth: false,
      client_certificates: [],
      allowed_ips: null,
      blacklisted_ips: [],
      expiration: "",
      certificates: null,
      global_rate_limit: { disabled: false, rate: 0, per: 0 },
      definition: { enabled: false, location: "header", key: "x-api-version" },
      auth: { auth_header_name: "Authorization" },
      auth_configs: { authToken: { auth_header_name: "Authorization" } },
      custom_middleware: {
        pre: [],
        post: null,
        auth_check: { name: "", path: "", require_session: false },
        driver: "otto",
      },
      graphql: { enabled: false, version: "2" },
      CORS: { enable: false, max_age: 24 },
      cache_options: { enable_cache: false, cache_timeout: 60 },
      uptime_tests: { check_list: [], config: { expire_utime_after: 0 } },
      event_handlers: { events: {} },
      response_processors: [],
      config_data: {},
      tags: [],
    }),
  );
  assert.deepEqual(judgement.problems, []);
});

test("a restriction whose switch is off is served with a warning", () => {
  const judgement = judge(definitionWith({ allowed_ips: ["10.0.0.1"], use_basic_auth: true }));
  assert.notEqual(judgement.definition, undefined);
  assert.deepEqual(warningsOf(judgement), [
    "$.use_basic_auth restricts nothing here, as in Tyk: its switch is off",
    "$.allowed_ips restricts nothing here, as in Tyk: its switch is off",
  ]);
});

test("unknown and ignored fields that are set are warnings with their path", () => {
  const judgement = judge(
    definitionWith({
      flavour: "mint",
      CORS: { enable: true },
      proxy: { colour: { of: ["sky"] } },
      version_data: { not_versioned: true, versions: { Default: { extra: 1 } } },
    }),
  );
  assert.notEqual(judgement.definition, undefined);
  assert.deepEqual(
    warningsOf(judgement).map((warning) => warning.split(" ")[0]),
    ["$.version_data.versions.Default.extra", "$.flavour", "$.CORS", "$.proxy.colour"],
  );
});

test("supported fields of the wrong kind leave the definition out with path, found and allowed", () => {
  const judgement = judge(
    definitionWith({
      listen_port: "80",
      use_keyless: "yes",
      proxy: { strip_listen_path: 1, target_list: ["h2c://a", 7] },
    }),
  );
  assert.equal(judgement.definition, undefined);
  assert.deepEqual(
    judgement.problems.map((p) => [p.path, p.found, p.message]),
    [
      ["$.listen_port", '"80"', "must be a port from 1 to 65535, or 0 for the main port"],
      ["$.use_keyless", '"yes"', "must be true or false"],
      ["$.proxy.strip_listen_path", "1", "must be true or false"],
      ["$.proxy.target_list[1]", "7", "must be a string"],
    ],
  );
});

test("a section that is no object leaves the definition out", () => {
  assert.match(errorsOf(judge({ ...definitionWith(), proxy: ["x"] }))[0] ?? "", /^\$\.proxy must be an object/);
  for (const document of [[], "text", 7, null]) assert.match(errorsOf(judge(document))[0] ?? "", /must be an object/);
});

test("an inactive definition is not judged, a missing active is told", () => {
  const inactive = judge(definitionWith({ active: false, use_keyless: false }));
  assert.deepEqual([inactive.active, inactive.definition, inactive.problems], [false, undefined, []]);
  const { active: _, ...without } = definitionWith();
  assert.match(warningsOf(judge(without))[0] ?? "", /^\$\.active is missing/);
});

test("on a TLS port client certificates are served, and what is disabled is left away", () => {
  const settings = settingsWith({ http_server_options: { use_ssl: true } });
  const judged = judge(
    definitionWith({
      use_mutual_tls_auth: true,
      client_certificates: ["a.pem"],
      domain_disabled: true,
      certificates: ["b.pem"],
      upstream_certificates: { "*": "c.pem" },
      upstream_certificates_disabled: true,
      pinned_public_keys: { "*": "d.pem" },
      certificate_pinning_disabled: true,
    }),
    settings,
  );
  assert.deepEqual(errorsOf(judged), []);
  const { protocol, client_certificates, certificates, upstream_certificates, pinned_public_keys } = judged.definition!;
  assert.deepEqual(
    { protocol, client_certificates, certificates, upstream_certificates, pinned_public_keys },
    {
      protocol: "https",
      client_certificates: ["a.pem"],
      certificates: [],
      upstream_certificates: {},
      pinned_public_keys: {},
    },
  );
});

test("certificates that nobody looks at are told", () => {
  const judged = judge(definitionWith({ certificates: ["a.pem"], client_certificates: ["b.pem"] }));
  assert.deepEqual(errorsOf(judged), []);
  assert.deepEqual(warningsOf(judged), [
    "$.certificates has no effect: port 8080 does not speak TLS",
    "$.client_certificates restricts nothing while use_mutual_tls_auth is off",
  ]);
});

test("protocols and targets that are not carried name what is", () => {
  const target = (target_url: string) => errorsOf(judge(definitionWith({ proxy: { target_url } })))[0] ?? "";
  assert.match(target("http://a:1"), /h2c:\/\//);
  assert.equal(target("https://a:1"), "");
  assert.match(target("tcp://a:1"), /only HTTP\/2/);
  assert.match(target("tls://a:1"), /only HTTP\/2/);
  assert.match(target("tyk://self"), /not supported/);
  assert.match(target("ftp://a"), /must not be ftp/);
  for (const bad of [
    "",
    "a:1",
    "localhost:50051",
    "h2c://",
    "h2c://a:0",
    "h2c://a:99999",
    "h2c://u:p@a",
    "h2c://a/#x",
    "h2c://a b",
  ])
    assert.notEqual(target(bad), "", bad);
  const protocol = (name: string) => errorsOf(judge(definitionWith({ protocol: name })))[0] ?? "";
  assert.match(protocol("https"), /must be "" or "http" on the main port/);
  for (const name of ["tcp", "tls", "grpc"]) assert.match(protocol(name), /only HTTP\/2/);
});

test("a target is taken apart", () => {
  const target = (target_url: string) => judge(definitionWith({ proxy: { target_url } })).definition?.proxy.targets[0];
  assert.deepEqual(target("h2c://[::1]:50051/base/?a=b"), {
    scheme: "h2c",
    host: "::1",
    port: 50051,
    authority: "[::1]:50051",
    basePath: "/base/",
    query: "a=b",
  });
  assert.equal(target("h2c://service")?.port, 80);
  assert.equal(target("H2C://service:1")?.authority, "service:1");
});

test("load balancing needs a target, a list without it is a warning", () => {
  const balanced = (target_list: string[], target_url = "") =>
    judge(definitionWith({ proxy: { enable_load_balancing: true, target_list, target_url } }));
  const weighted = balanced(["h2c://a:1", "h2c://a:1", "h2c://b:1"]);
  assert.deepEqual(
    weighted.definition?.proxy.targets.map((t) => t.host),
    ["a", "a", "b"],
  );
  assert.match(errorsOf(balanced([]))[0] ?? "", /all load balancing targets have weight 0/);
  assert.match(errorsOf(balanced(["h2c://a:1", "http://b:1"]))[0] ?? "", /^\$\.proxy\.target_list\[1\] /);
  assert.match(
    warningsOf(judge(definitionWith({ proxy: { target_list: ["h2c://a:1"] } })))[0] ?? "",
    /enable_load_balancing/,
  );
});

test("a listen path that cannot be asked for leaves the definition out", () => {
  const path = (listen_path: string) => errorsOf(judge(definitionWith({ proxy: { listen_path } })));
  for (const bad of [
    "",
    " ",
    "/a b",
    "a",
    "/a?b",
    "/a#b",
    "//a",
    "/a/../b",
    "/{",
    "/}",
    "/{}",
    "/{a:}",
    "/{a:(}",
    "/{a:(x+)+}",
    "/{a:)(}",
  ])
    assert.equal(path(bad).length, 1, bad);
  for (const good of ["/", "/a", "/a/", "/pkg.Service", "/.well-known/x", "/{a}", "/{a:[a-z]{2}}/b", "/b/{n:.*}"])
    assert.deepEqual(path(good), [], good);
});

test("an id that is missing or holds a slash leaves the definition out", () => {
  for (const api_id of ["", "a/b", "a b"])
    assert.match(errorsOf(judge(definitionWith({ api_id })))[0] ?? "", /\$\.api_id/);
});

test("a domain counts only with enable_custom_domains", () => {
  const on = settingsWith({ enable_custom_domains: true });
  assert.equal(judge(definitionWith({ domain: "API.example.com" }), on).definition?.domain, "api.example.com");
  assert.equal(judge(definitionWith({ domain: "a.com", domain_disabled: true }), on).definition?.domain, "");
  for (const bad of ["a.com:80", "a b", "*", "a.*.com", "{x:(}.com", "http://a"])
    assert.equal(errorsOf(judge(definitionWith({ domain: bad }), on)).length, 1, bad);
  const off = judge(definitionWith({ domain: "a.com" }));
  assert.equal(off.definition?.domain, "");
  assert.match(warningsOf(off)[0] ?? "", /enable_custom_domains is off/);
});

test("a path that the gateway answers itself is a warning", () => {
  for (const listen_path of ["/hello", "/ready", "/tyk", "/tyk/keys"])
    assert.equal(warningsOf(judge(definitionWith({ proxy: { listen_path } }))).length, 1, listen_path);
  assert.deepEqual(warningsOf(judge(definitionWith({ proxy: { listen_path: "/tyk-foo/" } }))), []);
});

test("every top-level field of Tyk's classic definition has a decision", () => {
  const decided = new Set(Object.keys(SUPPORT).map((path) => path.split(".")[0]));
  const missing = TYK_FIELDS.filter((field) => !decided.has(field));
  assert.deepEqual(missing, []);
});

const TYK_FIELDS = `id name expiration slug listen_port protocol enable_proxy_protocol json_rpc_version
application_protocol api_id org_id use_keyless use_oauth2 external_oauth use_openid openid_options oauth_meta auth
auth_configs use_basic_auth basic_auth use_mutual_tls_auth client_certificates upstream_certificates
upstream_certificates_disabled pinned_public_keys certificate_pinning_disabled enable_jwt use_standard_auth
use_go_plugin_auth enable_coprocess_auth custom_plugin_auth_enabled jwt_signing_method jwt_source jwt_jwks_uris
jwt_identity_base_field jwt_client_base_field jwt_policy_field_name jwt_default_policies
jwt_issued_at_validation_skew jwt_expires_at_validation_skew jwt_not_before_validation_skew jwt_skip_kid scopes
idp_client_id_mapping_disabled jwt_scope_to_policy_mapping jwt_scope_claim_name notifications
enable_signature_checking hmac_allowed_clock_skew hmac_allowed_algorithms request_signing base_identity_provided_by
definition version_data uptime_tests proxy disable_rate_limit disable_quota custom_middleware custom_middleware_bundle
custom_middleware_bundle_disabled cache_options session_lifetime_respects_key_expiration session_lifetime active
internal auth_provider session_provider event_handlers enable_batch_request_support enable_ip_whitelisting allowed_ips
enable_ip_blacklisting blacklisted_ips ip_access_control_disabled dont_set_quota_on_create expire_analytics_after
response_processors CORS domain domain_disabled certificates do_not_track enable_context_vars config_data
config_data_disabled tag_headers global_rate_limit strip_auth_data enable_detailed_recording graphql analytics_plugin
tags_disabled tags is_oas detailed_tracing upstream_auth security_requirements error_overrides`.split(/\s+/);
