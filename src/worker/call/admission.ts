// Between a plan and its call: asks the gate, takes units of limits, and turns denials into answers. The gate's decision
// is kept under the credential for the whole worker, so that a call whose key came before, on whichever connection, costs
// a few comparisons and integer operations. Calls that must be decided anew (strangers) have a little time in each turn; when
// it is over the next one of each connection waits, and with it what stands behind it on its connection, unread.
// Contract: the heads of admit/gate.ts and admit/limits/limit.ts. Runs once per call of an API with a gate.

import { GrpcStatus, grpcStatusOfHttp } from "../../shared/grpc/status.js";
import { FieldKind } from "../../shared/http2/hpack/field.js";
import type { FieldList } from "../../shared/http2/hpack/field-list.js";
import type { FieldAccess } from "../admit/credentials/fields.js";
import type { Decision, Ruling } from "../admit/decision.js";
import type { Gate } from "../admit/gate.js";
import { Guessing } from "../admit/guessing.js";
import { verdictOf } from "../admit/limit-verdict.js";
import type { LimitEngine } from "../admit/limits/engine.js";
import { noRates, readHeaders } from "../admit/limits/headers.js";
import { ADMIT, DENY, QUOTA, WAIT } from "../admit/limits/limit.js";
import type { LimitSet } from "../admit/limits/set.js";
import { callerAddress } from "../admit/rights/addresses.js";
import * as verdicts from "../admit/verdicts.js";
import type { Caller } from "../downstream/caller.js";
import { repeats, sendText } from "./answer.js";
import { ANSWERS, type Answer } from "./answers.js";
import type { Call } from "./call.js";
import { Origin } from "./call-end.js";
import { Decisions, type Scope } from "./decisions.js";
import { preparedFor } from "./forwarding.js";
import { scopeText } from "./key-fields.js";
import { textOfField } from "./list-text.js";
import type { Plan } from "./plan.js";
import type { Rules } from "./planner.js";
import { RateFields } from "./rate-fields.js";
import type { Relay } from "./relay.js";

export interface AdmissionOptions {
  /** `rate_limit_response_headers` is "quotas" (Tyk's default), not "rate_limits". */
  readonly quotaHeaders: boolean;
  /** gRPC callers get Tyk's HTTP answers too. */
  readonly httpAnswers: boolean;
  /** Credentials that nobody has, tried from one address in a second; 0 = as many as come. */
  readonly guesses: number;
}

/** Deciding anew costs up to tenths of a millisecond: a burst of it must not hold up everybody else. Ms of a turn. */
const STRANGERS_MS = 1;
/** So many are decided in each turn, whatever they cost. */
const STRANGERS_AT_LEAST = 2;
/** So many of one connection in a row while others wait: their answers share a write. */
const STRANGERS_IN_A_ROW = 8;

interface Stranger {
  readonly call: Call;
  readonly get: FieldAccess;
  /** Whose guess it would be. */
  readonly from: string;
  readonly wasAdmitted: boolean;
}

/** A caller that is refused so has shown a credential that nobody has. */
const GUESSES: ReadonlySet<number> = new Set([verdicts.KEY_NOT_FOUND, verdicts.BASIC_WRONG, verdicts.JWT_INVALID]);

export class Admission {
  readonly gate: Gate;
  readonly engine: LimitEngine;
  readonly rates: RateFields;
  readonly decisions = new Decisions();
  private readonly guessing = new Guessing();
  private used!: AdmissionOptions;
  /** Calls whose decision was not remembered: how many were decided since `begun`, in this turn. */
  private strangers = 0;
  private begun = 0;
  private counting = false;
  /** The next one of each connection that had to stop: at most one each. */
  private readonly later: Stranger[] = [];
  /** A connection goes on from where it had stopped, and so many of its strangers have been decided. */
  private goesOn = false;
  private inARow = 0;
  private readonly relay: Relay;
  /** The configuration that the decisions were made under. */
  private rules: Rules | null = null;

  constructor(relay: Relay, gate: Gate, engine: LimitEngine, options: AdmissionOptions) {
    this.relay = relay;
    this.gate = gate;
    this.engine = engine;
    this.options = options;
    this.rates = new RateFields();
  }

  get options(): AdmissionOptions {
    return this.used;
  }

  set options(options: AdmissionOptions) {
    this.used = options;
    this.guessing.limit = options.guesses;
  }

  admit(call: Call, list: FieldList): void {
    const { plan } = call;
    const scope = plan.scope ?? this.scopeOf(plan);
    let wasAdmitted = false;
    if (scope !== null) {
      const known = this.decisions.find(scope, call.volatile, plan.keys);
      if (known !== null && this.gate.holds(known, this.relay.now)) {
        this.judge(call, known);
        return;
      }
      wasAdmitted = known !== null && known.verdict === 0;
    }
    // What was good a moment ago is no guess: it is looked over.
    const get: FieldAccess = (name) => textOfField(list, name);
    const from = this.guesserOf(plan, get);
    if (!wasAdmitted && this.refusesGuess(call, from)) return;
    if (this.mayAsk(wasAdmitted)) {
      this.ask(call, get, from);
      return;
    }
    // The list is only good for now.
    const kept = new Map(plan.gate!.fields.map((name) => [name, textOfField(list, name)]));
    this.later.push({ call, get: (name) => kept.get(name), from, wasAdmitted });
    call.down.connection.halted = true;
  }

  /** Whether one more may be decided in this turn: those that wait go first, but for callers who were admitted before. */
  private mayAsk(wasAdmitted: boolean): boolean {
    if (!this.counting) {
      this.counting = true;
      this.strangers = 0;
      this.begun = performance.now();
      setImmediate(() => this.nextTurn());
    }
    const ahead = wasAdmitted || (this.goesOn && this.inARow < STRANGERS_IN_A_ROW);
    if ((this.later.length > 0 && !ahead) || !this.hasTime()) return false;
    this.strangers++;
    this.inARow++;
    return true;
  }

  /** The address that its guess counts for: behind a trusted proxy its own, not everybody's. NOBODY where none can be made. */
  private guesserOf(plan: Plan, get: FieldAccess): string {
    const gate = plan.gate!;
    if (this.guessing.limit === 0 || gate.auth.length === 0) return NOBODY;
    return callerAddress(plan.origin.address, gate.trusted, get, gate.xffDepth);
  }

  private refusesGuess(call: Call, from: string): boolean {
    if (from === NOBODY || this.guessing.restOf(from, this.relay.now) === 0) return false;
    this.deny(call, this.gate.verdicts[verdicts.TOO_MANY_GUESSES]!, this.comeBack(call, GUESSING_MS));
    return true;
  }

  private hasTime(): boolean {
    return this.strangers < STRANGERS_AT_LEAST || performance.now() - this.begun < STRANGERS_MS;
  }

  private ask(call: Call, get: FieldAccess, from: string): void {
    const { plan } = call;
    const { address: peer, peer: certificate } = plan.origin;
    const gone = (): boolean => call.finished;
    const request = { api: plan.gate!, method: plan.method, path: plan.path, peer, certificate, get, gone };
    const decision = this.gate.admit(request, (later) => this.decided(call, later, from));
    if (decision !== 0) this.decided(call, decision, from);
  }

  /** Some more of those that had to stop, each with what stands behind it on its connection. */
  private nextTurn(): void {
    this.strangers = 0;
    this.begun = performance.now();
    while (this.later.length > 0 && this.hasTime()) {
      this.strangers++;
      this.inARow = 1;
      const next = this.later.shift()!;
      const { call } = next;
      if (!call.finished) this.askLate(next);
      this.goesOn = true;
      (call.down.connection.owner as Caller).wire.readOn();
      this.goesOn = false;
    }
    // Those that the sockets bring next have what is left of the time.
    this.counting = this.strangers > 0;
    if (this.counting) setImmediate(() => this.nextTurn());
  }

  private askLate({ call, get, from, wasAdmitted }: Stranger): void {
    try {
      // Others may have guessed meanwhile.
      if (wasAdmitted || !this.refusesGuess(call, from)) this.ask(call, get, from);
    } catch (error) {
      // Outside of any connection's turn: nobody else would catch it.
      this.relay.log.error({ err: error }, "a defect of the gateway ended a call");
      this.relay.fail(call, ANSWERS.internal);
    }
  }

  /** Null for a plan that no other request will have. */
  private scopeOf(plan: Plan): Scope | null {
    if (!plan.repeats) return null;
    if (this.rules !== plan.rules) {
      this.decisions.clear();
      this.rules = plan.rules;
    }
    plan.scope = this.decisions.scope(scopeText(plan));
    return plan.scope;
  }

  private decided(call: Call, decision: Decision, from: string): void {
    const { plan } = call;
    if (from !== NOBODY && GUESSES.has(decision.verdict)) this.guessing.note(from, this.relay.now);
    // Rules that came meanwhile have cleared the memory, and this plan is used no more.
    if (decision.validUntil > 0 && plan.scope !== null && plan.rules === this.rules) {
      this.decisions.remember(plan.scope, call.volatile, plan.keys, decision);
    }
    if (!call.finished) this.judge(call, decision);
  }

  private judge(call: Call, decision: Decision): void {
    call.decision = decision;
    const { ruling, limits } = decision;
    if (ruling.verdict !== 0) return this.deny(call, this.gate.verdicts[ruling.verdict]!);
    if (ruling.reply !== undefined) return this.reply(call, ruling.reply);
    call.prepared = preparedFor(call.plan, ruling);
    if (limits === null) return this.relay.start(call);
    const now = this.relay.now;
    const verdict = limits.take(now);
    if (verdict === ADMIT) this.start(call, limits, now);
    else if (verdict === WAIT) {
      const waiting = limits.wait({ decided: (later, at) => this.limitsDecided(call, limits, later, at) }, now);
      if (!call.finished && !call.given && !waiting.done) call.limits = waiting;
    } else this.limitsDecided(call, limits, verdict, now);
  }

  private start(call: Call, limits: LimitSet, now: number): void {
    this.rates.note(call, limits, this.options.quotaHeaders, now, this.engine.offset);
    this.relay.start(call);
  }

  private limitsDecided(call: Call, limits: LimitSet, verdict: number, now: number): void {
    call.limits = null;
    if (call.finished) return;
    if (verdict === ADMIT) this.start(call, limits, now);
    else if (verdict === DENY) this.limited(call, limits, now);
    else this.relay.fail(call, ANSWERS.storeAway);
  }

  /** The unit that was refused says which row, and when it may help to come back. */
  private limited(call: Call, limits: LimitSet, now: number): void {
    const kind = limits.denied?.kind;
    const id = verdictOf(limits.denied);
    const retry = limits.retryMs(now);
    const fields: Record<string, string> = retry > 0 && kind !== QUOTA ? this.comeBack(call, retry) : {};
    if (!this.options.quotaHeaders) {
      const values = readHeaders(limits, false, now, this.engine.offset, noRates());
      fields["x-ratelimit-limit"] = String(values.limit);
      fields["x-ratelimit-remaining"] = "0";
      fields["x-ratelimit-reset"] = String(values.reset);
    }
    this.deny(call, this.gate.verdicts[id]!, fields);
  }

  /** When it may help to try again, in the caller's way of saying it. */
  private comeBack(call: Call, ms: number): Record<string, string> {
    const grpc = call.plan.grpc && !this.options.httpAnswers;
    if (ms === GUESSING_MS) return grpc ? GUESSED_GRPC : GUESSED_HTTP;
    return grpc ? { "grpc-retry-pushback-ms": String(ms) } : { "retry-after": String(Math.ceil(ms / 1_000)) };
  }

  private deny(call: Call, row: verdicts.VerdictRow, fields: Record<string, string> = NO_FIELDS): void {
    const answer = row.challenge
      ? answerOf(row, { ...fields, "www-authenticate": `Basic realm="${realm(call.plan.gate!.name)}"` })
      : fields === NO_FIELDS || row.id === verdicts.TOO_MANY_GUESSES
        ? sameAnswer(row, fields)
        : answerOf(row, fields);
    const { down, plan } = call;
    this.relay.finish(call, Origin.GATEWAY, row.grpc, row.counted);
    this.relay.answer(down, answer, plan.grpc && !this.options.httpAnswers, plan.head);
  }

  /** A list's own answer (`method_actions` reply). */
  private reply(call: Call, reply: NonNullable<Ruling["reply"]>): void {
    const { down, plan } = call;
    this.relay.finish(call, Origin.GATEWAY, reply.code < 400 ? GrpcStatus.OK : grpcStatusOfHttp(reply.code), "reply");
    const store = down.connection.shared.fields;
    const fields = Object.entries(reply.headers).map(([name, value]) => store.field(name.toLowerCase(), value));
    const type = fields.find((field) => field.name.kind === FieldKind.CONTENT_TYPE)?.value ?? "text/plain";
    const more = fields.filter((field) => field.name.kind !== FieldKind.CONTENT_TYPE);
    sendText(down, reply.code, type, reply.data, plan.head, false, more);
    this.relay.linger(down);
  }
}

const NOBODY = "";
const NO_FIELDS: Record<string, string> = {};
/** The window of the guard: always the same, so that the answer is. */
const GUESSING_MS = 1_000;
const GUESSED_GRPC: Record<string, string> = { "grpc-retry-pushback-ms": "1000" };
const GUESSED_HTTP: Record<string, string> = { "retry-after": "1" };
/** Floods get one answer again and again: made once, so that what it looks like on the wire is found again too. */
const SAME = new WeakMap<verdicts.VerdictRow, { readonly fields: Record<string, string>; readonly answer: Answer }>();

function sameAnswer(row: verdicts.VerdictRow, fields: Record<string, string>): Answer {
  const known = SAME.get(row);
  if (known !== undefined && known.fields === fields) return known.answer;
  const answer = answerOf(row, fields);
  repeats(answer);
  SAME.set(row, { fields, answer });
  return answer;
}

function answerOf(row: verdicts.VerdictRow, fields: Record<string, string> | undefined): Answer {
  const { counted: id, grpc, http, message } = row;
  return { id, grpc, http, message, plain: false, ...(fields === undefined ? {} : { fields }) };
}

function realm(name: string): string {
  return name.replace(/[^\x20-\x7e]|["\\]/g, "");
}
