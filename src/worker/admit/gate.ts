/**
 * The gate: is this call admitted, as whom, and under which limits.
 * Responsible for: the order of the checks, what is asked asynchronously, the epoch that outdates decisions.
 * Must not know: HTTP/2, connections, how an answer is written, how limits are counted.
 * Governed by: Tyk's order of checks (lists, addresses, credentials, expiry, rights, limits, rewrite); answers by
 * `verdicts.ts`. Runs: once per distinct combination of the fields a decision reads; `holds` once per call.
 *
 * Contract with the relay
 * 1. When a call's route is known, look for a remembered `Decision` under: the API, method, `:path` (whole, with query), the
 *    peer's address, where `api.dependsOnCertificate` the fingerprint of the leaf that the connection shows (or none), and
 *    the values of `api.fields` (equal values, best compared as interned fields). The memory is the
 *    relay's, per connection or worker, bounded by it. None, or `gate.holds(decision, now)` false: `gate.admit(...)`.
 * 2. `admit` answers at once with a `Decision`, or PENDING; then `resume` is called exactly once, later, never from within
 *    `admit`. The gate copies the fields it needs before it answers PENDING, so the call's memory may be reused. A call
 *    that ends meanwhile ignores its `resume`. Nothing rejects or throws: trouble is a verdict. The store is bounded by its
 *    command timeout, a fetch of JWT keys by five seconds.
 * 3. Remember decisions whose `validUntil` is not 0, denials as well (a flood of one unknown key then costs a comparison).
 * 4. Per call: `gate.holds(decision, now)`, then `decision.verdict` (deny: the row of `gate.verdicts`) or
 *    `ruling.reply` (a mock), then `decision.limits?.take(now)` (see `limits/limit.ts`), nothing else.
 * 5. `ruling.strip` and `ruling.rewritten` enter the forwarded header list, which is made once per decision: drop
 *    `strip.headers`, `stripCookie(cookie, strip.cookies)`; the path is `rewritten`, or `stripPath(path, strip.params)`.
 *    A `rewritten` with a scheme is another service.
 * 6. `now` is the worker's monotonic clock in milliseconds, the same that the limits use.
 *
 * `reload` swaps definitions, settings and policies in one step; running calls are not touched, decisions made before do not
 * hold. `tick` about once a second keeps sessions fresh. `close` ends it.
 */

import type { PasswordCheck } from "../../shared/keys/password.js";
import { type KeyRules, nameCandidates } from "../../shared/keys/token.js";
import type { Policies } from "../../shared/model/policy.js";
import { type Store, type StoreChange, TOKEN_KEYS_CHANGED } from "../../shared/store/store.js";
import { type ApiGate, compileApi, JWT } from "./api-gate.js";
import { StoredIds } from "./credentials/certificates.js";
import type { FieldAccess } from "./credentials/fields.js";
import { JwtVerifier } from "./credentials/jwt.js";
import { Passwords } from "./credentials/passwords.js";
import type { Decision, Stamp } from "./decision.js";
import { Evaluation, type GateRequest, type LimitMaker, type Senses } from "./evaluation.js";
import type { GatedDefinition, GateSettings } from "./gated-definition.js";
import { type ReadQuota, remembering } from "./own-limits.js";
import { Questions } from "./questions.js";
import { Rulings } from "./rulings.js";
import { SessionCache } from "./session-cache.js";
import type { Trace } from "./trace.js";
import { type MessageOverrides, type VerdictRow, verdictTable } from "./verdicts.js";

export { Decision } from "./decision.js";
export type { GateRequest, LimitMaker } from "./evaluation.js";

/** `admit` could not answer at once; `resume` will be called. */
export const PENDING = 0;

export interface GateOptions {
  readonly store: Store;
  readonly keys: KeyRules;
  readonly passwords: PasswordCheck;
  readonly limits: LimitMaker;
  /** For callers that ask what is left to them. */
  readonly readQuota?: ReadQuota | undefined;
  /** The worker's clock in milliseconds, monotonic. */
  readonly now: () => number;
  /** The time of day in milliseconds. */
  readonly wall: () => number;
  readonly maxSessions?: number | undefined;
  readonly staleMs?: number | undefined;
  /** Told of keys that cannot be used: stored name and a sentence without secrets. */
  readonly report?: ((name: string, problem: string) => void) | undefined;
}

export interface GateConfig {
  readonly definitions: readonly GatedDefinition[];
  readonly settings: GateSettings;
  readonly policies: Policies;
  readonly overrides?: MessageOverrides | undefined;
}

/** Each round asks everything that is missing; a call that needs more has answers that change under it. */
const MAX_ROUNDS = 6;

export class Gate {
  epoch = 1;
  verdicts: readonly VerdictRow[];
  readonly #options: GateOptions;
  readonly #senses: Senses;
  #apis = new Map<string, ApiGate>();

  constructor(options: GateOptions, config: GateConfig) {
    this.#options = options;
    const sessions = new SessionCache({ ...options, policies: config.policies });
    this.#senses = {
      sessions,
      // Their records stand under names of their own, which no token can be made to mean.
      organisations: new SessionCache({ ...options, policies: config.policies, prefix: "", maxSessions: 10_000 }),
      keys: options.keys,
      passwords: new Passwords(options.passwords),
      certificates: new StoredIds(options.store, options.now, options.staleMs),
      verifiers: new Map(),
      rulings: new Rulings(),
      limits: options.limits,
      readQuota: remembering(options.readQuota ?? (() => Promise.resolve(undefined))),
      now: options.now,
      wall: options.wall,
    };
    this.verdicts = verdictTable(config.overrides);
    this.#compile(config);
  }

  /** The compiled gate of an API, for the route. */
  api(apiId: string): ApiGate | undefined {
    return this.#apis.get(apiId);
  }

  get sessions(): SessionCache {
    return this.#senses.sessions;
  }

  holds(decision: Decision, now: number): boolean {
    const { gateEpoch, others } = decision.ruling;
    return gateEpoch === this.epoch && decision.isFresh(now) && (others === null || stand(others));
  }

  admit(request: GateRequest, resume: (decision: Decision) => void): Decision | typeof PENDING {
    const questions = new Questions();
    const decision = new Evaluation(this.#senses, request, questions, this.epoch).run();
    if (decision !== undefined) return decision;
    void this.#later(keepFields(request), questions).then(resume);
    return PENDING;
  }

  /** How it would decide, with every step told to `trace`: nothing is counted, and no call is admitted by it. */
  explain(request: GateRequest, trace: Trace): Promise<Decision> {
    const questions = new Questions();
    const decision = new Evaluation(this.#senses, request, questions, this.epoch, trace).run();
    return decision === undefined ? this.#later(keepFields(request), questions, trace) : Promise.resolve(decision);
  }

  reload(config: GateConfig): void {
    this.epoch = (this.epoch + 1) & 0x3fffffff;
    this.verdicts = verdictTable(config.overrides);
    this.#compile(config);
    this.#senses.sessions.setPolicies(config.policies);
    this.#senses.organisations.setPolicies(config.policies);
  }

  /** News that came another way than through the store's own channel. */
  heard(change: StoreChange): void {
    this.#senses.sessions.heard(change);
    this.#senses.organisations.heard(change);
    if (change.command === TOKEN_KEYS_CHANGED) this.#forgetTokens(change.payload);
    this.#senses.certificates.heard(change);
  }

  /** Keys of tokens are fetched anew, and every token is checked again; `apiId` empty means all APIs. */
  #forgetTokens(apiId: string): void {
    this.epoch = (this.epoch + 1) & 0x3fffffff;
    for (const api of [...this.#senses.verifiers.keys()])
      if (apiId === "" || api.apiId === apiId) this.#senses.verifiers.set(api, this.#verifierOf(api));
  }

  async tick(): Promise<void> {
    await Promise.all([this.#senses.sessions.tick(), this.#senses.organisations.tick()]);
  }

  close(): void {
    this.#senses.sessions.close();
    this.#senses.organisations.close();
    this.#senses.certificates.close();
  }

  async #later(given: GateRequest, questions: Questions, trace: Trace | null = null): Promise<Decision> {
    let request = given;
    const asked = this.epoch;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      await questions.settle();
      // A reload while we asked: the answers stand, the rules are the new ones.
      const api = this.#apis.get(request.api.apiId);
      if (api !== undefined && api !== request.api) request = { ...request, api };
      // An API that is gone still answers the calls it was asked for, but nothing is remembered of it.
      const epoch = api === undefined ? asked : this.epoch;
      const decision = new Evaluation(this.#senses, request, questions, epoch, trace).run();
      if (decision !== undefined) return decision;
    }
    return Evaluation.busy(request.api, this.epoch);
  }

  #compile(config: GateConfig): void {
    this.#apis = new Map(config.definitions.map((each) => [each.api_id, compileApi(each, config.settings)]));
    this.#senses.verifiers.clear();
    for (const api of this.#apis.values()) {
      if (api.auth.every((method) => method.kind !== JWT)) continue;
      const verifier = this.#verifierOf(api);
      this.#senses.verifiers.set(api, verifier);
      for (const problem of verifier.problems) this.#options.report?.(api.apiId, problem);
    }
  }

  #verifierOf(api: ApiGate): JwtVerifier {
    return new JwtVerifier(api.definition, {
      wall: this.#options.wall,
      secretOf: (identity) => this.#secretOf(api.orgId, identity),
    });
  }

  /** A token without a central key is signed with the secret of the key that it names. */
  async #secretOf(orgId: string, identity: string): Promise<string | undefined> {
    const ref = await this.#senses.sessions.load(orgId, nameCandidates(orgId, identity, this.#options.keys));
    return ref.session?.jwt_data?.secret;
  }
}

function stand(others: readonly Stamp[]): boolean {
  for (let i = 0; i < others.length; i++) if (others[i]!.ref.epoch !== others[i]!.epoch) return false;
  return true;
}

function keepFields(request: GateRequest): GateRequest {
  const kept = new Map(request.api.fields.map((name) => [name, request.get(name)]));
  const get: FieldAccess = (name) => kept.get(name);
  return { ...request, get };
}
