/**
 * One pass over the checks for one combination of fields, synchronous.
 * Responsible for: the order of checks and the verdict. Must not know: connections, caches' insides.
 * Governed by: Tyk's order of middleware. Runs: once per decision, again after each round of asynchronous answers.
 */

import type { KeyRules } from "../../shared/keys/token.js";
import { compilePath } from "../../shared/model/path-pattern.js";
import { type Access, hasExpired, isEmptyLimit, type Session } from "../../shared/model/session.js";
import type { ApiGate } from "./api-gate.js";
import type { ShownCertificate, StoredIds } from "./credentials/certificates.js";
import type { FieldAccess } from "./credentials/fields.js";
import type { JwtVerifier } from "./credentials/jwt.js";
import type { Passwords } from "./credentials/passwords.js";
import { Decision, Ruling, type Stamp } from "./decision.js";
import { type Identity, identify } from "./identity.js";
import type { LimitSet } from "./limits/set.js";
import type { ApiLimits, SessionLimits } from "./limits/specs.js";
import { organisationLimits, organisationOf } from "./organisation.js";
import { ownLimits, type ReadQuota } from "./own-limits.js";
import type { Questions } from "./questions.js";
import { callerAddress } from "./rights/addresses.js";
import { type AllowedUrls, compileAllowedUrls } from "./rights/allowed-urls.js";
import { isPlainPath, withoutQuery } from "./rights/path-form.js";
import { FORBIDDEN, IGNORED, type ListReply, REPLY } from "./rights/path-lists.js";
import { textOf } from "./rights/rewrite-input.js";
import type { Rulings } from "./rulings.js";
import type { SessionCache } from "./session-cache.js";
import type { SessionRef } from "./session-ref.js";
import type { Trace } from "./trace.js";
import * as verdicts from "./verdicts.js";

export interface GateRequest {
  readonly api: ApiGate;
  readonly method: string;
  /** `:path` with its query, exactly as it would be forwarded. */
  readonly path: string;
  /** The peer's address, or what PROXY protocol says. */
  readonly peer: string;
  readonly get: FieldAccess;
  /** The leaf that the connection proved; without one, or left out, none was shown. */
  readonly certificate?: ShownCertificate | null | undefined;
  /** Whether nobody waits for the decision any more; left out where somebody always does. */
  readonly gone?: (() => boolean) | undefined;
}

/** Makes the counters of a decision; null when no limit holds. `session` is absent where no key counts. */
export type LimitMaker = (session: SessionLimits | undefined, api: ApiLimits) => LimitSet | null;

/** Everything an evaluation may ask. */
export interface Senses {
  readonly sessions: SessionCache;
  readonly organisations: SessionCache;
  readonly keys: KeyRules;
  readonly passwords: Passwords;
  readonly certificates: StoredIds;
  readonly verifiers: Map<ApiGate, JwtVerifier>;
  readonly rulings: Rulings;
  readonly limits: LimitMaker;
  readonly readQuota: ReadQuota;
  readonly now: () => number;
  readonly wall: () => number;
}

/** A decision is looked over at least this often: keys in use are seen to be in use, before they are forgotten. */
const MAX_AGE_MS = 150_000;
/** Keys that came in one burst are not looked over in one. */
const MIN_AGE_MS = 90_000;
/** Nothing can be wrong about a denial that depends on nothing but the fields; still the memory turns over. */
const DENIAL_MS = 10_000;
const OWN_LIMITS_MS = 1_000;

/** Trouble of ours: the next call may find it over. */
const PASSING: readonly number[] = [
  verdicts.STORE_AWAY,
  verdicts.GATE_BUSY,
  verdicts.JWT_KEYS_AWAY,
  verdicts.CHECKS_FULL,
];

export class Evaluation {
  readonly #senses: Senses;
  readonly #request: GateRequest;
  readonly #questions: Questions;
  readonly #epoch: number;
  readonly #now: number;
  readonly #wall: number;
  #organisation: SessionRef | null = null;
  readonly #trace: Trace | null;

  constructor(senses: Senses, request: GateRequest, questions: Questions, epoch: number, trace: Trace | null = null) {
    this.#trace = trace;
    this.#senses = senses;
    this.#request = request;
    this.#questions = questions;
    this.#epoch = epoch;
    this.#now = senses.now();
    this.#wall = senses.wall();
  }

  static busy(api: ApiGate, epoch: number): Decision {
    return new Decision(new Ruling(verdicts.GATE_BUSY, epoch, api.strip), null, 0, 0, null);
  }

  /** Undefined: something must be asked first; `questions` knows what. */
  run(): Decision | undefined {
    const { api, method, path } = this.#request;
    this.#trace?.begin();
    for (const problem of api.problems) this.#trace?.note("definition", `cannot be kept to: ${problem}`);
    if (api.closed) return this.#deny(verdicts.API_CLOSED);
    if (this.#wall >= api.apiEnds) return this.#deny(verdicts.API_EXPIRED);
    if (this.#wall >= api.versionEnds) return this.#deny(verdicts.VERSION_EXPIRED);
    const bare = withoutQuery(path);
    if (api.limitsPath !== "" && bare.startsWith(api.limitsPath) && bare.length <= api.limitsPath.length + 1)
      return this.#ownLimits(bare);
    if (path.length > api.rewrites.maxPath) return this.#deny(verdicts.PATH_INVALID);
    const rewritten = api.rewritesPaths ? this.#rewrite({}) : undefined;
    // A path that is rewritten is not forwarded: its spelling harms nobody.
    const plain = isPlainPath(bare);
    const odd = rewritten === undefined && !plain;
    if (odd && api.lists.restricts) return this.#deny(verdicts.PATH_INVALID);
    if (!plain) this.#trace?.note("path", "is not in its plain form (percent-encoding, //, dot segments)");
    const listed = api.lists.check(method, bare, api.below(bare));
    if (api.lists.restricts) this.#trace?.note("lists", api.lists.tell(method, bare, api.below(bare)));
    if (listed.kind === FORBIDDEN) return this.#deny(verdicts.ENDPOINT_FORBIDDEN);
    if (!this.#addressAllowed()) return this.#deny(verdicts.ADDRESS_DISALLOWED);
    if (api.monitored) {
      const organisation = organisationOf(this.#senses, api.orgId, this.#questions);
      if (organisation === undefined) return undefined;
      if (typeof organisation === "number") return this.#deny(organisation);
      if (organisation.session?.is_inactive === true) return this.#deny(verdicts.ORGANISATION_INACTIVE, organisation);
      this.#organisation = organisation;
      const known = organisation.session !== undefined;
      this.#trace?.note(
        "organisation",
        `${api.orgId} ${known ? "is active" : "has no record, which restricts nothing"}`,
      );
    }
    if (api.auth.length === 0) this.#trace?.note("credential", "none is asked for: use_keyless");
    if (listed.kind === IGNORED || api.auth.length === 0) return this.#admitAnyone(rewritten, listed.reply);
    const identity = identify(this.#senses, this.#request, this.#questions);
    if (identity === undefined) return undefined;
    if (this.#trace !== null) this.#tellIdentity(this.#trace, identity);
    if (identity.verdict !== 0) return this.#deny(identity.verdict, identity.ref, identity.until);
    const { ref } = identity;
    if (ref?.session === undefined) return this.#deny(verdicts.KEY_NOT_FOUND, ref);
    const refusal = this.#refusal(ref, ref.session, bare, odd);
    if (refusal !== 0) return this.#deny(refusal, ref);
    const reply = listed.kind === REPLY ? listed.reply : undefined;
    const final = api.rewritesPaths ? this.#rewrite(ref.session.meta_data ?? {}) : undefined;
    // Meta data may have decided against the rewrite.
    if (final === undefined && !plain && this.#isRestricted(ref)) return this.#deny(verdicts.PATH_INVALID, ref);
    return this.#admit(ref, ref.session, identity, bare, final, reply);
  }

  /** Names, never values: the key itself may be what it is stored under. */
  #tellIdentity(trace: Trace, { verdict, ref }: Identity): void {
    const { api } = this.#request;
    const asked = api.auth.map(({ kind, place, byCertificate }) => {
      const places = [
        byCertificate ? "the caller's certificate" : "",
        place.header === "" ? "" : `header ${place.header}`,
        place.param === "" ? "" : `parameter ${place.param}`,
        place.cookie === "" ? "" : `cookie ${place.cookie}`,
      ];
      return `${kind} (${places.filter((each) => each !== "").join(", ")})`;
    });
    trace.note("credential", `${asked.join(" and ")}: ${verdict === 0 ? "is known" : "is not accepted"}`);
    const session = ref?.session;
    if (session === undefined || verdict !== 0) return;
    const policies = session.apply_policies ?? [];
    const own = policies.length === 0 ? "without policies" : `with the policies ${policies.join(", ")}`;
    trace.note("key", `of organisation ${JSON.stringify(ref?.orgId ?? "")}, ${own}`);
    if (ref?.problem !== undefined) trace.note("policies", ref.problem);
  }

  /** Asked by a key about itself: no list, no right to a method and no limit counts. */
  #ownLimits(bare: string): Decision | undefined {
    const { api } = this.#request;
    if (!this.#addressAllowed()) return this.#deny(verdicts.ADDRESS_DISALLOWED);
    const identity = identify(this.#senses, this.#request, this.#questions);
    if (identity === undefined) return undefined;
    const { ref } = identity;
    if (identity.verdict !== 0 || ref?.session === undefined)
      return this.#deny(identity.verdict || verdicts.KEY_NOT_FOUND, ref, identity.until);
    const refusal = this.#standing(ref, ref.session);
    if (refusal !== 0) return this.#deny(refusal, ref);
    const mine = this.#sessionLimits(ref, ref.session, ref.session.access_rights?.[api.apiId], bare);
    const reply = ownLimits(mine, api.limits, this.#senses.readQuota, this.#questions, this.#wall);
    if (reply === undefined) return undefined;
    if (reply === null) return this.#deny(verdicts.STORE_AWAY, ref);
    // No longer than what it is made of is remembered.
    const until = this.#holdsFor(Math.min(OWN_LIMITS_MS, identity.until - this.#wall));
    return new Decision(this.#ruling(undefined, reply, null), ref, ref.epoch, until, null);
  }

  #refusal(ref: SessionRef, session: Session, bare: string, odd: boolean): number {
    const { api, method } = this.#request;
    const standing = this.#standing(ref, session);
    const access = Object.hasOwn(session.access_rights ?? {}, api.apiId)
      ? session.access_rights?.[api.apiId]
      : undefined;
    if (standing !== 0 || access === undefined) return standing;
    const urls = this.#urlsOf(ref, access);
    this.#trace?.note("rights", `access_rights.${api.apiId}${urls.restricts ? " with allowed_urls" : ""}`);
    if (!urls.restricts) return 0;
    if (odd) return verdicts.PATH_INVALID;
    const allowed = urls.check(method, bare, api.below(bare));
    this.#trace?.note("rights", allowed ? "an entry of allowed_urls fits" : "no entry of allowed_urls fits");
    return allowed ? 0 : verdicts.RESOURCE_DISALLOWED;
  }

  /** Whether the key is good for the API at all. */
  #standing(ref: SessionRef, session: Session): number {
    const { api } = this.#request;
    if (ref.problem !== undefined) return verdicts.POLICY_FAILED;
    if (session.is_inactive === true) return verdicts.KEY_INACTIVE;
    if (hasExpired(session, this.#wall)) return verdicts.KEY_EXPIRED;
    const rights = session.access_rights ?? {};
    if (Object.keys(rights).length === 0) {
      this.#trace?.note("rights", "the key has no access_rights: every API of its organisation");
      return 0;
    }
    const access = Object.hasOwn(rights, api.apiId) ? rights[api.apiId] : undefined;
    if (access === undefined) return verdicts.API_DISALLOWED;
    const versions = access.versions ?? [];
    return versions.length > 0 && !versions.includes(api.version) ? verdicts.API_DISALLOWED : 0;
  }

  #isRestricted(ref: SessionRef): boolean {
    const { api } = this.#request;
    return api.lists.restricts || ref.urls?.get(api.apiId)?.restricts === true;
  }

  #urlsOf(ref: SessionRef, access: Access): AllowedUrls {
    const { api } = this.#request;
    const held = ref.urls?.get(api.apiId);
    if (held !== undefined) return held;
    const compiled = compileAllowedUrls(access.allowed_urls, api.matching);
    ref.urls ??= new Map();
    ref.urls.set(api.apiId, compiled);
    return compiled;
  }

  #admit(
    ref: SessionRef,
    session: Session,
    identity: Identity,
    bare: string,
    rewritten: string | undefined,
    reply: ListReply | undefined,
  ): Decision {
    const expires = session.expires ?? 0;
    const ends = Math.min(identity.until, expires >= 1 ? (expires + 1) * 1_000 : Number.POSITIVE_INFINITY);
    const others = this.#organisation === null ? identity.others : [...identity.others, this.#organisation];
    const { api } = this.#request;
    const access = Object.hasOwn(session.access_rights ?? {}, api.apiId)
      ? session.access_rights?.[api.apiId]
      : undefined;
    const mine = this.#sessionLimits(ref, session, access, bare);
    const limits = this.#limits(mine, bare);
    const ruling = this.#ruling(rewritten, reply, others.length === 0 ? null : others.map(stampOf));
    const until = this.#holdsFor(Math.min(this.#maxAge(), ends - this.#wall));
    return new Decision(ruling, ref, ref.epoch, until, limits);
  }

  #ruling(rewritten: string | undefined, reply: ListReply | undefined, others: readonly Stamp[] | null): Ruling {
    const { api } = this.#request;
    if (rewritten === undefined && reply === undefined && others === null)
      return this.#senses.rulings.of(api, 0, this.#epoch);
    return new Ruling(0, this.#epoch, api.strip, rewritten, reply, others);
  }

  #admitAnyone(rewritten: string | undefined, reply: ListReply | undefined): Decision {
    const { api, path } = this.#request;
    const limits = this.#limits(undefined, withoutQuery(path));
    const strip = api.auth.length === 0 ? { headers: [], params: [], cookies: [] } : api.strip;
    const others = this.#organisation === null ? null : [stampOf(this.#organisation)];
    const until = this.#holdsFor(this.#maxAge());
    const ruling = new Ruling(0, this.#epoch, strip, rewritten, reply, others);
    return new Decision(ruling, null, 0, until, limits);
  }

  /** Whoever only wants to know gets no counters. */
  #limits(session: SessionLimits | undefined, bare: string): LimitSet | null {
    const api = this.#apiLimits(bare);
    if (this.#trace === null) return this.#senses.limits(session, api);
    this.#trace.limits(session, api);
    return null;
  }

  /** That an organisation has no record is believed for as long as that a key has none. */
  #maxAge(): number {
    return this.#organisation !== null && this.#organisation.session === undefined
      ? DENIAL_MS
      : MIN_AGE_MS + Math.random() * (MAX_AGE_MS - MIN_AGE_MS);
  }

  #deny(verdict: number, ref: SessionRef | null = null, until = Number.POSITIVE_INFINITY): Decision {
    const passing = PASSING.includes(verdict);
    const age = Math.min(DENIAL_MS, until - this.#wall);
    const ruling = this.#senses.rulings.of(this.#request.api, verdict, this.#epoch);
    return new Decision(ruling, ref, ref?.epoch ?? 0, passing ? 0 : this.#holdsFor(age), null);
  }

  /** Ends of the API and of its version end every decision too. */
  #holdsFor(age: number): number {
    const { api } = this.#request;
    const ends = Math.min(api.apiEnds, api.versionEnds);
    const left = ends > this.#wall ? ends - this.#wall : Number.POSITIVE_INFINITY;
    return this.#now + Math.max(0, Math.min(age, left));
  }

  #addressAllowed(): boolean {
    const { api, peer, get } = this.#request;
    if (api.allow === undefined && api.deny === undefined) return true;
    const address = callerAddress(peer, api.trusted, get, api.xffDepth);
    this.#trace?.note("address", `counts as ${address}`);
    if (api.allow !== undefined && !api.allow.has(address)) return false;
    return api.deny === undefined || !api.deny.has(address);
  }

  #rewrite(meta: Readonly<Record<string, unknown>>): string | undefined {
    const { api, method, path, get, peer } = this.#request;
    const context: Record<string, string> = api.contextVariables
      ? { path: withoutQuery(path), remote_addr: peer, path_parts: withoutQuery(path).split("/").slice(1).join(",") }
      : {};
    const below = api.below(withoutQuery(path));
    return api.rewrites.rewrite({ method, path, below, get, meta, context });
  }

  #apiLimits(bare: string): ApiLimits {
    const limits = this.#endpointLimits(bare);
    const organisation = organisationLimits(this.#organisation?.session);
    return organisation === undefined ? limits : { ...limits, organisation };
  }

  #endpointLimits(bare: string): ApiLimits {
    const { api, method } = this.#request;
    if (api.endpointLimits.length === 0) return api.limits;
    const below = api.below(bare);
    const found = api.endpointLimits.find(
      (each) =>
        (each.method === "" || each.method === method) && (each.pattern.matches(below) || each.pattern.matches(bare)),
    );
    return found === undefined ? api.limits : { ...api.limits, endpoint: found.limit };
  }

  #sessionLimits(ref: SessionRef, session: Session, access: Access | undefined, bare: string): SessionLimits {
    const limit = access?.limit;
    const scope = access?.allowance_scope ?? "";
    return {
      keyName: ref.name,
      rate: session.rate,
      per: session.per,
      quota_max: session.quota_max,
      quota_renewal_rate: session.quota_renewal_rate,
      throttle_interval: session.throttle_interval,
      throttle_retry_limit: session.throttle_retry_limit,
      perApi: limit !== undefined && !isEmptyLimit(limit) ? { scope, limit } : undefined,
      endpoint: this.#sessionEndpoint(access, bare),
      customKey: customKeyOf(session),
    };
  }

  #sessionEndpoint(access: Access | undefined, bare: string): SessionLimits["endpoint"] {
    const { api, method } = this.#request;
    const below = api.below(bare);
    for (const endpoint of access?.endpoints ?? []) {
      const found = endpoint.methods?.find((each) => each.name === method);
      if (found?.limit === undefined) continue;
      const pattern = compilePath(endpoint.path, { ...api.matching, plain: "regex", tooLong: true });
      if (!pattern.matches(below) && !pattern.matches(bare)) continue;
      return { name: `${method}:${endpoint.path}`, rate: found.limit.rate, per: found.limit.per };
    }
    return undefined;
  }
}

function stampOf(ref: SessionRef): Stamp {
  return { ref, epoch: ref.epoch };
}

/** `rate_limit_pattern`: keys whose pattern gives the same text share a counter. */
function customKeyOf(session: Session): string {
  const meta = session.meta_data ?? {};
  const pattern = meta["rate_limit_pattern"];
  if (typeof pattern !== "string") return "";
  return pattern.replace(/\$tyk_meta\.([A-Za-z0-9_\-.]+)/g, (_, name: string) => textOf(meta[name]));
}
