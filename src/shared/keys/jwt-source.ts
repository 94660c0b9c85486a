/**
 * Where the keys of JSON Web Tokens come from, as a definition says it: a URL of a key set, or one key in the document.
 * Must not know: tokens, how a set is fetched.
 * Governed by: Tyk's `jwt_source` (a URL, or base64 of a secret or PEM) and `jwt_jwks_uris`.
 * Runs: once per definition; the primary refuses what a worker could not use.
 */

import { createPublicKey, type KeyObject } from "node:crypto";

export const SIGNATURES: readonly string[] = ["hmac", "rsa", "ecdsa"];

const KEY_TYPES: Readonly<Record<string, readonly string[]>> = { rsa: ["rsa", "rsa-pss"], ecdsa: ["ec"] };

export function isUrl(text: string): boolean {
  return /^https?:\/\//i.test(text);
}

/** Tyk keeps the source in base64, or a URL as it is. */
export function sourceOf(source: string): string {
  if (source === "" || isUrl(source) || source.includes("-----BEGIN")) return source;
  return Buffer.from(source, "base64").toString("utf8");
}

/** Undefined for what is no key of this method. */
export function jwtKey(text: string, method: string): KeyObject | Uint8Array | undefined {
  // An HMAC API never takes a public key as its secret: whoever can read the key could sign with it.
  if (method === "hmac") return text === "" || text.includes("-----BEGIN") ? undefined : new TextEncoder().encode(text);
  try {
    const key = createPublicKey(text);
    return KEY_TYPES[method]?.includes(key.asymmetricKeyType ?? "") ? key : undefined;
  } catch {
    return undefined;
  }
}

/** Why the source cannot be used; empty when it can, or when there is none. */
export function jwtKeyProblem(source: string, method: string): string {
  if (source === "") return "";
  const text = sourceOf(source);
  if (isUrl(text)) return jwksProblem(text);
  if (jwtKey(text, method) !== undefined) return "";
  const wanted = method === "hmac" ? "a secret in base64 that is no PEM" : `a PEM of a public ${method} key, as base64`;
  return `must be the URL of a key set, or ${wanted}`;
}

export function jwksProblem(url: string): string {
  return isUrl(url) && URL.canParse(url) ? "" : "must be a URL with http or https";
}
