/**
 * Every denial of the gate as a row: what each kind of caller sees and what it is counted as.
 * Must not know: how a denial came about, how an answer is written.
 * Governed by: Tyk's statuses and messages for HTTP callers, the gRPC status codes for gRPC callers.
 * Runs: the table is read when a denial is answered; the ids are integers in decisions.
 */

import { GrpcStatus } from "../../shared/grpc/status.js";

export const AUTH_FIELD_MISSING = 1;
export const KEY_NOT_FOUND = 2;
export const TOKEN_INVALID = 3;
export const BASIC_FIELD_MISSING = 4;
export const BASIC_NOT_BASIC = 5;
export const BASIC_NOT_ENCODED = 6;
export const BASIC_NO_COLON = 7;
export const BASIC_WRONG = 8;
export const JWT_MISSING = 9;
export const JWT_INVALID = 10;
export const JWT_TIME = 11;
export const JWT_NO_POLICY = 12;
export const KEY_INACTIVE = 13;
export const KEY_EXPIRED = 14;
export const API_DISALLOWED = 15;
export const RESOURCE_DISALLOWED = 16;
export const ENDPOINT_FORBIDDEN = 17;
export const ADDRESS_DISALLOWED = 18;
export const PATH_INVALID = 19;
export const VERSION_EXPIRED = 20;
export const API_EXPIRED = 21;
export const POLICY_FAILED = 22;
export const KEY_RATE = 23;
export const API_RATE = 24;
export const QUOTA = 25;
export const STORE_AWAY = 26;
export const GATE_BUSY = 27;
export const API_CLOSED = 28;
export const JWT_KEYS_AWAY = 29;
export const CERTIFICATE_REQUIRED = 30;
export const CERTIFICATE_MISMATCH = 31;
export const CERTIFICATE_EXPIRED = 32;
export const CERTIFICATE_EARLY = 33;
export const CERTIFICATE_GONE = 34;
export const ORGANISATION_INACTIVE = 35;
export const ORGANISATION_RATE = 36;
export const ORGANISATION_QUOTA = 37;
export const CHECKS_FULL = 38;
export const TOO_MANY_GUESSES = 39;

const { INVALID_ARGUMENT, PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNAVAILABLE, UNAUTHENTICATED } = GrpcStatus;

export interface VerdictRow {
  readonly id: number;
  /** `grpc-status`. */
  readonly grpc: number;
  readonly http: number;
  readonly message: string;
  /** The label under which metrics count it. */
  readonly counted: string;
  /** The id of `override_messages`, where Tyk has one. */
  readonly override: string;
  /** HTTP callers get `WWW-Authenticate: Basic realm="<API name>"`. */
  readonly challenge: boolean;
}

export type MessageOverrides = Readonly<
  Record<string, { readonly message?: string | undefined; readonly code?: number | undefined }>
>;

const DISALLOWED = "Access to this API has been disallowed";
const FIELD_MISSING = "Authorization field missing";
const CONTACT = "please contact your API administrator";
const MALFORMED = "Attempted access with malformed header, ";

function row(
  id: number,
  grpc: number,
  http: number,
  message: string,
  counted: string,
  override = "",
  challenge = false,
): VerdictRow {
  return { id, grpc, http, message, counted, override, challenge };
}

const ROWS: readonly VerdictRow[] = [
  row(AUTH_FIELD_MISSING, UNAUTHENTICATED, 401, FIELD_MISSING, "credential_missing", "auth.auth_field_missing"),
  row(KEY_NOT_FOUND, UNAUTHENTICATED, 403, DISALLOWED, "credential_unknown", "auth.key_not_found"),
  row(TOKEN_INVALID, UNAUTHENTICATED, 403, DISALLOWED, "credential_malformed", "auth.key_is_invalid"),
  row(BASIC_FIELD_MISSING, UNAUTHENTICATED, 401, FIELD_MISSING, "credential_missing", "", true),
  row(BASIC_NOT_BASIC, UNAUTHENTICATED, 400, `${MALFORMED}header not in basic auth format`, "credential_malformed"),
  row(BASIC_NOT_ENCODED, UNAUTHENTICATED, 400, `${MALFORMED}auth data not encoded correctly`, "credential_malformed"),
  row(BASIC_NO_COLON, UNAUTHENTICATED, 400, `${MALFORMED}values not in basic auth format`, "credential_malformed"),
  row(BASIC_WRONG, UNAUTHENTICATED, 401, "User not authorised", "credential_wrong", "", true),
  row(JWT_MISSING, UNAUTHENTICATED, 400, FIELD_MISSING, "credential_missing"),
  row(JWT_INVALID, UNAUTHENTICATED, 403, "Key not authorized", "credential_wrong"),
  row(JWT_TIME, UNAUTHENTICATED, 401, "Key not authorized: token is expired or not valid yet", "credential_expired"),
  row(JWT_NO_POLICY, PERMISSION_DENIED, 403, "key not authorized: no matching policy", "policy"),
  row(KEY_INACTIVE, PERMISSION_DENIED, 403, "Key is inactive, please renew", "key_inactive"),
  row(KEY_EXPIRED, UNAUTHENTICATED, 401, "Key has expired, please renew", "credential_expired"),
  row(API_DISALLOWED, PERMISSION_DENIED, 403, DISALLOWED, "right_missing"),
  row(RESOURCE_DISALLOWED, PERMISSION_DENIED, 403, "Access to this resource has been disallowed", "right_missing"),
  row(ENDPOINT_FORBIDDEN, PERMISSION_DENIED, 403, "Requested endpoint is forbidden", "list"),
  row(ADDRESS_DISALLOWED, PERMISSION_DENIED, 403, "access from this IP has been disallowed", "address"),
  row(PATH_INVALID, INVALID_ARGUMENT, 400, "the path is not in its plain form", "path_invalid"),
  row(
    VERSION_EXPIRED,
    PERMISSION_DENIED,
    403,
    "Api Version has expired, please check documentation or contact administrator",
    "expired",
  ),
  row(
    API_EXPIRED,
    PERMISSION_DENIED,
    403,
    "API has expired, please check documentation or contact administrator",
    "expired",
  ),
  row(POLICY_FAILED, PERMISSION_DENIED, 403, DISALLOWED, "policy"),
  row(KEY_RATE, RESOURCE_EXHAUSTED, 429, "Rate Limit Exceeded", "rate"),
  row(API_RATE, RESOURCE_EXHAUSTED, 429, "API Rate Limit Exceeded", "api_rate"),
  row(QUOTA, RESOURCE_EXHAUSTED, 403, "Quota exceeded", "quota"),
  row(
    ORGANISATION_INACTIVE,
    PERMISSION_DENIED,
    403,
    `this organisation access has been disabled, ${CONTACT}`,
    "organisation_inactive",
  ),
  row(
    ORGANISATION_RATE,
    RESOURCE_EXHAUSTED,
    403,
    `This organisation rate limit has been exceeded, ${CONTACT}`,
    "organisation_rate",
  ),
  row(
    ORGANISATION_QUOTA,
    RESOURCE_EXHAUSTED,
    403,
    `This organisation quota has been exceeded, ${CONTACT}`,
    "organisation_quota",
  ),
  row(STORE_AWAY, UNAVAILABLE, 503, "keys cannot be looked up at the moment", "store"),
  row(GATE_BUSY, UNAVAILABLE, 503, "the credential cannot be checked at the moment", "busy"),
  row(CHECKS_FULL, RESOURCE_EXHAUSTED, 429, "too many credentials are being checked", "busy"),
  row(TOO_MANY_GUESSES, RESOURCE_EXHAUSTED, 429, "too many unknown credentials from this address", "guessing"),
  row(API_CLOSED, PERMISSION_DENIED, 403, DISALLOWED, "misconfigured"),
  row(JWT_KEYS_AWAY, UNAVAILABLE, 503, "the keys of tokens cannot be fetched at the moment", "store"),
  row(
    CERTIFICATE_REQUIRED,
    UNAUTHENTICATED,
    401,
    "Client certificate required",
    "certificate_missing",
    "auth.cert_required",
  ),
  row(CERTIFICATE_MISMATCH, UNAUTHENTICATED, 401, DISALLOWED, "certificate_unknown", "auth.cert_mismatch"),
  row(CERTIFICATE_EXPIRED, UNAUTHENTICATED, 403, "Certificate has expired", "certificate_expired", "auth.cert_expired"),
  row(CERTIFICATE_EARLY, UNAUTHENTICATED, 403, "Certificate is not valid yet", "certificate_expired"),
  row(CERTIFICATE_GONE, UNAUTHENTICATED, 403, DISALLOWED, "certificate_unknown", "auth.cert_not_found"),
];

/** The rows by id, with the operator's messages and codes; an override of one half keeps the other. */
export function verdictTable(overrides: MessageOverrides = {}): readonly VerdictRow[] {
  const table: VerdictRow[] = [];
  for (const each of ROWS) {
    const change = each.override === "" ? undefined : overrides[each.override];
    table[each.id] = {
      ...each,
      message: change?.message || each.message,
      http: change?.code || each.http,
    };
  }
  return table;
}

/** Ids of `override_messages` that the gate answers with; `lint` warns of others. */
export const OVERRIDE_IDS: readonly string[] = ROWS.map((each) => each.override).filter((id) => id !== "");
