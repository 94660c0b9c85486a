// Settings from a document and the environment: complete and checked, or every reason why not.
// Must not know: where the document was read, processes. Only the primary and lint come here.
// Runs: at start and at a reload.

import { valueAt, withoutNulls } from "../model/document.js";
import { isAddress } from "../model/gate-rules.js";
import { jsonPath, type Problem, showFound } from "../model/problem.js";
import type { Support } from "../model/support.js";
import { isObject, supportTree, survey } from "../model/survey.js";
import { cipherProblem } from "../model/transport.js";
import { type Override, overlayEnvironment } from "./environment.js";
import { type Settings, settingsObject } from "./schema.js";
import { isSecretPath, resolveSecret, SECRET_PATHS, type SecretSources } from "./secret.js";
import { SETTINGS_SUPPORT } from "./support.js";

export interface ReadSettings {
  /** Undefined when a problem is an error. */
  readonly settings: Settings | undefined;
  /**
   * Never to be started with: what is wrong is left out, so that definitions and policies can be judged beside it and
   * everything is told in one go. Undefined when not even that can be made.
   */
  readonly provisional: Settings | undefined;
  readonly problems: readonly Problem[];
  /** Which settings were set by a variable. */
  readonly overrides: readonly Override[];
  /** The document after the environment, for advice on what is set. */
  readonly document: Readonly<Record<string, unknown>>;
}

const supported: Support = { effect: "supported" };
const TREE = supportTree({ ...SETTINGS_SUPPORT, ...supportedPaths() });

export function readSettings(parsed: unknown, file: string, sources: SecretSources): ReadSettings {
  const plain = withoutNulls(parsed);
  if (!isObject(plain)) {
    const message = "must be an object";
    const problem: Problem = { level: "error", file, path: "$", found: showFound(parsed), message, api: "" };
    return { settings: undefined, provisional: undefined, problems: [problem], overrides: [], document: {} };
  }
  const { document, overrides, problems: strange } = overlayEnvironment(plain, sources.env);
  const problems: Problem[] = strange.map(({ variable, level, message }) => ({
    level,
    file: "environment",
    path: variable,
    found: "",
    message,
    api: "",
  }));
  const add = (level: Problem["level"], path: readonly PropertyKey[], message: string) =>
    problems.push(problemAt(level, file, document, overrides, path, message));
  for (const finding of survey(document, TREE)) {
    const message = finding.message.replace("not served with it", "remove it");
    problems.push({
      level: finding.refused ? "error" : "warning",
      ...located(file, overrides, finding.path),
      found: /secret|password/i.test(finding.path) ? "" : finding.found,
      message: message.replace("; served without it", " and it has no effect"),
      api: "",
    });
  }
  resolveSecrets(document, sources, add);
  const read = settingsObject.safeParse(document);
  if (read.success) {
    const settings = derive(read.data);
    checkTogether(settings, add);
    const broken = problems.some((problem) => problem.level === "error");
    return { settings: broken ? undefined : settings, provisional: settings, problems, overrides, document };
  }
  for (const issue of read.error.issues) add("error", issue.path, issue.message);
  return { settings: undefined, provisional: withoutWrong(document), problems, overrides, document };
}

/** Taking one thing out may show another; a document that is wrong for ever is not pursued. */
const MOST_ROUNDS = 5;

function withoutWrong(document: Readonly<Record<string, unknown>>): Settings | undefined {
  const rest = structuredClone(document);
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const read = settingsObject.safeParse(rest);
    if (read.success) return derive(read.data);
    for (const { path } of read.error.issues) takeOut(rest, path);
  }
  return undefined;
}

/** With an item of a list the list: its rest may mean something else. */
function takeOut(document: Record<string, unknown>, path: readonly PropertyKey[]): void {
  const list = path.findIndex((key) => typeof key === "number");
  const keys = list < 0 ? path : path.slice(0, list);
  const holder = valueAt(document, keys.slice(0, -1));
  const last = keys.at(-1);
  if (isObject(holder) && last !== undefined) delete holder[String(last)];
}

function resolveSecrets(
  document: Record<string, unknown>,
  sources: SecretSources,
  add: (level: Problem["level"], path: readonly PropertyKey[], message: string) => void,
): void {
  for (const path of SECRET_PATHS) {
    const written = valueAt(document, path);
    if (typeof written !== "string") continue;
    const resolved = resolveSecret(written, sources);
    const holder = valueAt(document, path.slice(0, -1)) as Record<string, unknown>;
    if ("problem" in resolved) add("error", path, resolved.problem);
    else holder[path.at(-1)!] = resolved.value;
  }
}

/** What 0 or empty stands for when it hangs on another setting. */
function derive(settings: Settings): Settings {
  const { upstream } = settings;
  return {
    ...settings,
    control_api_address: settings.control_api_address || settings.listen_address,
    upstream: {
      ...upstream,
      connect_timeout: upstream.connect_timeout || settings.proxy_default_timeout,
      // Tyk's name for the same bound.
      max_age: settings.max_conn_time > 0 ? settings.max_conn_time : upstream.max_age,
    },
  };
}

function checkTogether(
  settings: Settings,
  add: (level: Problem["level"], path: readonly PropertyKey[], message: string) => void,
): void {
  if (settings.control_api_port === settings.listen_port)
    add("error", ["control_api_port"], "must not be listen_port; 0 means no port of its own");
  if (settings.health_check_endpoint_name === settings.readiness_check_endpoint_name)
    add("error", ["readiness_check_endpoint_name"], "must not be health_check_endpoint_name");
  checkTransport(settings, add);
  checkControl(settings, add);
  settings.trusted_proxies.forEach((proxy, n) => {
    if (!isAddress(proxy)) add("error", ["trusted_proxies", n], "must be an address or a range such as 10.0.0.0/8");
  });
  if (!/^[A-Za-z0-9._-]*$/.test(settings.hostname)) add("error", ["hostname"], "must be a host name without a port");
}

function checkTransport(
  settings: Settings,
  add: (level: Problem["level"], path: readonly PropertyKey[], message: string) => void,
): void {
  const front = settings.http_server_options;
  const sides = [
    {
      min: front.min_version,
      max: front.max_version,
      path: ["http_server_options", "min_version"],
      than: "max_version",
    },
    {
      min: settings.proxy_ssl_min_version,
      max: settings.proxy_ssl_max_version,
      path: ["proxy_ssl_min_version"],
      than: "proxy_ssl_max_version",
    },
  ];
  for (const { min, max, path, than } of sides)
    if (min !== 0 && max !== 0 && min > max) add("error", path, `must not be above ${than}`);
  for (const [path, names] of [
    [["http_server_options", "ssl_ciphers"], front.ssl_ciphers],
    [["proxy_ssl_ciphers"], settings.proxy_ssl_ciphers],
  ] as const) {
    const problem = cipherProblem(names);
    if (problem !== "") add("error", path, problem);
  }
}

/** A control port that nobody can enter, or everybody can, is not what was meant. */
function checkControl(
  settings: Settings,
  add: (level: Problem["level"], path: readonly PropertyKey[], message: string) => void,
): void {
  const { control_api_use_mutual_tls: mutual, certificates } = settings.security;
  if (!mutual) return;
  const path = ["security", "control_api_use_mutual_tls"];
  if (settings.control_api_port === 0)
    add("error", path, "needs control_api_port: on the main port callers and operators are asked for the same");
  else if (!settings.http_server_options.use_ssl) add("error", path, "needs http_server_options.use_ssl");
  else if (certificates.control_api.length === 0)
    add("error", path, "needs security.certificates.control_api: nobody could use the control API");
}

function problemAt(
  level: Problem["level"],
  file: string,
  document: unknown,
  overrides: readonly Override[],
  path: readonly PropertyKey[],
  message: string,
): Problem {
  const found = isSecretPath(path) ? "" : showFound(valueAt(document, path));
  return { level, ...located(file, overrides, jsonPath(path)), found, message, api: "" };
}

/** A variable is named where it set the value that is wrong. */
function located(file: string, overrides: readonly Override[], path: string): { file: string; path: string } {
  for (const { variable, path: set } of overrides) {
    const base = jsonPath(set);
    if (path === base) return { file: "environment", path: variable };
    if (path.startsWith(`${base}.`) || path.startsWith(`${base}[`))
      return { file: "environment", path: `${variable} $${path.slice(base.length)}` };
  }
  return { file, path };
}

function supportedPaths(): Record<string, Support> {
  // Sections of our own are wholly known; a name inside that is not, is found by comparing with the schema's shape.
  const paths: Record<string, Support> = {};
  const walk = (shape: Record<string, unknown>, prefix: string) => {
    for (const [key, member] of Object.entries(shape)) {
      const inner = shapeOf(member);
      if (inner === undefined) paths[prefix + key] = supported;
      else walk(inner, `${prefix}${key}.`);
    }
  };
  walk(settingsObject.shape, "");
  return paths;
}

/** The fields of a section, undefined for anything else. */
function shapeOf(schema: unknown): Record<string, unknown> | undefined {
  const holder = schema as {
    readonly shape?: Record<string, unknown>;
    readonly def?: { readonly innerType?: unknown };
  };
  if (holder.shape !== undefined) return holder.shape;
  return holder.def?.innerType === undefined ? undefined : shapeOf(holder.def.innerType);
}
