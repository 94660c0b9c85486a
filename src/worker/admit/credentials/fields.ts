/**
 * Taking a token out of a call's fields: header, query parameter or cookie.
 * Must not know: what the token means. Governed by: Tyk's `auth_configs`; RFC 6265 section 4.2 for cookies.
 * Runs: once per distinct combination of fields. Nothing here throws for any input.
 */

import type { AuthConfig } from "../gated-definition.js";

/** A call's field by its lower-case name; several fields of one name are joined as HTTP/2 joins them. */
export type FieldAccess = (name: string) => string | undefined;

/** Where one method of authentication looks. Empty names mean "not there". */
export interface Place {
  readonly header: string;
  readonly param: string;
  readonly cookie: string;
}

const BEARER = "bearer ";

export function placeOf(config: AuthConfig | null | undefined): Place {
  const header = (config?.auth_header_name || "Authorization").toLowerCase();
  // Tyk falls back to the header's name for both, with the letters as the operator wrote them.
  const written = config?.auth_header_name || "Authorization";
  return {
    header: config?.disable_header === true ? "" : header,
    param: config?.use_param === true ? config.param_name || written : "",
    cookie: config?.use_cookie === true ? config.cookie_name || written : "",
  };
}

/** A parameter that is not empty replaces the header's value, a cookie both. */
export function takeToken(place: Place, get: FieldAccess, path: string): string {
  let token = place.header === "" ? "" : (get(place.header) ?? "");
  if (place.param !== "") token = queryValue(path, place.param) || token;
  if (place.cookie !== "") token = cookieValue(get("cookie") ?? "", place.cookie) || token;
  return token;
}

/** `Bearer ` in any case goes; every other scheme and a raw token stay as they are. */
export function stripBearer(value: string): string {
  return value.slice(0, BEARER.length).toLowerCase() === BEARER ? value.slice(BEARER.length) : value;
}

export function queryValue(path: string, name: string): string {
  const mark = path.indexOf("?");
  if (mark === -1) return "";
  return new URLSearchParams(path.slice(mark + 1)).get(name) ?? "";
}

export function cookieValue(header: string, name: string): string {
  for (const part of header.split(";")) {
    const equals = part.indexOf("=");
    if (equals === -1 || part.slice(0, equals).trim() !== name) continue;
    const value = part.slice(equals + 1).trim();
    const quoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"');
    return quoted ? value.slice(1, -1) : value;
  }
  return "";
}
