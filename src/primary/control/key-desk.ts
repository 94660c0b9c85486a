// What happens to a key that an operator makes or changes: its name, its password, its policies, its counters.
// Responsible for Tyk's rules of writing keys. Must not know: HTTP.
// Governed by: Tyk's `/tyk/keys` (what is kept on an update, what is reset). Runs: per request of an operator.

import { fingerprintIn } from "../../shared/certificates/reference.js";
import type { Settings } from "../../shared/config.js";
import { hashPassword } from "../../shared/keys/password.js";
import { applyPolicies, expiryAtCreation } from "../../shared/keys/policies.js";
import { quotaName } from "../../shared/keys/quota-name.js";
import { parseToken, tokenOrg } from "../../shared/keys/token.js";
import { flawOfLimits } from "../../shared/model/limit-rules.js";
import { flawOfRights, matchingOf } from "../../shared/model/path-rules.js";
import { isEmptyLimit, type Session } from "../../shared/model/session.js";
import { printUnknown, type UnknownField } from "../../shared/model/unknown-fields.js";
import type { Found, SaveOptions } from "../../shared/store/sessions.js";
import type { Opened } from "../keyspace.js";
import type { ControlContext } from "./context.js";

const BCRYPT_COST = 10;
/** bcrypt reads no further: two passwords that differ only behind would be one. */
const BCRYPT_BYTES = 72;

/** How a key is named in a request. */
export interface KeyName {
  readonly name: string;
  readonly hashed: boolean;
  readonly username: boolean;
  readonly org: string;
  readonly apiId: string;
}

export class KeyDesk {
  readonly #context: ControlContext;

  constructor(context: ControlContext) {
    this.#context = context;
  }

  get settings(): Settings {
    return this.#context.settings();
  }

  open(): Promise<Opened> {
    return this.#context.keyspace.open();
  }

  async find(key: KeyName): Promise<Found | undefined> {
    const { sessions } = await this.open();
    if (key.hashed) return sessions.findByName(key.name);
    const byUser = key.username && !this.settings.disable_key_actions_by_username;
    const look = (org: string) => (byUser ? sessions.findUser(org, key.name) : sessions.find(org, key.name));
    const org = key.org || this.#orgOf(key.apiId) || tokenOrg(key.name);
    const found = await look(org);
    if (found !== undefined || org !== "") return found;
    // A name without its organisation: one that means a single key is understood.
    const others = new Set(this.#context.definitions().map((api) => api.org_id));
    const all = (await Promise.all([...others].filter(Boolean).map(look))).filter((each) => each !== undefined);
    return all.length === 1 ? all[0] : undefined;
  }

  /** As it decides about calls: with its policies. */
  merged(session: Session): { readonly session: Session; readonly error: string | undefined } {
    return applyPolicies(session, this.#context.policies());
  }

  /** The sentence to refuse it with, undefined when it may be stored. */
  refusalOf(session: Session): string | undefined {
    const { session: merged, error } = this.merged(session);
    if (error !== undefined) return error;
    if (this.settings.allow_master_keys || hasRights(merged)) return undefined;
    return NO_RIGHTS;
  }

  /** What could never be kept to in a session, with its place; empty when there is nothing. */
  flawOf(session: Session): string {
    const flaw = flawOfLimits(session);
    if (flaw !== undefined) return `${flaw.path} ${flaw.message}`;
    return flawOfRights(session.access_rights, matchingOf(this.settings));
  }

  /** What Tyk takes without a word and nobody reads. */
  tellUnknown(fields: readonly UnknownField[]): void {
    if (fields.length === 0) return;
    this.#context.log.warn({ fields: fields.map(printUnknown) }, "a key has fields that nothing reads");
  }

  /** `token` of an id, or the id itself where it is a token of that organisation already. */
  async tokenFor(org: string, id: string): Promise<string> {
    if (id !== "" && parseToken(id)?.org === org) return id;
    // As in Tyk a certificate's key is named without the organisation that the certificate's id begins with.
    const fingerprint = fingerprintIn(id);
    const bare = fingerprint !== undefined && id === org + fingerprint ? fingerprint : id;
    return (await this.open()).sessions.tokenFor(org, bare);
  }

  async nameOf(token: string): Promise<string> {
    return (await this.open()).sessions.nameOf(token);
  }

  /** Dates, expiry and limits of a key that did not exist before. */
  made(given: Session): Session {
    const now = Date.now();
    const expires = expiryAtCreation(given, this.#context.policies(), now);
    const session = { ...given, date_created: new Date(now).toISOString(), last_updated: seconds(now) };
    return withoutEmptyLimits(expires > 0 ? { ...session, expires } : session);
  }

  /** What an update does not change: when it was made, its password, an expiry that would be in the past. */
  updated(given: Session, before: Session, suppressReset: boolean): Session {
    const now = Date.now();
    const past = (given.expires ?? 0) > 1 && now > given.expires! * 1_000;
    const session: Session = {
      ...given,
      date_created: before.date_created,
      last_updated: suppressReset ? before.last_updated : seconds(now),
      expires: past ? before.expires : given.expires,
    };
    if (!given.basic_auth_data?.password && before.basic_auth_data?.password)
      session.basic_auth_data = before.basic_auth_data;
    if (suppressReset) keepRenewals(session, before);
    return withoutEmptyLimits(session);
  }

  /** With its password hashed, unless it is the hash that is stored already; a sentence when that is impossible. */
  async secured(session: Session, before: Session | undefined): Promise<Session | string> {
    const password = session.basic_auth_data?.password;
    if (!password) return session;
    if (before !== undefined && before.basic_auth_data?.password === password)
      return { ...session, basic_auth_data: before.basic_auth_data };
    const kind = this.settings.basic_auth_hash_key_function || "bcrypt";
    const quick = hashPassword(password, kind);
    if (quick !== undefined) return { ...session, basic_auth_data: quick };
    if (Buffer.byteLength(password) > BCRYPT_BYTES) return `a password may have at most ${BCRYPT_BYTES} bytes`;
    if (password.includes("\0")) return "a password must not hold a zero byte";
    const { hash } = await import("@node-rs/bcrypt");
    return {
      ...session,
      basic_auth_data: { password: await hash(password, { cost: BCRYPT_COST }), hash_type: "bcrypt" },
    };
  }

  /** Undefined when it could not be written, otherwise whether every worker has applied it. */
  async save(name: string, session: Session, reset: boolean, options: SaveOptions = {}): Promise<boolean | undefined> {
    const { sessions } = await this.open();
    this.#warnOfUnknown(session);
    const written = await sessions.save(name, session, { ...options, lifetime: this.#lifetimeOf(session) });
    if (!written) return undefined;
    if (reset && this.#mayReset(session)) await this.#resetQuota(name, session);
    return this.#context.keyspace.forgotten([name]);
  }

  /** Undefined when there was nothing to remove. */
  async remove(name: string): Promise<boolean | undefined> {
    const { sessions } = await this.open();
    if (!(await sessions.remove(name))) return undefined;
    return this.#context.keyspace.forgotten([name]);
  }

  /** For an operator's eyes: policies applied, counters read, the password hidden. */
  async shown({ name, session }: Found): Promise<Session> {
    const { session: merged } = this.merged(session);
    const { counters } = await this.open();
    const scoped = Object.values(merged.access_rights ?? {}).filter((access) => !isEmptyLimit(access.limit));
    for (const { holder, key } of [
      { holder: merged, key: quotaName("", name) },
      ...scoped.map((access) => ({ holder: access.limit!, key: quotaName(access.allowance_scope, name) })),
    ]) {
      const max = holder.quota_max ?? 0;
      if (max <= 0) continue;
      const counter = await counters.read(key, true).catch(() => undefined);
      const running = counter !== undefined && (counter.end === 0 || counter.end > Date.now());
      holder.quota_remaining = Math.max(0, max - (running ? counter.taken : 0));
      if (running && counter.end > 0) holder.quota_renews = Math.ceil(counter.end / 1_000);
    }
    if (merged.basic_auth_data !== undefined) merged.basic_auth_data = { ...merged.basic_auth_data, password: "" };
    return merged;
  }

  #orgOf(apiId: string): string {
    if (apiId === "") return "";
    return this.#context.definitions().find((api) => api.api_id === apiId)?.org_id ?? "";
  }

  #apisOf(session: Session) {
    const wanted = new Set(Object.keys(session.access_rights ?? {}));
    return this.#context.definitions().filter((api) => wanted.has(api.api_id));
  }

  /** The longest: a key that opens several APIs must not vanish for one of them before its time. */
  #lifetimeOf(session: Session): NonNullable<SaveOptions["lifetime"]> {
    const apis = this.#apisOf(this.merged(session).session);
    if (apis.some((api) => !api.session_lifetime)) return {};
    return {
      apiLifetime: Math.max(0, ...apis.map((api) => api.session_lifetime ?? 0)),
      apiRespectsExpiration: apis.some((api) => api.session_lifetime_respects_key_expiration === true),
    };
  }

  #mayReset(session: Session): boolean {
    const apis = this.#apisOf(this.merged(session).session);
    return apis.length === 0 || apis.some((api) => api.dont_set_quota_on_create !== true);
  }

  async #resetQuota(name: string, session: Session): Promise<void> {
    const { counters } = await this.open();
    const { session: merged } = this.merged(session);
    const scopes = new Set(Object.values(merged.access_rights ?? {}).map((access) => access.allowance_scope ?? ""));
    for (const scope of new Set(["", ...scopes])) await counters.clear(quotaName(scope, name), true);
  }

  #warnOfUnknown(session: Session): void {
    const known = new Set(this.#context.definitions().map((api) => api.api_id));
    const unknown = Object.keys(session.access_rights ?? {}).filter((id) => !known.has(id));
    if (unknown.length > 0)
      this.#context.log.warn({ apis: unknown.slice(0, 20) }, "a key names APIs that are not loaded");
  }
}

export const NO_RIGHTS = "keys must have at least one Access Rights record set.";

function hasRights(session: Session): boolean {
  return Object.keys(session.access_rights ?? {}).length > 0;
}

function seconds(ms: number): string {
  return String(Math.floor(ms / 1_000));
}

function withoutEmptyLimits(session: Session): Session {
  if (session.access_rights === undefined) return session;
  const rights = Object.entries(session.access_rights).map(([id, access]) => {
    const { limit, ...rest } = access;
    return [id, isEmptyLimit(limit) ? rest : access] as const;
  });
  return { ...session, access_rights: Object.fromEntries(rights) };
}

function keepRenewals(session: Session, before: Session): void {
  session.quota_renews = before.quota_renews;
  for (const [id, access] of Object.entries(session.access_rights ?? {})) {
    const old = before.access_rights?.[id]?.limit;
    if (!isEmptyLimit(old) && !isEmptyLimit(access.limit)) access.limit!.quota_renews = old!.quota_renews;
  }
}
