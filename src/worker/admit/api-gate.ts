/**
 * One API's gate, compiled from its definition: who may ask, where credentials stand, which lists and rewrites hold.
 * Must not know: sessions, the store, calls. Immutable.
 * Governed by: Tyk's definition fields. Runs: once per definition and reload.
 *
 * A definition whose restrictions cannot be used as written (a pattern, an address, an unknown signing method) is closed:
 * every call is denied and `problems` say why. Nothing that restricts access is left out silently.
 */

import { type AddressList, compileAddresses } from "../../shared/model/address-list.js";
import { compilePath, type MatchOptions, type PathPattern } from "../../shared/model/path-pattern.js";
import { type Place, placeOf } from "./credentials/fields.js";
import { STRIP_NOTHING, type StripPlan, stripPlan } from "./credentials/strip.js";
import type { AuthConfig, GatedDefinition, GateSettings, RateEntry, VersionDefinition } from "./gated-definition.js";
import type { ApiLimits } from "./limits/specs.js";
import { compileLists, type PathLists } from "./rights/path-lists.js";
import { compileRewrites, type Rewrites } from "./rights/rewrite.js";

export const TOKEN = "auth_token";
export const BASIC = "basic_auth_user";
export const JWT = "jwt_claim";

export interface AuthMethod {
  readonly kind: typeof TOKEN | typeof BASIC | typeof JWT;
  readonly place: Place;
  /** `use_certificate`: the caller's certificate stands for the key. */
  readonly byCertificate: boolean;
}

export interface ApiGate {
  readonly definition: GatedDefinition;
  readonly apiId: string;
  readonly orgId: string;
  readonly name: string;
  readonly problems: readonly string[];
  readonly closed: boolean;
  /** Empty on a keyless API. All must succeed; `base` gives the session. */
  readonly auth: readonly AuthMethod[];
  readonly base: AuthMethod["kind"] | "";
  readonly strip: StripPlan;
  /** Lower-case names of all fields that decisions of this API read; a decision holds for equal values of these. */
  readonly fields: readonly string[];
  /**
   * Whose certificate the connection shows decides too (it may stand for a key, and any key may be bound to one): what is
   * decided for one connection holds only where the same leaf, by its fingerprint, or none is shown.
   */
  readonly dependsOnCertificate: boolean;
  /** `allow_unsafe_dynamic_mtls_token`: a token is enough where the caller shows no certificate. */
  readonly tokenAlone: boolean;
  readonly allow: AddressList | undefined;
  readonly deny: AddressList | undefined;
  readonly trusted: AddressList;
  readonly xffDepth: number;
  readonly minToken: number;
  readonly passwordTtl: number;
  readonly lists: PathLists;
  readonly rewrites: Rewrites;
  readonly rewritesPaths: boolean;
  readonly matching: MatchOptions;
  readonly version: string;
  /** Wall clock, milliseconds; infinite when it never expires. */
  readonly versionEnds: number;
  readonly apiEnds: number;
  readonly contextVariables: boolean;
  readonly limits: ApiLimits;
  /** Its organisation has a say: whether it may call, and how much. */
  readonly monitored: boolean;
  readonly endpointLimits: readonly EndpointLimit[];
  /** Where a key asks what is left to it, without its last slash; empty on an open API. */
  readonly limitsPath: string;
  below(path: string): string;
}

export interface EndpointLimit {
  readonly pattern: PathPattern;
  readonly method: string;
  readonly limit: NonNullable<ApiLimits["endpoint"]>;
}

const UNSUPPORTED = [
  "use_oauth2",
  "use_openid",
  "enable_signature_checking",
  "enable_coprocess_auth",
  "use_go_plugin_auth",
  "custom_plugin_auth_enabled",
] as const;
const DEFAULT_MIN_TOKEN = 3;
const DEFAULT_PASSWORD_TTL_S = 60;

export function compileApi(definition: GatedDefinition, settings: GateSettings): ApiGate {
  const problems: string[] = [];
  const [version, versionName] = versionOf(definition);
  const matching: MatchOptions = {
    prefix: settings.enable_path_prefix_matching === true,
    suffix: settings.enable_path_suffix_matching === true,
    plain: settings.plain_path_matching ?? "exact",
    ignoreCase: settings.ignore_endpoint_case === true || version?.ignore_endpoint_case === true,
  };
  const auth = authMethods(definition, problems);
  const lists = compileLists(version, matching);
  const rewriteEntries = version?.use_extended_paths === true ? version.extended_paths?.url_rewrites : [];
  const rewrites = compileRewrites(rewriteEntries, matching);
  const useAddresses = definition.ip_access_control_disabled !== true;
  const allow =
    useAddresses && definition.enable_ip_whitelisting ? compileAddresses(definition.allowed_ips) : undefined;
  const deny =
    useAddresses && definition.enable_ip_blacklisting ? compileAddresses(definition.blacklisted_ips) : undefined;
  const trusted = compileAddresses(settings.trusted_proxies);
  const rates = version?.use_extended_paths === true ? (version.extended_paths?.rate_limit ?? []) : [];
  const endpointLimits = rates.filter((entry) => entry.disabled !== true).map((entry) => rateOf(entry, matching));
  problems.push(...lists.problems, ...rewrites.problems, ...trusted.problems);
  problems.push(...(allow?.problems ?? []), ...(deny?.problems ?? []));
  problems.push(...endpointLimits.flatMap(({ pattern }) => pattern.problem ?? []));
  const versionEnds = endOf(version?.expires, problems);
  const apiEnds = endOf(definition.expiration, problems);
  const orgId = definition.org_id ?? "";
  const asked = allow !== undefined || deny !== undefined;
  return {
    definition,
    apiId: definition.api_id,
    orgId,
    name: definition.name ?? "",
    problems,
    closed: problems.length > 0,
    auth,
    base: baseOf(definition, auth),
    strip: definition.strip_auth_data === true ? stripPlan(auth.map((method) => method.place)) : STRIP_NOTHING,
    fields: fieldsOf(auth, rewrites, asked && trusted.size > 0),
    dependsOnCertificate: auth.length > 0,
    tokenAlone: settings.allow_unsafe_dynamic_mtls_token === true,
    allow,
    deny,
    trusted,
    xffDepth: settings.xff_depth ?? 0,
    minToken: settings.min_token_length || DEFAULT_MIN_TOKEN,
    passwordTtl:
      definition.basic_auth?.disable_caching === true
        ? 0
        : (definition.basic_auth?.cache_ttl || DEFAULT_PASSWORD_TTL_S) * 1_000,
    lists,
    rewrites,
    rewritesPaths: (rewriteEntries ?? []).some((entry) => entry.disabled !== true),
    matching,
    version: versionName,
    versionEnds,
    apiEnds,
    contextVariables: definition.enable_context_vars === true,
    monitored: settings.enforce_org_quotas === true && orgId !== "",
    limits: {
      orgId,
      apiId: definition.api_id,
      global: definition.global_rate_limit ?? undefined,
      disableRateLimit: definition.disable_rate_limit,
      disableQuota: definition.disable_quota,
    },
    endpointLimits,
    limitsPath: auth.length === 0 ? "" : limitsPathOf(definition.proxy.listen_path),
    below: belowOf(definition.proxy.listen_path),
  };
}

function versionOf(definition: GatedDefinition): [VersionDefinition | undefined, string] {
  const versions = definition.version_data?.versions ?? {};
  const wanted = definition.version_data?.default_version;
  // Tyk asks for a version only in `access_rights`; a definition that is not versioned has the one called Default.
  const name = [wanted, "Default"].find((each) => each && Object.hasOwn(versions, each)) ?? Object.keys(versions)[0];
  return name === undefined ? [undefined, "Default"] : [versions[name], name];
}

function authMethods(definition: GatedDefinition, problems: string[]): AuthMethod[] {
  if (definition.use_keyless === true) return [];
  for (const name of UNSUPPORTED) if (definition[name] === true) problems.push(`${name}: not supported`);
  if (definition.external_oauth?.enabled === true) problems.push("external_oauth: not supported");
  const configs = definition.auth_configs ?? {};
  const place = (name: string): Place => placeOf(configs[name] ?? definition.auth);
  const methods: AuthMethod[] = [];
  const byCertificate = false;
  if (definition.use_basic_auth === true) methods.push({ kind: BASIC, place: place("basic"), byCertificate });
  if (definition.enable_jwt === true) methods.push({ kind: JWT, place: place("jwt"), byCertificate });
  const token: AuthConfig | undefined = configs["authToken"] ?? definition.auth ?? undefined;
  const wanted = token?.use_certificate === true;
  if (definition.use_standard_auth === true || methods.length === 0) {
    methods.push({ kind: TOKEN, place: place("authToken"), byCertificate: wanted });
  } else if (wanted) problems.push("auth_configs.authToken.use_certificate: needs use_standard_auth");
  const base = definition.base_identity_provided_by ?? "";
  if (methods.length > 1 && base !== "" && !methods.some((method) => method.kind === base)) {
    problems.push(
      `base_identity_provided_by: found "${base}", allowed are ${methods.map(({ kind }) => kind).join(", ")}`,
    );
  }
  return methods;
}

function baseOf(definition: GatedDefinition, auth: readonly AuthMethod[]): AuthMethod["kind"] | "" {
  const wanted = auth.find((method) => method.kind === definition.base_identity_provided_by);
  // In Tyk each method overwrites the session of the one before.
  return (wanted ?? auth[auth.length - 1])?.kind ?? "";
}

function fieldsOf(auth: readonly AuthMethod[], rewrites: Rewrites, believed: boolean): string[] {
  const names = new Set<string>(rewrites.fields);
  for (const { place } of auth) {
    if (place.header !== "") names.add(place.header);
    if (place.cookie !== "") names.add("cookie");
  }
  if (believed) for (const name of ["x-real-ip", "x-forwarded-for"]) names.add(name);
  return [...names];
}

function rateOf(entry: RateEntry, matching: MatchOptions): EndpointLimit {
  const method = entry.method ?? "";
  return {
    // What limits is searched as in Tyk, so that it limits at least as much.
    pattern: compilePath(entry.path, { ...matching, plain: "regex", tooLong: true }),
    method,
    limit: { name: `${method}:${entry.path}`, rate: entry.rate, per: entry.per },
  };
}

/** "2006-01-02 15:04" in UTC; "", "-1" and nothing never end. */
function endOf(text: string | undefined, problems: string[]): number {
  if (text === undefined || text === "" || text === "-1") return Number.POSITIVE_INFINITY;
  const at = /^\d{4}-\d\d-\d\d \d\d:\d\d$/.test(text) ? Date.parse(`${text.replace(" ", "T")}:00Z`) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  problems.push(`"${text}" is not a time such as 2006-01-02 15:04`);
  return Number.NEGATIVE_INFINITY;
}

function limitsPathOf(listenPath: string): string {
  return listenPath.includes("{") ? "" : `${listenPath.replace(/\/$/, "")}/tyk/rate-limits`;
}

/** The path after a literal listen path; with a pattern the path as a whole. */
function belowOf(listenPath: string): (path: string) => string {
  const prefix = listenPath.endsWith("/") ? listenPath.slice(0, -1) : listenPath;
  if (prefix === "" || prefix.includes("{")) return (path) => path;
  return (path) => {
    if (!path.startsWith(prefix)) return path;
    const rest = path.slice(prefix.length);
    return rest.startsWith("/") ? rest : `/${rest}`;
  };
}
