// `sluice lint`: everything that is wrong with the settings and the definitions, and what an operator may misread.
// Responsible for advice; errors are the loader's. Must not know: processes, sockets. Runs: on demand.

import { barePorts } from "../shared/certificates/bare-ports.js";
import { closedBecause } from "../shared/config/gate-settings.js";
import type { Settings } from "../shared/config.js";
import type { Judgement } from "../shared/model/definition.js";
import { valueAt } from "../shared/model/document.js";
import { needsKeys } from "../shared/model/gate-rules.js";
import { nearest } from "../shared/model/likeness.js";
import { matchingOf } from "../shared/model/path-rules.js";
import { jsonPath, type Problem, showFound } from "../shared/model/problem.js";
import { doesSomething } from "../shared/model/survey.js";
import { hasVariables } from "../shared/model/template.js";
import { loadPolicies } from "../shared/store/policy-files.js";
import { type Load, load } from "./loader.js";

export interface LintResult {
  readonly problems: readonly Problem[];
  /** 1 when a problem is an error or a definition is left out. */
  readonly exitCode: number;
}

export function lint(confPath: string | undefined, env: Readonly<Record<string, string | undefined>>): LintResult {
  const loaded = load(confPath, env);
  const { settings, left_out, problems: found } = loaded.configuration;
  const problems = [...found, ...explanations(loaded)];
  if (settings !== undefined)
    problems.push(
      ...runningOn(settings, loaded.judgements),
      ...control(settings, loaded),
      ...lists(settings, loaded),
      ...withoutCertificate(settings, loaded),
      ...loaded.expiring.map((message) => ({ ...NOWHERE, file: loaded.file, message })),
    );
  if (loaded.provisional !== undefined) problems.push(...policyProblems(loaded.provisional, loaded));
  const wrong = left_out.length > 0 || problems.some((problem) => problem.level === "error");
  return { problems, exitCode: wrong ? 1 : 0 };
}

const NOWHERE = { level: "warning", path: "", found: "", api: "" } as const;

/** Settings that mean something else here than their name or Tyk's use of them suggests. */
const MEANINGS: readonly { readonly path: readonly string[]; readonly meaning: string }[] = [
  {
    path: ["http_server_options", "read_timeout"],
    meaning: "bounds only how long a caller may take to finish a header block; it never ends a call",
  },
  {
    path: ["http_server_options", "write_timeout"],
    meaning: "bounds only how long a write may stand without progress; it never ends a call",
  },
  {
    path: ["http_server_options", "flush_interval"],
    meaning: "has no effect: every frame leaves in the turn it came",
  },
  {
    path: ["proxy_default_timeout"],
    meaning: "bounds only connecting to a service; a service may take as long as it likes to answer",
  },
];

function explanations({ read, file }: Load): Problem[] {
  if (read === undefined) return [];
  const problems: Problem[] = [];
  for (const { path, meaning } of MEANINGS) {
    const value = valueAt(read.document, path);
    if (!doesSomething(value)) continue;
    const set = read.overrides.find((override) => override.path.join() === path.join());
    const where = set === undefined ? { file, path: jsonPath(path) } : { file: "environment", path: set.variable };
    problems.push({ level: "warning", ...where, found: showFound(value), message: meaning, api: "" });
  }
  // Tyk serves no HTTP/2 over TLS without it; here there is nothing else.
  if (valueAt(read.document, ["http_server_options", "enable_http2"]) === false) {
    const path = "$.http_server_options.enable_http2";
    const message = "has no effect: callers always speak HTTP/2";
    problems.push({ level: "warning", file, path, found: "false", message, api: "" });
  }
  return problems;
}

/** Keys cannot be made through a control API that is closed; where nobody asked for one it may be. */
function control(settings: Settings, { file, configuration }: Load): Problem[] {
  const why = closedBecause(settings.secret);
  const wanted = settings.control_api_port !== 0 && configuration.definitions.some(needsKeys);
  if (why === "" || (settings.secret === "" && !wanted)) return [];
  const message = `${why}: the control API answers nothing but health`;
  return [{ level: "warning", file, path: "$.secret", found: "", message, api: "" }];
}

/** The store may have certificates, but nothing would ask for them. */
function withoutCertificate(settings: Settings, { file, configuration }: Load): Problem[] {
  const { definitions } = configuration;
  const told = configuration.problems.some(({ path }) => path === "$.http_server_options.use_ssl");
  const [port, ...others] = barePorts({ settings, definitions });
  if (port !== undefined && !told) {
    const names = [port, ...others].join(", ");
    const message = `port ${names} speaks TLS and nothing gives it a certificate, so no handshake succeeds: name one in http_server_options.ssl_certificates or in the definitions' certificates`;
    return [{ ...NOWHERE, file, path: "$.http_server_options", message }];
  }
  return [];
}

const UNANCHORED =
  'is searched anywhere in the path: begin it with ^ and end it with $, or write a plain "/Service/Method"';

function policyProblems(settings: Settings, { judgements }: Load): Problem[] {
  const {
    policies,
    files,
    problems: found,
  } = loadPolicies({
    ...settings.policies,
    allowUnsafeIds: settings.security.allow_unsafe_policy_ids,
    matching: matchingOf(settings),
  });
  const problems: Problem[] = [...found];
  const known = new Set(judgements.map((judgement) => judgement.api_id));
  for (const [id, policy] of policies) {
    const inside = settings.policies.policy_path === "" ? [id] : [];
    const file = files.get(id) ?? "";
    for (const [api, { allowed_urls }] of Object.entries(policy.access_rights ?? {})) {
      const rights = [...inside, "access_rights", api];
      if (judgements.length > 0 && !known.has(api))
        problems.push({ ...NOWHERE, file, path: jsonPath(rights), message: `${NO_API}${hint(api, known)}` });
      (allowed_urls ?? []).forEach(({ url, match }, at) => {
        if (match === "exact" || !isUnanchored(url, settings)) return;
        const path = jsonPath([...rights, "allowed_urls", at, "url"]);
        problems.push({ ...NOWHERE, file, path, found: showFound(url), message: UNANCHORED });
      });
    }
  }
  return problems;
}

const NO_API = "no definition has this api_id: these rights open nothing";

/** Each right that is wrong is compared with each name. */
const MOST_COMPARED = 1_000;

function hint(api: string, known: ReadonlySet<string>): string {
  const alike = known.size > MOST_COMPARED ? undefined : nearest(api, known);
  return alike === undefined ? "" : `; did you mean ${alike}?`;
}

function lists(settings: Settings, { file, configuration }: Load): Problem[] {
  const problems: Problem[] = [];
  for (const api of configuration.definitions) {
    const lists = (api.enable_ip_whitelisting || api.enable_ip_blacklisting) && !api.ip_access_control_disabled;
    if (lists && settings.trusted_proxies.length === 0) {
      const message =
        "looks at the peer's address: X-Real-IP and X-Forwarded-For are believed only from trusted_proxies";
      const path = api.enable_ip_whitelisting ? "$.allowed_ips" : "$.blacklisted_ips";
      problems.push({ level: "warning", file: api.file, path, found: "", message, api: api.name });
    }
    for (const [name, version] of Object.entries(api.version_data?.versions ?? {})) {
      if (version.use_extended_paths !== true) continue;
      (version.extended_paths?.white_list ?? []).forEach((entry, at) => {
        if (entry.disabled === true || !isUnanchored(entry.path, settings)) return;
        const path = jsonPath(["version_data", "versions", name, "extended_paths", "white_list", at, "path"]);
        const found = showFound(entry.path);
        problems.push({ level: "warning", file: api.file, path, found, message: UNANCHORED, api: api.name });
      });
    }
  }
  for (const id of Object.keys(settings.override_messages)) {
    if (OVERRIDABLE.has(id)) continue;
    const path = jsonPath(["override_messages", id]);
    problems.push({ level: "warning", file, path, found: "", message: "is never said here", api: "" });
  }
  return problems;
}

const OVERRIDABLE = new Set([
  "auth.auth_field_missing",
  "auth.key_not_found",
  "auth.key_is_invalid",
  "auth.cert_required",
  "auth.cert_mismatch",
  "auth.cert_expired",
  "auth.cert_not_found",
]);
const PLAIN_PATH = /^\/[\w.~/-]*$/;

function isUnanchored(pattern: string, settings: Settings): boolean {
  const { enable_path_prefix_matching: prefix, enable_path_suffix_matching: suffix } = settings.http_server_options;
  if (PLAIN_PATH.test(pattern) && settings.plain_path_matching === "exact" && !prefix && !suffix) return false;
  return !(prefix || pattern.startsWith("^")) || !(suffix || pattern.endsWith("$"));
}

/** With loose routes `/pkg.Service` also answers for `/pkg.ServiceTwo`, as in Tyk. */
function runningOn(settings: Settings, judgements: readonly Judgement[]): Problem[] {
  if (settings.http_server_options.enable_strict_routes) return [];
  const problems: Problem[] = [];
  for (const short of judgements) {
    for (const long of judgements) {
      if (short.place === undefined || long.place === undefined || !runsOnInto(short.place, long.place)) continue;
      const message = `runs on into ${long.place.listen_path} of ${long.file}: it answers every name that begins with it and has no route of its own; set http_server_options.enable_strict_routes`;
      const found = showFound(short.place.listen_path);
      problems.push({
        level: "warning",
        file: short.file,
        path: "$.proxy.listen_path",
        found,
        message,
        api: short.api,
      });
    }
  }
  return problems;
}

interface Place {
  readonly port: number;
  readonly domain: string;
  readonly listen_path: string;
}

function runsOnInto(short: Place, long: Place): boolean {
  const path = short.listen_path;
  if (short.port !== long.port || short.domain !== long.domain || hasVariables(path) || path.endsWith("/"))
    return false;
  return (
    long.listen_path.length > path.length && long.listen_path.startsWith(path) && long.listen_path[path.length] !== "/"
  );
}
