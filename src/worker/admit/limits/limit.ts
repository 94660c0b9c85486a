/**
 * One limit as a worker counts it: the units it was lent from the shared counter. They stand in a row of the ledger, where sets of
 * limits take them one per call; here are the edges of the lease.
 * Responsible for: the lease of one counter on this worker, its size, and what the worker must report about it.
 * Must not know: stores, keys' meaning, callers, answers. Governed by: issue "The gate", item 4; `shared/counters`.
 * Runs: `take` where a set has more than two leases, or one of them is used up; the rest once per lease.
 *
 * The contract of this folder: who calls what, on which clock
 * - One `LimitEngine` per worker owns every `Limit` and the way to the shared counters. Its owner calls `tick(now)` about
 *   every 50 ms, and `stop()` before the worker ends, which gives every unused unit back.
 * - The gate makes a `LimitSet` (`engine.set(specs)`) when it decides about a session and an API, and keeps it with that
 *   decision. Per call it asks `set.take(now)`: ADMIT, DENY, WAIT or UNAVAILABLE; all limits or none. After WAIT it calls
 *   `set.wait(caller, now)` once; the engine calls `caller.decided(verdict, now)` later, exactly once unless the returned
 *   `Waiting` is cancelled. After DENY, `set.denied` names the limit and `set.retryMs(now)` when it may help to come back;
 *   both are to be read before anything else is taken from that set.
 * - `now` is the worker's own clock in milliseconds: monotonic (`performance.now()`), read once per turn. The engine's
 *   `clock` is the same clock. Windows live on the store's clock (Redis TIME, or the host's for the embedded store): a
 *   lease is dated by the moment its request was sent, so that it ends on this clock before its window ends on the
 *   store's; what is left in it then is never used.
 * - Units not used or given back when a process is killed are lost for that window: at most what it held, which is at
 *   most a sixteenth of what was left when it was granted plus the calls that stood waiting.
 * - Units nobody asks for go back within a second. Only where very many limits idle at once, and what they hold is a trifle
 *   beside what is left, are they given back at a steady pace instead; whoever runs dry then recalls them at once.
 */

import * as reply from "../../../shared/counters/exchange.js";
import {
  AHEAD,
  AHEAD_FROM,
  END,
  FIRST_ROW,
  HORIZON_MS,
  isLent,
  LAST_USE,
  LEFT,
  type Ledger,
  LIMIT,
  UNITS,
  UNTIL,
  USED,
  use,
} from "./ledger.js";
import type { Waiting } from "./waiting.js";

export const ADMIT = 0;
export const DENY = 1;
export const WAIT = 2;
/** The store cannot be asked and nothing is left to go on with, or too many calls wait. */
export const UNAVAILABLE = 3;

/** What a limit is, for the answer that the caller sees. */
export const RATE = 0;
export const QUOTA = 1;
export const API_RATE = 2;

const WANT_MAX = 65_536;
/** Held units are a trifle when so many times as many are left for everybody. */
const TRIFLE_PART = 64;
/** A recall takes what was not touched for this long. */
const RECALL_IDLE_MS = 100;
/** A lease that lasts shorter is renewed at once, a longer one with the next report of anybody. */
const SHORT_LEASE_MS = 1_000;
/** A refusal is remembered this long: a killed worker's units or an operator's reset are found at the next look. */
const DENIAL_MS = 1_000;

/** What a limit needs of its engine, at the edges of a lease. */
export interface Lender {
  /** More units, in the background. */
  renew(limit: Limit, urgent: boolean): void;
  /** The store is away: the verdict by what this worker may admit on its own. */
  insure(limit: Limit, now: number): number;
  /** What this worker may take out of one window at most: no bound but after an outage. */
  cap(limit: Limit, now: number): number;
  readonly down: boolean;
}

export interface LimitNumbers {
  readonly limit: number;
  readonly perMs: number;
}

export class Limit implements reply.Ask {
  readonly key: string;
  readonly holder: string;
  readonly kind: number;
  readonly aligned: boolean;
  perMs: number;
  /** Where its numbers stand. */
  row: number;

  /** No unit can come free before this moment: all are used, none is lent out. */
  deniedUntil = 0;

  // What the next report says (see Ask), with `limit` and `end` of the row.
  need = 0;
  want = 0;
  held = 0;
  mine = 0;
  birth = 0;

  dry = false;
  /** The last answer had nothing left, while others hold units that they may give back. */
  lent = false;
  /** Callers that have asked for a unit since the last report. */
  pledged = 0;
  /** The next report asks for a bigger lease although nobody waits. */
  wanting = false;
  inFlight = false;
  /** A report got no answer: the store may have counted a grant that never came. The next report puts it right. */
  unsure = false;
  queued = false;
  evicted = false;
  first: Waiting | undefined = undefined;
  last: Waiting | undefined = undefined;
  waiting = 0;

  #granted = 0;
  #askedAt = 0;
  #usedAtAsk = 0;
  #ledger: Ledger;
  readonly #lender: Lender;

  constructor(key: string, holder: string, kind: number, numbers: LimitNumbers, lender: Lender, ledger: Ledger) {
    this.key = key;
    this.holder = holder;
    this.kind = kind;
    this.aligned = kind !== QUOTA;
    this.perMs = numbers.perMs;
    this.#lender = lender;
    this.#ledger = ledger;
    this.row = ledger.open(numbers.limit);
  }

  /** Units at hand. */
  get units(): number {
    return this.#ledger.doubles[this.row + UNITS]!;
  }

  set units(value: number) {
    this.#ledger.doubles[this.row + UNITS] = value;
  }

  /** From then on, on the worker's clock, they are void. */
  get until(): number {
    return this.#ledger.doubles[this.row + UNTIL]!;
  }

  set until(value: number) {
    this.#ledger.doubles[this.row + UNTIL] = value;
  }

  get lastUse(): number {
    return this.#ledger.doubles[this.row + LAST_USE]!;
  }

  set lastUse(value: number) {
    this.#ledger.doubles[this.row + LAST_USE] = value;
  }

  get left(): number {
    return this.#ledger.doubles[this.row + LEFT]!;
  }

  set left(value: number) {
    this.#ledger.doubles[this.row + LEFT] = value;
  }

  get end(): number {
    return this.#ledger.doubles[this.row + END]!;
  }

  set end(value: number) {
    this.#ledger.doubles[this.row + END] = value;
  }

  get limit(): number {
    return this.#ledger.doubles[this.row + LIMIT]!;
  }

  set limit(value: number) {
    this.#ledger.doubles[this.row + LIMIT] = value;
  }

  /** Modulo 2^32. */
  get used(): number {
    return this.#ledger.ints[2 * this.row + USED]!;
  }

  set used(value: number) {
    this.#ledger.ints[2 * this.row + USED] = value;
  }

  get ahead(): number {
    return this.#ledger.ints[2 * this.row + AHEAD]!;
  }

  set ahead(value: number) {
    this.#ledger.ints[2 * this.row + AHEAD] = value;
  }

  get insuredUntil(): number {
    return this.#ledger.insuredUntil(this.row);
  }

  set insuredUntil(until: number) {
    this.#ledger.insure(this.row, until);
  }

  /** It is forgotten: its row may be another's from now on, and what is still to be said of it stands in a copy. */
  evict(): void {
    this.evicted = true;
    const own = this.#ledger.copy(this.row);
    this.#ledger.close(this.row);
    this.#ledger = own;
    this.row = FIRST_ROW;
  }

  take(now: number): number {
    const { doubles, ints } = this.#ledger;
    if (!isLent(doubles, this.row, now)) return this.#edge(now);
    if (use(doubles, ints, this.row, now)) this.renewAhead(now);
    return ADMIT;
  }

  renewAhead(now: number): void {
    this.#lender.renew(this, now - this.#askedAt < SHORT_LEASE_MS);
  }

  /** In the turn of the `take` it undoes, with the same `now`. */
  giveBack(): void {
    this.units += 1;
    this.used -= 1;
  }

  #edge(now: number): number {
    this.lastUse = now;
    if (now < this.deniedUntil || now < this.insuredUntil) return DENY;
    if (this.#lender.down) return this.#lender.insure(this, now);
    return this.#room(now) > 0 ? WAIT : DENY;
  }

  /** Fills in the report that is sent now. */
  prepare(now: number): void {
    this.#dropEnded(now);
    const room = Math.max(0, this.#room(now));
    this.need = Math.min(room, this.pledged);
    this.want = this.pledged > 0 || this.wanting ? Math.min(room, this.#size(now)) : 0;
    // What is needed by calls that still stand behind another limit is held until they come through.
    this.held = this.evicted ? reply.LEAVING : this.units + Math.max(0, this.need - this.waiting);
    this.pledged = 0;
    this.wanting = false;
    this.#askedAt = now;
    this.#usedAtAsk = this.used;
  }

  #room(now: number): number {
    return this.#lender.cap(this, now) - (now < this.until ? this.mine : 0);
  }

  /** What the demand since the last report would use up in a horizon, but no more than double of what was lent before. */
  #size(now: number): number {
    const horizon = this.perMs > 0 ? Math.min(HORIZON_MS, this.perMs) : HORIZON_MS;
    const demand = (((this.used - this.#usedAtAsk) | 0) * horizon) / Math.max(1, now - this.#askedAt);
    return Math.max(
      this.#ledger.least(this.row),
      Math.min(Math.ceil(demand), 2 * this.#granted + this.pledged, WANT_MAX),
    );
  }

  /** `sentAt`: the worker's clock when the report left; the window ends at least `TTL` after that. */
  apply(answer: ArrayLike<number>, at: number, sentAt: number, now: number): void {
    this.unsure = false;
    const granted = answer[at + reply.GRANTED]!;
    const ttl = answer[at + reply.TTL]!;
    const until = ttl < 0 ? Number.POSITIVE_INFINITY : sentAt + ttl;
    const sameWindow = answer[at + reply.BIRTH] === this.birth && answer[at + reply.END] === this.end;
    const stillCounted = sameWindow || this.end === 0 || this.end > answer[at + reply.AT]!;
    const dropped = now < this.until && stillCounted ? 0 : this.units;
    this.units += granted - dropped;
    this.mine = answer[at + reply.MINE]! - (stillCounted ? dropped : 0);
    this.birth = answer[at + reply.BIRTH]!;
    this.end = answer[at + reply.END]!;
    this.left = answer[at + reply.LEFT]!;
    // Both moments are before the window's end; the later one is the better guess.
    this.until = sameWindow ? Math.max(until, this.until) : until;
    this.dry = this.left === 0;
    this.lent = this.dry && answer[at + reply.AWAY]! > 0;
    this.deniedUntil = this.dry && !this.lent ? Math.min(this.until, now + DENIAL_MS) : 0;
    if (granted > 0) this.#granted = granted;
    this.#ledger.tell(this.row, Math.max(0, this.held) + granted - Math.min(granted, this.need));
    this.ahead = granted >= AHEAD_FROM && this.left > 0 ? granted >> 2 : -1;
  }

  /** Would others miss what is given back, or is it a trifle that can wait? */
  isMissed(surplus: number): boolean {
    return surplus * TRIFLE_PART > this.left;
  }

  /** Takes out of the lease what a review of this very moment found; the next report says so. */
  release(surplus: number): void {
    if (surplus <= 0) return;
    this.units -= surplus;
    this.mine -= surplus;
    this.ahead = -1;
    if (this.units > 0) this.#granted >>= 1;
  }

  /** Somebody ran dry. Units that lie here untouched go; answers whether there is something to report. */
  recall(now: number): boolean {
    if (now >= this.until || now < this.insuredUntil || this.waiting > 0) return false;
    if (now - this.lastUse >= RECALL_IDLE_MS) this.release(this.units);
    return this.#ledger.told(this.row) > 0;
  }

  /** Everything unused, because the limit or the worker ends. Answers whether there is something to report. */
  close(now: number): boolean {
    this.#dropEnded(now);
    this.mine -= this.units;
    this.units = 0;
    return this.birth > 0 && now < this.until;
  }

  /** Units whose window is over here go back; if it is over at the store as well, nobody listens, which is right. */
  #dropEnded(now: number): void {
    if (now < this.until || this.units === 0) return;
    this.mine -= this.units;
    this.units = 0;
  }
}
