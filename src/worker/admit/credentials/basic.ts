/**
 * Reading the credential of basic authentication.
 * Must not know: users. Governed by: RFC 7617. Unlike Tyk the scheme is checked and a password may contain `:`.
 * Runs: once per distinct combination of fields; never throws.
 */

import { BASIC_FIELD_MISSING, BASIC_NO_COLON, BASIC_NOT_BASIC, BASIC_NOT_ENCODED } from "../verdicts.js";

export interface BasicCredential {
  readonly user: string;
  readonly password: string;
}

/** Longer ones are no password; they would only cost hashing. */
const MAX_ENCODED = 4_096;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** The credential, or the id of a verdict. */
export function parseBasic(value: string): BasicCredential | number {
  if (value === "") return BASIC_FIELD_MISSING;
  const parts = value.split(" ");
  const [scheme = "", encoded = ""] = parts;
  if (parts.length !== 2 || scheme.toLowerCase() !== "basic" || encoded === "") return BASIC_NOT_BASIC;
  if (encoded.length > MAX_ENCODED || encoded.length % 4 === 1 || !BASE64.test(encoded)) return BASIC_NOT_ENCODED;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon === -1) return BASIC_NO_COLON;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
