// One definition's document judged: served, left out by name with the reason, or not active.
// Responsible for every rule that needs no other definition (those are in assembly.ts). A definition is served only
// when each field that is set is either enforced or known to restrict nothing.
// Must not know: files, processes. Runs: once per file at load.

import type { Settings } from "../config.js";
import { type GateDocument, gateSchema } from "../keys/gate-schema.js";
import type { ApiDefinition, ClosedPath, GateFields, ListenProtocol, Target } from "./api-definition.js";
import { readCallSettings } from "./call-settings.js";
import { type DefinitionDocument, definitionSchema } from "./definition-schema.js";
import { valueAt, withoutNulls } from "./document.js";
import { checkGate } from "./gate-rules.js";
import { readHeaderChanges } from "./header-changes.js";
import { PARTS } from "./parts.js";
import { needsCleaning } from "./path.js";
import { matchingOf } from "./path-rules.js";
import { checkPort, mainProtocol } from "./ports.js";
import { jsonPath, type Problem, showFound } from "./problem.js";
import { SUPPORT } from "./support.js";
import { isObject, supportTree, survey } from "./survey.js";
import { parseTarget } from "./target.js";
import { readTargetPolicy } from "./target-policy.js";
import { compileHostTemplate, compilePathTemplate, hasVariables } from "./template.js";
import { cipherProblem, proxyUrlProblem } from "./transport.js";

export interface Judgement {
  readonly file: string;
  /** What to call it: its name, its api_id or its file. */
  readonly api: string;
  readonly api_id: string;
  readonly active: boolean;
  /** Undefined when it is left out. */
  readonly definition: ApiDefinition | undefined;
  /** The path it asks for, also when it is left out or inactive; undefined when even that is unreadable. */
  readonly place: ClosedPath | undefined;
  readonly problems: readonly Problem[];
}

const TREE = supportTree(SUPPORT, PARTS);

export function judgeDefinition(parsed: unknown, file: string, settings: Settings): Judgement {
  const document = withoutNulls(parsed);
  const raw = isObject(document) ? document : {};
  const api = [raw["name"], raw["api_id"]].find((v) => typeof v === "string" && v !== "");
  const judge = new Judge(document, file, typeof api === "string" ? api : file, settings);
  const read = definitionSchema.safeParse(document);
  const active = !isObject(document) || (raw["active"] !== false && raw["active"] !== undefined);
  const definition = active ? judge.all(read) : judge.inactive(raw["active"]);
  const api_id = typeof raw["api_id"] === "string" ? raw["api_id"] : "";
  const served = judge.problems.some((problem) => problem.level === "error") ? undefined : definition;
  return {
    file,
    api: judge.api,
    api_id,
    active,
    definition: served,
    place: placeOf(raw, judge.api, settings),
    problems: judge.problems,
  };
}

class Judge {
  readonly problems: Problem[] = [];
  readonly api: string;
  readonly #document: unknown;
  readonly #file: string;
  readonly #settings: Settings;

  constructor(document: unknown, file: string, api: string, settings: Settings) {
    this.#document = document;
    this.#file = file;
    this.api = api;
    this.#settings = settings;
  }

  /** Every problem is collected, so that one run of lint names them all. */
  all(read: ReturnType<typeof definitionSchema.safeParse>): ApiDefinition | undefined {
    if (isObject(this.#document)) this.#survey(this.#document);
    const gate = this.#gate(read.success ? [] : read.error.issues.map((issue) => jsonPath(issue.path)));
    const calls = readCallSettings(this.#document, matchingOf(this.#settings), (at, message) =>
      this.error(at, message),
    );
    const headers = readHeaderChanges(this.#document, matchingOf(this.#settings), this);
    if (!read.success) {
      for (const issue of read.error.issues) this.error(issue.path, issue.message);
      return undefined;
    }
    const found = read.data;
    this.#identity(found);
    this.#access(found);
    const protocol = this.#protocol(found);
    const port = this.#port(found, protocol);
    const domain = this.#domain(found);
    this.#listenPath(found);
    const targets = this.#targets(found);
    const targeting = readTargetPolicy(this.#document, targets.length, (level, path, message) =>
      this.#add(level, path, message),
    );
    this.#security(found, protocol);
    return {
      ...gate,
      api_id: found.api_id,
      org_id: found.org_id,
      name: found.name,
      file: this.#file,
      port,
      protocol,
      domain,
      use_keyless: found.use_keyless,
      proxy: {
        listen_path: found.proxy.listen_path,
        strip_listen_path: found.proxy.strip_listen_path,
        disable_strip_slash: found.proxy.disable_strip_slash,
        preserve_host_header: found.proxy.preserve_host_header,
        enable_load_balancing: found.proxy.enable_load_balancing,
        targets,
        transport: found.proxy.transport,
      },
      ...transportSecurity(found),
      ...(targeting === undefined ? {} : { targeting }),
      ...(calls === undefined ? {} : { calls }),
      ...(headers === undefined ? {} : { headers }),
    };
  }

  inactive(active: unknown): undefined {
    if (active === undefined) this.warn(["active"], "is missing, which means false: the definition is not served");
  }

  error(path: readonly PropertyKey[], message: string): void {
    this.#add("error", path, message);
  }

  /** Of what every definition must have: what is not there at all is not wrong, but missing. */
  #wrong(path: readonly PropertyKey[], message: string): void {
    this.error(path, valueAt(this.#document, path) === undefined ? "is missing" : message);
  }

  warn(path: readonly PropertyKey[], message: string): void {
    this.#add("warning", path, message);
  }

  #add(level: "error" | "warning", path: readonly PropertyKey[], message: string): void {
    // What signs tokens is shown to nobody.
    const hidden = path.length === 0 || path[0] === "jwt_source";
    const found = hidden ? "" : showFound(valueAt(this.#document, path));
    this.problems.push({ level, file: this.#file, path: jsonPath(path), found, message, api: this.api });
  }

  #survey(document: Record<string, unknown>): void {
    for (const { refused, path, found, message } of survey(document, TREE))
      this.problems.push({
        level: refused ? "error" : "warning",
        file: this.#file,
        path,
        found,
        message,
        api: this.api,
      });
  }

  #identity(found: DefinitionDocument): void {
    if (!/^[^\s/]+$/.test(found.api_id)) this.#wrong(["api_id"], "must be a name without spaces and slashes");
  }

  /** `told` are the paths whose fault is known already. */
  #gate(told: readonly string[]): GateFields {
    // What routing needs is judged by its own rules, whatever is missing there.
    const placeholders = { api_id: "", proxy: { listen_path: "" } };
    const read = gateSchema.safeParse(isObject(this.#document) ? { ...this.#document, ...placeholders } : placeholders);
    if (read.success) {
      checkGate(read.data, matchingOf(this.#settings), this);
      return gateFields(read.data);
    }
    for (const { path, message } of read.error.issues) {
      const at = jsonPath(path);
      if (!told.some((known) => known === at || known.startsWith(`${at}.`))) this.error(path, message);
    }
    return {};
  }

  #access(found: DefinitionDocument): void {
    const versions = Object.keys(found.version_data.versions).length;
    if (versions > 0 && !found.version_data.not_versioned)
      this.error(
        ["version_data", "not_versioned"],
        "is not true, so callers would have to name a version, and versions are not supported; not served without",
      );
  }

  #protocol(found: DefinitionDocument): ListenProtocol {
    const { protocol } = found;
    if (protocol === "http" || protocol === "h2c" || protocol === "https") return protocol;
    if (protocol !== "") this.error(["protocol"], 'must be "", "http", "h2c" or "https": only HTTP/2 is proxied');
    return mainProtocol(this.#settings);
  }

  #port(found: DefinitionDocument, protocol: ListenProtocol): number {
    const settings = this.#settings;
    const port = found.listen_port === 0 ? settings.listen_port : found.listen_port;
    if (port === settings.listen_port) {
      const main = mainProtocol(settings);
      if (protocol !== main)
        this.error(["protocol"], `must be "" or "${main}" on the main port ${port}: a port has one protocol`);
    } else if (port === settings.control_api_port) {
      this.error(["listen_port"], "must not be control_api_port, which belongs to the gateway");
    } else {
      const refusal = checkPort(settings, protocol, port);
      if (refusal !== "") this.error(["listen_port"], refusal);
    }
    return port;
  }

  #domain(found: DefinitionDocument): string {
    if (found.domain === "" || found.domain_disabled) return "";
    if (!this.#settings.enable_custom_domains) {
      this.warn(["domain"], "has no effect while enable_custom_domains is off: served for every host");
      return "";
    }
    const problem = domainProblem(found.domain);
    if (problem !== "") this.error(["domain"], problem);
    return sameCase(found.domain);
  }

  #listenPath(found: DefinitionDocument): void {
    const path = found.proxy.listen_path;
    const problem = listenPathProblem(path, !this.#settings.http_server_options.skip_url_cleaning);
    if (problem !== "") this.#wrong(["proxy", "listen_path"], problem);
    else if (this.#isOurs(path))
      this.warn(["proxy", "listen_path"], "is answered by the gateway itself on the main port");
  }

  #security(found: DefinitionDocument, protocol: ListenProtocol): void {
    if (found.use_mutual_tls_auth && protocol !== "https")
      this.error(
        ["use_mutual_tls_auth"],
        "asks for client certificates, which only a port with TLS gets; set protocol to https or use_ssl; not served without",
      );
    const tokenAuth = found.auth_configs["authToken"] ?? found.auth;
    if (tokenAuth.use_certificate && !found.use_keyless && protocol !== "https") {
      const path = "authToken" in found.auth_configs ? ["auth_configs", "authToken"] : ["auth"];
      const says = "asks for client certificates, which only a port with TLS gets; set protocol to https or use_ssl";
      if (this.#settings.security.allow_unsafe_dynamic_mtls_token) this.warn([...path, "use_certificate"], says);
      else this.error([...path, "use_certificate"], `${says}; nobody could call it`);
    }
    if (protocol === "https" && !this.#settings.http_server_options.enable_http2)
      this.error(["protocol"], "needs HTTP/2 towards callers, which http_server_options.enable_http2 switches off");
    if (found.certificates.length > 0 && !found.domain_disabled && protocol !== "https")
      this.warn(
        ["certificates"],
        `has no effect: port ${found.listen_port || this.#settings.listen_port} does not speak TLS`,
      );
    if (found.client_certificates.length > 0 && !found.use_mutual_tls_auth)
      this.warn(["client_certificates"], "restricts nothing while use_mutual_tls_auth is off");
    const { ssl_min_version: min, ssl_max_version: max, ssl_ciphers, proxy_url } = found.proxy.transport;
    if (min !== 0 && max !== 0 && min > max)
      this.error(["proxy", "transport", "ssl_min_version"], "must not be above ssl_max_version");
    const cipher = cipherProblem(ssl_ciphers);
    if (cipher !== "") this.error(["proxy", "transport", "ssl_ciphers"], cipher);
    const proxy = proxyUrlProblem(proxy_url);
    if (proxy !== "") this.error(["proxy", "transport", "proxy_url"], proxy);
  }

  #isOurs(path: string): boolean {
    const { health_check_endpoint_name: health, readiness_check_endpoint_name: ready } = this.#settings;
    return path === `/${health}` || path === `/${ready}` || path === "/tyk" || path.startsWith("/tyk/");
  }

  #targets(found: DefinitionDocument): Target[] {
    const { target_url, target_list, enable_load_balancing } = found.proxy;
    if (!enable_load_balancing) {
      if (target_list.length > 0)
        this.warn(["proxy", "target_list"], "has no effect while enable_load_balancing is off");
      return this.#target(target_url, ["proxy", "target_url"]);
    }
    if (target_url !== "") this.#target(target_url, ["proxy", "target_url"]);
    if (target_list.length === 0)
      this.error(
        ["proxy", "target_list"],
        "all load balancing targets have weight 0, at least one target must have weight > 0: list at least one",
      );
    return target_list.flatMap((target, index) => this.#target(target, ["proxy", "target_list", index]));
  }

  #target(written: string, path: readonly PropertyKey[]): Target[] {
    const target = parseTarget(written);
    if ("problem" in target) {
      this.#wrong(path, target.problem);
      return [];
    }
    if (target.scheme === "https" && !this.#settings.proxy_enable_http2)
      this.error(path, "needs HTTP/2 towards the service, which proxy_enable_http2 switches off");
    return [target];
  }
}

function gateFields({ api_id: _id, proxy: _proxy, ...fields }: GateDocument): GateFields {
  return fields;
}

/** What is disabled restricts and adds nothing, so nothing later needs to know its switch. */
function transportSecurity(found: DefinitionDocument) {
  const { use_mutual_tls_auth, upstream_certificates_disabled, certificate_pinning_disabled } = found;
  return {
    certificates: found.domain_disabled ? [] : found.certificates,
    use_mutual_tls_auth,
    use_certificate: [found.auth, ...Object.values(found.auth_configs)].some((auth) => auth.use_certificate),
    client_certificates: use_mutual_tls_auth ? found.client_certificates : [],
    upstream_certificates: upstream_certificates_disabled ? {} : found.upstream_certificates,
    pinned_public_keys: certificate_pinning_disabled ? {} : found.pinned_public_keys,
    upstream_certificates_disabled,
    certificate_pinning_disabled,
  };
}

function domainProblem(domain: string): string {
  if (hasVariables(domain)) {
    const compiled = compileHostTemplate(domain);
    return "problem" in compiled ? compiled.problem : "";
  }
  if (/^(\*\.)?([A-Za-z0-9_-]+\.)*[A-Za-z0-9_-]+$/.test(domain)) return "";
  return "must be a host name without a port, *.name for one label, or a pattern in braces";
}

/** Names are compared whatever their case; a pattern is left alone, since it may hold \S or \D. */
function sameCase(domain: string): string {
  return hasVariables(domain) ? domain : domain.toLowerCase();
}

function listenPathProblem(path: string, clean: boolean): string {
  if (path === "") return "must not be empty";
  if (!path.startsWith("/")) return "must begin with /";
  if (/\s/.test(path)) return "must not contain spaces";
  if (hasVariables(path)) {
    const compiled = compilePathTemplate(path);
    return "problem" in compiled ? compiled.problem : "";
  }
  if (/[?#]/.test(path)) return "must not contain ? or #";
  return clean && needsCleaning(path) && /\/\/|\/\.{1,2}(\/|$)/.test(path) ? "must not contain // or dot segments" : "";
}

/** Read leniently: also of a document that is broken elsewhere, the path must be known to keep it closed. */
function placeOf(raw: Record<string, unknown>, api: string, settings: Settings): ClosedPath | undefined {
  const proxy = member(raw, "proxy");
  const path = closable(isObject(proxy) ? member(proxy, "listen_path") : undefined);
  if (path === undefined) return undefined;
  const wanted = member(raw, "listen_port");
  const domain = member(raw, "domain");
  const domainCounts = settings.enable_custom_domains && raw["domain_disabled"] !== true && typeof domain === "string";
  return {
    api,
    port: typeof wanted === "number" && wanted !== 0 ? wanted : settings.listen_port,
    domain: domainCounts && domainProblem(domain) === "" ? sameCase(domain) : "",
    listen_path: path,
  };
}

/** Whatever its case, as Tyk reads it. */
function member(of: Record<string, unknown>, name: string): unknown {
  return of[name] ?? Object.entries(of).find(([key]) => key.toLowerCase() === name)?.[1];
}

function closable(path: unknown): string | undefined {
  if (typeof path !== "string" || !path.startsWith("/")) return undefined;
  if (!hasVariables(path) || !("problem" in compilePathTemplate(path))) return path;
  // A broken pattern: what stands before it, unless that is everything.
  const literal = path.slice(0, path.search(/[{}]/));
  return literal === "/" ? undefined : literal;
}
