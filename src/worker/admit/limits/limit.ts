/**
 * One limit as a worker counts it: the units it was lent from the shared counter, handed out one per call.
 * Responsible for: the lease of one counter on this worker, its size, and what the worker must report about it.
 * Must not know: stores, keys' meaning, callers, answers. Governed by: issue "The gate", item 4; `shared/counters`.
 * Runs: `take` once per call and limit, so it is a few integer operations; the rest once per lease.
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

import {
  type Ask,
  AT,
  AWAY,
  BIRTH,
  END,
  GRANTED,
  LEAVING,
  LEFT,
  MINE,
  TTL,
} from "../../../shared/counters/exchange.js";
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

/**
 * Leases are sized for the demand of this long, as far as the rest allows it: ten thousand keys with a few calls a second
 * each must not ask at every second call.
 */
const HORIZON_MS = 8_000;
const WANT_MAX = 65_536;
/** A lease of a large limit is at least so large, whatever the demand, but only this part of the limit. */
const LEAST = 64;
const LEAST_PART = 4_096;
/** Held units are a trifle when so many times as many are left for everybody. */
const TRIFLE_PART = 64;
/** A recall takes what was not touched for this long. */
const RECALL_IDLE_MS = 100;
/** A lease that lasts shorter is renewed at once, a longer one with the next report of anybody. */
const SHORT_LEASE_MS = 1_000;
/** Leases smaller than this are not renewed ahead: their calls stand at the edge of the limit anyway. */
const AHEAD_FROM = 8;
/** A refusal is remembered this long: a killed worker's units or an operator's reset are found at the next look. */
const DENIAL_MS = 1_000;
/** With a review behind it: back within a second. */
const IDLE_MS = 750;

/** What a review found. */
export const KEEP = 0;
/** Units to give back, when there is time. */
export const SPARE = 1;
/** Units that others may miss. */
export const SURPLUS = 2;

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

export class Limit implements Ask {
  readonly key: string;
  readonly holder: string;
  readonly kind: number;
  readonly aligned: boolean;
  limit: number;
  perMs: number;

  /** Units at hand, and the moment on the worker's clock from which they are void. */
  units = 0;
  until = 0;
  /** At this many units left the next lease is asked for; -1 never. */
  ahead = -1;
  used = 0;
  lastUse = 0;
  /** No unit can come free before this moment: all are used, none is lent out. */
  deniedUntil = 0;
  /** A lease without the store: no more than this share until then. */
  insuredUntil = 0;

  // What the next report says (see Ask).
  need = 0;
  want = 0;
  held = 0;
  mine = 0;
  birth = 0;
  end = 0;

  /** What the last answer said, for the headers and for the time without the store. */
  left = 0;
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
  /** Place in the engine's list. */
  place = -1;

  #granted = 0;
  #askedAt = 0;
  #usedAtAsk = 0;
  #usedAtReview = 0;
  #reviewedAt = 0;
  #surplus = 0;
  /** Units the store believes to be held here unused. */
  #told = 0;
  readonly #lender: Lender;

  constructor(key: string, holder: string, kind: number, numbers: LimitNumbers, lender: Lender) {
    this.key = key;
    this.holder = holder;
    this.kind = kind;
    this.aligned = kind !== QUOTA;
    this.limit = numbers.limit;
    this.perMs = numbers.perMs;
    this.#lender = lender;
  }

  take(now: number): number {
    if (this.units > 0 && now < this.until) {
      this.units -= 1;
      this.used += 1;
      this.lastUse = now;
      if (this.units === this.ahead) this.#lender.renew(this, now - this.#askedAt < SHORT_LEASE_MS);
      return ADMIT;
    }
    return this.#edge(now);
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
    this.held = this.evicted ? LEAVING : this.units + Math.max(0, this.need - this.waiting);
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
    const demand = ((this.used - this.#usedAtAsk) * horizon) / Math.max(1, now - this.#askedAt);
    return Math.max(this.#least(), Math.min(Math.ceil(demand), 2 * this.#granted + this.pledged, WANT_MAX));
  }

  /** `sentAt`: the worker's clock when the report left; the window ends at least `TTL` after that. */
  apply(reply: ArrayLike<number>, at: number, sentAt: number, now: number): void {
    this.unsure = false;
    const granted = reply[at + GRANTED]!;
    const ttl = reply[at + TTL]!;
    const until = ttl < 0 ? Number.POSITIVE_INFINITY : sentAt + ttl;
    const sameWindow = reply[at + BIRTH] === this.birth && reply[at + END] === this.end;
    const stillCounted = sameWindow || this.end === 0 || this.end > reply[at + AT]!;
    const dropped = now < this.until && stillCounted ? 0 : this.units;
    this.units += granted - dropped;
    this.mine = reply[at + MINE]! - (stillCounted ? dropped : 0);
    this.birth = reply[at + BIRTH]!;
    this.end = reply[at + END]!;
    this.left = reply[at + LEFT]!;
    // Both moments are before the window's end; the later one is the better guess.
    this.until = sameWindow ? Math.max(until, this.until) : until;
    this.dry = this.left === 0;
    this.lent = this.dry && reply[at + AWAY]! > 0;
    this.deniedUntil = this.dry && !this.lent ? Math.min(this.until, now + DENIAL_MS) : 0;
    if (granted > 0) this.#granted = granted;
    this.#told = Math.max(0, this.held) + granted - Math.min(granted, this.need);
    this.ahead = granted >= AHEAD_FROM && this.left > 0 ? granted >> 2 : -1;
  }

  /** Every now and then: is there something to give back? What is found goes with `release`, now or after a later review. */
  review(now: number): number {
    const recent = this.used - this.#usedAtReview;
    const elapsed = now - this.#reviewedAt;
    this.#usedAtReview = this.used;
    this.#reviewedAt = now;
    if (now >= this.until || now < this.insuredUntil) return KEEP;
    this.#surplus = this.#surplusOf(recent, elapsed, now);
    if (this.#surplus > 0) return this.#surplus * TRIFLE_PART > this.left ? SURPLUS : SPARE;
    return this.units === 0 && this.#told > 0 && recent === 0 && now - this.lastUse >= IDLE_MS ? SPARE : KEEP;
  }

  /** Takes out of the lease what the review of this very moment found; the next report says so. */
  release(): void {
    this.units -= this.#surplus;
    this.mine -= this.#surplus;
    if (this.#surplus > 0) this.ahead = -1;
    if (this.#surplus > 0 && this.units > 0) this.#granted >>= 1;
    this.#surplus = 0;
  }

  /** Somebody ran dry. Units that lie here untouched go; answers whether there is something to report. */
  recall(now: number): boolean {
    if (now >= this.until || now < this.insuredUntil || this.waiting > 0) return false;
    if (now - this.lastUse >= RECALL_IDLE_MS) {
      this.#surplus = this.units;
      this.release();
    }
    return this.#told > 0;
  }

  /** Everything unused, because the limit or the worker ends. Answers whether there is something to report. */
  close(now: number): boolean {
    this.#dropEnded(now);
    this.mine -= this.units;
    this.units = 0;
    return this.birth > 0 && now < this.until;
  }

  #least(): number {
    return Math.min(LEAST, Math.floor(this.limit / LEAST_PART));
  }

  #surplusOf(recent: number, elapsed: number, now: number): number {
    if (this.units === 0) return 0;
    if (recent === 0) return now - this.lastUse >= IDLE_MS ? this.units : 0;
    const expected = Math.ceil((recent * HORIZON_MS) / Math.max(1, elapsed));
    return this.units > 2 * expected + Math.max(AHEAD_FROM, this.#least()) ? this.units - expected : 0;
  }

  /** Units whose window is over here go back; if it is over at the store as well, nobody listens, which is right. */
  #dropEnded(now: number): void {
    if (now < this.until || this.units === 0) return;
    this.mine -= this.units;
    this.units = 0;
  }
}
