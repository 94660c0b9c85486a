// Which setting of a definition or field of a key made the gate refuse a call, as a sentence with what stands there.
// Responsible for the words. Must not know: how it was decided. Nothing of a credential is in them. Runs: per explanation.

import type { ApiDefinition } from "../../shared/model/api-definition.js";
import { policyIdsOf, type Session } from "../../shared/model/session.js";
import type { ApiGate } from "../admit/api-gate.js";
import type { SessionRef } from "../admit/session-ref.js";
import * as verdicts from "../admit/verdicts.js";

export interface Refusal {
  readonly verdict: number;
  readonly definition: ApiDefinition;
  readonly gate: ApiGate;
  readonly method: string;
  readonly path: string;
  /** The key, as far as one was found. */
  readonly key: SessionRef | null;
}

/** As many names as one line can hold. */
const MOST_NAMES = 8;

export function deciderOf(refusal: Refusal): string {
  return ofKey(refusal) ?? ofOthers(refusal) ?? "the rule that is named below";
}

function ofKey({ verdict, definition, gate, method, path, key }: Refusal): string | undefined {
  const session = key?.session;
  switch (verdict) {
    case verdicts.KEY_INACTIVE:
      return `is_inactive of the key${orPolicies(session)} is true`;
    case verdicts.KEY_EXPIRED:
      return `expires of the key${orPolicies(session)}: ${dateOf(session?.expires)}`;
    case verdicts.API_DISALLOWED:
      return rights(gate, session);
    case verdicts.RESOURCE_DISALLOWED:
      return `access_rights.${gate.apiId}.allowed_urls of the key${orPolicies(session)}: no entry fits ${method} ${path}; they name ${urlsOf(gate, session)}`;
    case verdicts.POLICY_FAILED:
      return `apply_policies of the key: ${key?.problem ?? "a policy cannot be applied"}`;
    case verdicts.KEY_RATE:
      return `rate and per of the key${orPolicies(session)}, or of the limit in access_rights.${gate.apiId}`;
    case verdicts.QUOTA:
      return `quota_max of the key${orPolicies(session)}, or of the limit in access_rights.${gate.apiId}`;
    case verdicts.KEY_NOT_FOUND:
      return `the store has no such key of organisation ${JSON.stringify(definition.org_id)}, the definition's org_id: it was removed, made for another organisation, or never made`;
    default:
      return undefined;
  }
}

function ofOthers({ verdict, definition, gate }: Refusal): string | undefined {
  const organisation = `the record of organisation ${JSON.stringify(definition.org_id)}`;
  switch (verdict) {
    case verdicts.AUTH_FIELD_MISSING:
    case verdicts.BASIC_FIELD_MISSING:
    case verdicts.JWT_MISSING:
      return "the definition asks for a credential (auth_configs) and the call has none where it looks";
    case verdicts.ENDPOINT_FORBIDDEN:
      return `extended_paths.black_list or white_list of the definition, version ${gate.version}`;
    case verdicts.ADDRESS_DISALLOWED:
      return "allowed_ips or blacklisted_ips of the definition; X-Real-IP and X-Forwarded-For count only from trusted_proxies";
    case verdicts.PATH_INVALID:
      return "where rights, lists or rewrites count, a path must be in its plain form and not be too long";
    case verdicts.VERSION_EXPIRED:
      return `version_data.versions.${gate.version}.expires of the definition`;
    case verdicts.API_EXPIRED:
      return "expiration of the definition";
    case verdicts.API_RATE:
      return "global_rate_limit of the definition";
    case verdicts.ORGANISATION_INACTIVE:
      return `is_inactive in ${organisation}`;
    case verdicts.ORGANISATION_RATE:
      return `rate and per in ${organisation}`;
    case verdicts.ORGANISATION_QUOTA:
      return `quota_max in ${organisation}`;
    case verdicts.STORE_AWAY:
      return "storage: the store cannot be asked";
    case verdicts.API_CLOSED:
      return "a restriction of the definition that cannot be kept to closes it; lint says which";
    default:
      return credential(verdict);
  }
}

function credential(verdict: number): string | undefined {
  switch (verdict) {
    case verdicts.JWT_INVALID:
    case verdicts.JWT_TIME:
    case verdicts.JWT_KEYS_AWAY:
    case verdicts.JWT_NO_POLICY:
      return "the settings of the definition whose names begin with jwt_, and what the token says";
    case verdicts.TOKEN_INVALID:
    case verdicts.BASIC_NOT_BASIC:
    case verdicts.BASIC_NOT_ENCODED:
    case verdicts.BASIC_NO_COLON:
      return "what the call has where auth_configs of the definition looks is no credential by its form";
    case verdicts.BASIC_WRONG:
      return "basic_auth_data.password of the key, or there is no such name in the definition's organisation";
    case verdicts.CERTIFICATE_REQUIRED:
    case verdicts.CERTIFICATE_MISMATCH:
    case verdicts.CERTIFICATE_EXPIRED:
    case verdicts.CERTIFICATE_EARLY:
    case verdicts.CERTIFICATE_GONE:
      return "the caller's certificate; here none is shown";
    default:
      return undefined;
  }
}

function rights(gate: ApiGate, session: Session | undefined): string {
  const held = session?.access_rights ?? {};
  const access = Object.hasOwn(held, gate.apiId) ? held[gate.apiId] : undefined;
  const whose = `of the key${orPolicies(session)}`;
  if (access === undefined) return `access_rights ${whose} has no ${gate.apiId}; it names ${listed(Object.keys(held))}`;
  const named = listed(access.versions ?? []);
  return `access_rights.${gate.apiId}.versions ${whose} names ${named}, and the definition serves ${gate.version}`;
}

function urlsOf(gate: ApiGate, session: Session | undefined): string {
  const entries = session?.access_rights?.[gate.apiId]?.allowed_urls ?? [];
  return listed(entries.map(({ url, methods }) => `${(methods ?? []).join("|")} ${url}`.trim()));
}

/** Its rights and limits may be those of policies. */
function orPolicies(session: Session | undefined): string {
  const policies = session === undefined ? [] : policyIdsOf(session);
  return policies.length === 0 ? "" : ` or of its policies ${listed(policies)}`;
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return "nothing";
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : "";
  return names.slice(0, MOST_NAMES).join(", ") + more;
}

function dateOf(seconds: number | undefined): string {
  const date = new Date((seconds ?? 0) * 1_000);
  return Number.isNaN(date.getTime()) ? String(seconds) : `${date.toISOString()} has passed`;
}
