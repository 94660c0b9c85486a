/**
 * Tokens: how one is made, which organisation and hash function it names, under which names its session may be stored.
 * Must not know: the store.
 * Governed by: Tyk's token form (base64 of {"org","id","h"}, or organisation and id in one) and its order of look-ups.
 * Runs: when a credential is first seen or a key is made.
 *
 * A hashed home is never asked for the bare token: hashes are shown by the control port and in logs, and whoever read one
 * could otherwise present it as the key itself.
 */

import { randomUUID } from "node:crypto";
import { type Algorithm, algorithmOf, hashText, isAlgorithm } from "./hash.js";

export interface KeyRules {
  /** `hash_keys`: ours is true unless it is set to false. */
  readonly hashed: boolean;
  /** `hash_key_function`; ours is sha256 unless it names another. */
  readonly algorithm: string;
  /** `hash_key_function_fallback`: functions of the past that are looked up as well. */
  readonly fallbacks: readonly string[];
}

export interface KeySettings {
  readonly hash_keys?: boolean | undefined;
  readonly hash_key_function?: string | undefined;
  readonly hash_key_function_fallback?: readonly string[] | undefined;
}

const JSON_START = Buffer.from('{"').toString("base64").slice(0, 2);
const LEGACY_ORG_LENGTH = 24;
/** The longest token we decode; the gate refuses longer ones before. */
const MAX_DECODED = 8_192;
const MAX_FALLBACKS = 8;

export function keyRules(settings: KeySettings): KeyRules {
  return {
    hashed: settings.hash_keys !== false,
    algorithm: settings.hash_key_function || "sha256",
    fallbacks: (settings.hash_key_function_fallback ?? []).slice(0, MAX_FALLBACKS),
  };
}

/** `algorithm` "" gives the legacy form. The id is escaped: a user's name must not be able to name an organisation. */
export function generateToken(org: string, id: string, algorithm: string): string {
  const key = id === "" ? randomUUID().replaceAll("-", "") : id;
  if (algorithm === "") return org + key;
  const json = JSON.stringify({ org, id: key, h: algorithmOf(algorithm) });
  return Buffer.from(json, "utf8").toString("base64");
}

interface Named {
  readonly org: string;
  readonly id: string;
  readonly h: string;
}

/** The three fields of a token of the JSON form; undefined for anything else. */
export function parseToken(token: string): Named | undefined {
  if (token.length > MAX_DECODED || !token.startsWith(JSON_START)) return undefined;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, "base64").toString("utf8"));
    if (typeof parsed !== "object" || parsed === null) return undefined;
    const { org, id, h } = parsed as Record<string, unknown>;
    return {
      org: typeof org === "string" ? org : "",
      id: typeof id === "string" ? id : "",
      h: typeof h === "string" ? h : "",
    };
  } catch {
    return undefined;
  }
}

export function tokenOrg(token: string): string {
  return orgOf(token, parseToken(token));
}

function orgOf(token: string, named: Named | undefined): string {
  if (named !== undefined) return named.org;
  if (token.length <= LEGACY_ORG_LENGTH) return "";
  const start = token.slice(0, LEGACY_ORG_LENGTH);
  return /^[0-9a-fA-F]+$/.test(start) ? start : "";
}

export function tokenAlgorithm(token: string): Algorithm {
  return algorithmNamed(parseToken(token));
}

function algorithmNamed(named: Named | undefined): Algorithm {
  return named !== undefined && isAlgorithm(named.h) ? named.h : "murmur32";
}

/** The name without `apikey-` under which a token's session is stored. */
export function hashKey(token: string, rules: KeyRules): string {
  return rules.hashed ? hashText(token, tokenAlgorithm(token)) : token;
}

/** Where to look for a presented token, best first, without repeats. */
export function nameCandidates(org: string, token: string, rules: KeyRules): string[] {
  // Parsed once: this is what a flood of unknown keys pays for.
  const named = parseToken(token);
  const own = rules.hashed ? hashText(token, algorithmNamed(named)) : token;
  if (orgOf(token, named) === org) return [own];
  const names = new Set<string>();
  const add = (algorithm: string): void => {
    const wrapped = generateToken(org, token, algorithm);
    names.add(rules.hashed && algorithm !== "" ? hashText(wrapped, algorithmOf(algorithm)) : hashKey(wrapped, rules));
  };
  add(rules.algorithm);
  names.add(own);
  for (const algorithm of rules.fallbacks) {
    add(algorithm);
    // A fallback to the legacy functions also means: the token as it stands, hashed with them.
    if (rules.hashed) names.add(hashText(token, algorithmOf(algorithm)));
  }
  return [...names];
}

/** A user's key name; basic authentication stores users as tokens made of their names. */
export function userCandidates(org: string, user: string, rules: KeyRules): string[] {
  const names = new Set<string>();
  for (const algorithm of [rules.algorithm, ...rules.fallbacks]) {
    names.add(hashKey(generateToken(org, user, algorithm), rules));
  }
  // Users that Tyk stored before it had a hash function: organisation and name in one.
  names.add(hashKey(org + user, rules));
  return [...names];
}
