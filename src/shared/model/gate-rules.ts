// What must hold between the fields of a definition that say who may call and how often.
// Responsible for refusing what could not be enforced as it is written. Must not know: types of single fields
// (keys/gate-schema.ts), how a worker enforces them. Runs: once per file at load.

import type { GateDocument } from "../keys/gate-schema.js";
import { jwksProblem, jwtKeyProblem, SIGNATURES } from "../keys/jwt-source.js";
import { compileAddresses } from "./address-list.js";
import type { MatchOptions } from "./path-pattern.js";
import { checkPaths } from "./path-rules.js";

export interface Report {
  error(path: readonly PropertyKey[], message: string): void;
  warn(path: readonly PropertyKey[], message: string): void;
}

const SWITCHED_OFF = "restricts nothing here, as in Tyk: its switch is off";
const METHODS = [
  { flag: "use_standard_auth", config: "authToken", identity: "auth_token" },
  { flag: "use_basic_auth", config: "basic", identity: "basic_auth_user" },
  { flag: "enable_jwt", config: "jwt", identity: "jwt_claim" },
] as const;

export function checkGate(gate: GateDocument, matching: MatchOptions, report: Report): void {
  if (gate.use_keyless === true) checkSwitches(gate, report);
  else checkMethods(gate, report);
  checkAddresses(gate, report);
  checkTime(gate.expiration, ["expiration"], report);
  for (const [name, version] of Object.entries(gate.version_data?.versions ?? {})) {
    const path = ["version_data", "versions", name];
    checkTime(version.expires, [...path, "expires"], report);
    checkPaths(version, path, matching, (at, message) => report.error(at, message));
  }
}

/** True when a call of this API is decided by a key, so that a store is needed. */
export function needsKeys(gate: { readonly use_keyless?: boolean | undefined }): boolean {
  return gate.use_keyless !== true;
}

function checkSwitches(gate: GateDocument, report: Report): void {
  for (const { flag } of METHODS) if (gate[flag] === true) report.warn([flag], SWITCHED_OFF);
}

function checkMethods(gate: GateDocument, report: Report): void {
  const chosen = METHODS.filter(({ flag }) => gate[flag] === true);
  // As in Tyk: a definition that asks for keys and names no way of giving one takes a token.
  const used = chosen.length === 0 ? [METHODS[0]] : chosen;
  for (const { config } of used) {
    const own = gate.auth_configs?.[config];
    const auth = own ?? gate.auth;
    if (auth?.disable_header !== true || auth.use_param === true || auth.use_cookie === true) continue;
    report.error(
      own === undefined ? ["auth"] : ["auth_configs", config],
      "names no place where a credential may stand",
    );
  }
  const token = gate.auth_configs?.["authToken"] ?? gate.auth;
  if (token?.use_certificate === true && !used.includes(METHODS[0]))
    report.error(
      gate.auth_configs?.["authToken"] === undefined
        ? ["auth", "use_certificate"]
        : ["auth_configs", "authToken", "use_certificate"],
      "needs use_standard_auth beside the other ways of authentication",
    );
  const base = gate.base_identity_provided_by ?? "";
  if (base !== "" && !used.some(({ identity }) => identity === base)) {
    const allowed = used.map(({ identity }) => identity).join(", ");
    report.error(["base_identity_provided_by"], `must be one of the ways in use: ${allowed}`);
  }
  if (gate.enable_jwt === true) checkTokens(gate, report);
}

function checkTokens(gate: GateDocument, report: Report): void {
  const method = gate.jwt_signing_method ?? "";
  if (!SIGNATURES.includes(method)) {
    report.error(["jwt_signing_method"], `must be one of ${SIGNATURES.join(", ")}`);
    return;
  }
  const problem = jwtKeyProblem(gate.jwt_source ?? "", method);
  if (problem !== "") report.error(["jwt_source"], problem);
  (gate.jwt_jwks_uris ?? []).forEach(({ url }, n) => {
    const found = jwksProblem(url);
    if (found !== "") report.error(["jwt_jwks_uris", n, "url"], found);
  });
}

function checkAddresses(gate: GateDocument, report: Report): void {
  const off = gate.ip_access_control_disabled === true;
  const lists = [
    { name: "allowed_ips", on: gate.enable_ip_whitelisting === true && !off },
    { name: "blacklisted_ips", on: gate.enable_ip_blacklisting === true && !off },
  ] as const;
  for (const { name, on } of lists) {
    const addresses = gate[name] ?? [];
    if (!on && addresses.length > 0) report.warn([name], SWITCHED_OFF);
    addresses.forEach((address, index) => {
      if (on && !isAddress(address)) report.error([name, index], "must be an address or a range such as 10.0.0.0/8");
    });
  }
}

export function isAddress(text: string): boolean {
  return compileAddresses([text]).problems.length === 0;
}

/** "2006-01-02 15:04"; "", "-1" and nothing never end. */
function checkTime(text: string | undefined, path: readonly PropertyKey[], report: Report): void {
  if (text === undefined || text === "" || text === "-1") return;
  const valid = /^\d{4}-\d\d-\d\d \d\d:\d\d$/.test(text) && !Number.isNaN(Date.parse(`${text.replace(" ", "T")}:00Z`));
  if (!valid) report.error(path, 'must be a time in UTC such as "2006-01-02 15:04"');
}
