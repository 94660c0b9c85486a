/**
 * JSON Web Tokens as bearer tokens: signature, times, audience, who it is and which policies it brings.
 * Must not know: sessions, except that a key of its own may hold the secret (`secretOf`).
 * Governed by: RFC 7519, RFC 8725 (the algorithm is ours to choose, never the token's), Tyk's `jwt_*` fields.
 * Runs: once per distinct token until it expires; the result is remembered by the token's digest.
 */

import type { KeyObject } from "node:crypto";
import {
  type CompactJWSHeaderParameters,
  compactVerify,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
} from "jose";
import { LRUCache } from "lru-cache";
import { hashText } from "../../../shared/keys/hash.js";
import { isUrl, jwksProblem, jwtKey, sourceOf } from "../../../shared/keys/jwt-source.js";
import type { GatedDefinition } from "../gated-definition.js";
import { JWT_INVALID, JWT_KEYS_AWAY, JWT_MISSING, JWT_NO_POLICY, JWT_TIME } from "../verdicts.js";
import { type RemoteKeys, remoteKeys } from "./jwks.js";

const ALGORITHMS: Readonly<Record<string, readonly string[]>> = {
  hmac: ["HS256", "HS384", "HS512"],
  rsa: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ecdsa: ["ES256", "ES384", "ES512"],
};
const MAX_TOKEN = 16_384;
const MAX_REMEMBERED = 10_000;
/** A key that was withdrawn at its source stops here at the latest. */
const REMEMBER_MS = 60_000;
const REMEMBER_WRONG_MS = 10_000;
const MAX_IDENTITY = 1_024;

export interface JwtIdentity {
  readonly identity: string;
  /** Empty when the key's own session is used as it stands. */
  readonly policies: readonly string[];
  /** The stored key is the token's owner (no central key). */
  readonly ownKey: boolean;
  readonly claims: JWTPayload;
  /** Milliseconds of the wall clock, infinite without `exp`. */
  readonly until: number;
}

/** A verdict's id, or who it is. */
export type JwtResult = number | JwtIdentity;

export interface JwtOptions {
  readonly wall: () => number;
  /** Monotonic, milliseconds; the system's when not given. */
  readonly now?: () => number;
  /** `jwt_data.secret` of the key that a token without a central source names. */
  readonly secretOf: (identity: string) => Promise<string | undefined>;
}

type Key = KeyObject | Uint8Array;

export class JwtVerifier {
  readonly #definition: GatedDefinition;
  readonly #options: JwtOptions;
  readonly #algorithms: readonly string[];
  readonly #remote: readonly RemoteKeys[];
  readonly #local: Key | undefined;
  readonly #remembered: LRUCache<string, { readonly result: JwtResult }>;
  readonly problems: readonly string[];

  constructor(definition: GatedDefinition, options: JwtOptions) {
    const problems: string[] = [];
    this.#definition = definition;
    this.#options = options;
    this.#algorithms = ALGORITHMS[definition.jwt_signing_method ?? ""] ?? [];
    if (this.#algorithms.length === 0) {
      problems.push(`jwt_signing_method: found "${definition.jwt_signing_method ?? ""}", allowed are hmac, rsa, ecdsa`);
    }
    const written = definition.jwt_source ?? "";
    const source = sourceOf(written);
    const uris = (definition.jwt_jwks_uris ?? []).map((each) => ({ url: each.url, age: each.cache_timeout }));
    if (isUrl(source)) uris.push({ url: source, age: undefined });
    const now = options.now ?? (() => performance.now());
    this.#remote = uris.flatMap(({ url, age }) => (isUsable(url, problems) ? remoteKeys(url, age, now) : []));
    this.#local = written === "" || isUrl(source) ? undefined : this.#localKey(source, problems);
    this.#remembered = new LRUCache({ max: MAX_REMEMBERED, perf: { now: () => performance.now() } });
    this.problems = problems;
  }

  /** What is remembered about a token; undefined when `verify` is needed. */
  recall(token: string): JwtResult | undefined {
    if (token === "") return JWT_MISSING;
    if (token.length > MAX_TOKEN || token.split(".").length !== 3) return JWT_INVALID;
    const held = this.#remembered.get(hashText(token, "sha256"))?.result;
    return typeof held === "object" && held.until <= this.#options.wall() ? JWT_TIME : held;
  }

  async verify(token: string): Promise<JwtResult> {
    const known = this.recall(token);
    if (known !== undefined) return known;
    const result = await this.#verify(token);
    if (result === JWT_KEYS_AWAY) return result;
    const ttl =
      typeof result === "number" ? REMEMBER_WRONG_MS : Math.min(REMEMBER_MS, result.until - this.#options.wall());
    if (ttl > 0) this.#remembered.set(hashText(token, "sha256"), { result }, { ttl });
    return result;
  }

  async #verify(token: string): Promise<JwtResult> {
    let header: ReturnType<typeof decodeProtectedHeader>;
    let claims: JWTPayload;
    try {
      header = decodeProtectedHeader(token);
      claims = decodeJwt(token);
    } catch {
      return JWT_INVALID;
    }
    if (!this.#algorithms.includes(header.alg ?? "")) return JWT_INVALID;
    const central = this.#local !== undefined || this.#remote.length > 0;
    const identity = central ? this.#identity(claims) : this.#ownIdentity(header.kid, claims);
    if (identity === "") return JWT_INVALID;
    const signed = await this.#checkSignature(token, central, identity);
    if (signed !== 0) return signed;
    const time = this.#checkTimes(claims);
    if (time !== 0) return time;
    if (!this.#checkParties(claims)) return JWT_INVALID;
    const policies = central ? this.#policies(claims) : [];
    if (central && policies.length === 0) return JWT_NO_POLICY;
    return { identity, policies, ownKey: !central, claims, until: this.#until(claims) };
  }

  async #checkSignature(token: string, central: boolean, identity: string): Promise<number> {
    const algorithms = [...this.#algorithms];
    try {
      if (!central) {
        const secret = await this.#options.secretOf(identity);
        const key = secret ? this.#keyOf(secret) : undefined;
        if (key === undefined) return JWT_INVALID;
        await compactVerify(token, key, { algorithms });
        return 0;
      }
      if (this.#local !== undefined) {
        await compactVerify(token, this.#local, { algorithms });
        return 0;
      }
    } catch (error) {
      return (error as Error).name === "StoreDown" ? JWT_KEYS_AWAY : JWT_INVALID;
    }
    return this.#checkRemotely(token, algorithms);
  }

  /** Every source is asked in turn; a source that cannot be reached only matters when no other knows the key. */
  async #checkRemotely(token: string, algorithms: string[]): Promise<number> {
    let away = false;
    for (const keys of this.#remote) {
      try {
        await compactVerify(token, (header: CompactJWSHeaderParameters, jws) => keys(header, jws), { algorithms });
        return 0;
      } catch (error) {
        if (error instanceof errors.JWSSignatureVerificationFailed) return JWT_INVALID;
        const known = error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys;
        if (!known) away = true;
      }
    }
    return away ? JWT_KEYS_AWAY : JWT_INVALID;
  }

  #localKey(source: string, problems: string[]): Key | undefined {
    const key = this.#keyOf(source);
    if (key === undefined) problems.push("jwt_source: found neither a URL nor a PEM key or certificate");
    return key;
  }

  #keyOf(source: string): Key | undefined {
    return jwtKey(source, this.#definition.jwt_signing_method ?? "");
  }

  #identity(claims: JWTPayload): string {
    const field = this.#definition.jwt_identity_base_field;
    return (field ? claimText(claims[field]) : "") || claimText(claims.sub);
  }

  #ownIdentity(kid: string | undefined, claims: JWTPayload): string {
    if (this.#definition.jwt_skip_kid !== true && typeof kid === "string" && kid !== "") return kid;
    return this.#identity(claims);
  }

  #checkTimes(claims: JWTPayload): number {
    const now = Math.floor(this.#options.wall() / 1_000);
    const skew = (seconds: number | undefined): number => Math.max(0, seconds ?? 0);
    const { exp, nbf, iat } = claims;
    for (const time of [exp, nbf, iat]) {
      if (time !== undefined && typeof time !== "number") return JWT_INVALID;
    }
    if (exp !== undefined && now >= exp + skew(this.#definition.jwt_expires_at_validation_skew)) return JWT_TIME;
    if (nbf !== undefined && now < nbf - skew(this.#definition.jwt_not_before_validation_skew)) return JWT_TIME;
    if (iat !== undefined && now < iat - skew(this.#definition.jwt_issued_at_validation_skew)) return JWT_TIME;
    return 0;
  }

  #checkParties(claims: JWTPayload): boolean {
    const audiences = this.#definition.jwt_allowed_audiences ?? [];
    const issuers = this.#definition.jwt_allowed_issuers ?? [];
    const given = Array.isArray(claims.aud) ? claims.aud : [claims.aud];
    if (audiences.length > 0 && !given.some((one) => typeof one === "string" && audiences.includes(one))) return false;
    return issuers.length === 0 || (typeof claims.iss === "string" && issuers.includes(claims.iss));
  }

  #policies(claims: JWTPayload): string[] {
    const definition = this.#definition;
    const named = definition.jwt_policy_field_name ? claimText(claims[definition.jwt_policy_field_name]) : "";
    const base = named === "" ? [...(definition.jwt_default_policies ?? [])] : [named];
    const scopes = definition.scopes?.jwt;
    const mapping = scopes?.scope_to_policy ?? definition.jwt_scope_to_policy_mapping ?? {};
    const claim = scopes?.scope_claim_name || definition.jwt_scope_claim_name || "scope";
    const given = claims[claim];
    const words = Array.isArray(given) ? given.map(claimText) : claimText(given).split(" ");
    const mapped = words.flatMap((word) => (Object.hasOwn(mapping, word) ? [mapping[word] ?? ""] : []));
    return [...new Set([...base, ...mapped])].filter((id) => id !== "");
  }

  #until(claims: JWTPayload): number {
    if (claims.exp === undefined) return Number.POSITIVE_INFINITY;
    return (claims.exp + Math.max(0, this.#definition.jwt_expires_at_validation_skew ?? 0)) * 1_000;
  }
}

function claimText(value: unknown): string {
  if (typeof value !== "string" && typeof value !== "number") return "";
  const text = String(value);
  return text.length > MAX_IDENTITY ? "" : text;
}

function isUsable(url: string, problems: string[]): boolean {
  const problem = jwksProblem(url);
  if (problem !== "") problems.push(`jwt_jwks_uris: "${url}" ${problem}`);
  return problem === "";
}
