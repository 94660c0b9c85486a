/**
 * All limits of one worker: finds them, lends to them, wakes the calls that wait, and carries on without the store.
 * Must not know: sessions, APIs, answers, which store it is. Governed by: the contract at the top of `limit.ts`.
 * Runs: once per lease, once per waiting call, and once per tick; never for a call whose lease holds units.
 */

import type { Counters } from "../../../shared/counters/counters.js";
import { Flights } from "./flights.js";
import { Insurance } from "./insurance.js";
import type { Ledger } from "./ledger.js";
import { ADMIT, DENY, type Lender, type Limit, QUOTA, UNAVAILABLE, WAIT } from "./limit.js";
import { Members } from "./members.js";
import { Parked } from "./parked.js";
import { Recalls } from "./recalls.js";
import { Registry } from "./registry.js";
import { Counted, LimitSet, NO_THROTTLE, type Queue, type Throttle } from "./set.js";
import { SlideFlights } from "./slides.js";
import { StampedSet, type Stamps } from "./stamps.js";
import { detach, enqueue, type Waiting } from "./waiting.js";

export interface LimitSpec {
  readonly key: string;
  readonly kind: number;
  readonly limit: number;
  /** 0: never ends (quota that never renews). */
  readonly perMs: number;
  readonly count: "leased" | "exact" | "fixed";
}

export interface EngineOptions {
  readonly counters: Counters;
  /** The same name the counters were made with: one worker process, unique over all replicas and restarts. */
  readonly worker: string;
  /** The worker's clock: monotonic milliseconds, the one `now` comes from. */
  readonly clock: () => number;
  /** The time of day in milliseconds: the store's clock as far as is known before it has said its own. */
  readonly wall?: () => number;
  readonly maxLimits?: number;
  readonly maxWaiting?: number;
  /** No call waits longer for the store than this. */
  readonly waitMs?: number;
  /** How long a call waits at the edge of a quota for units that another worker still holds. */
  readonly edgeWaitMs?: number;
  /** Quota passes uncounted while the store is away and the lease is used up; otherwise UNAVAILABLE. */
  readonly quotaUncounted?: boolean;
  /** For tests: writes every admission down. */
  readonly stamps?: Stamps | undefined;
}

const MAX_LIMITS = 131_072;
const MAX_WAITING = 32_768;
const WAIT_MS = 500;
const EDGE_WAIT_MS = 1_250;
const BEAT_MS = 1_000;
const TICK_LATE_MS = 100;
/** Of the limits that idle so many give back per tick at least: a thousand a second take a few milliseconds of it. */
const SPARES_PER_TICK = 50;
/** Sent to and fro between limits more often than this, and for longer than the waits allow, a call is given up. */
const ROUNDS_MAX = 8;
const RETRY_FIRST_MS = 50;
const RETRY_LAST_MS = 1_000;
/** After the store came back a limit stays on its own share until the others have reported. */
const RETURN_MS = 5_000;

export class LimitEngine implements Lender, Queue {
  down = false;
  readonly #options: EngineOptions;
  readonly #counters: Counters;
  readonly #flights: Flights;
  readonly #slides: SlideFlights;
  readonly #members: Members;
  readonly #registry: Registry;
  readonly #waitMs: number;
  readonly #edgeWaitMs: number;
  readonly #patience: number;
  readonly #recalls: Recalls;
  readonly #edges = new Set<Limit>();
  readonly #insurance: Insurance;
  readonly #parked = new Parked();
  #waiting = 0;
  #beatAt = Number.NEGATIVE_INFINITY;
  #tickedAt = Number.POSITIVE_INFINITY;
  #beating = 0;
  #epoch = 0;
  #retryMs = RETRY_FIRST_MS;
  #stopped = false;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#counters = options.counters;
    this.#waitMs = options.waitMs ?? WAIT_MS;
    this.#edgeWaitMs = options.edgeWaitMs ?? EDGE_WAIT_MS;
    this.#patience = this.#waitMs + this.#edgeWaitMs;
    this.#members = new Members(options.worker);
    this.#flights = new Flights(options.counters, options.clock, {
      arrived: (limits, now) => this.#arrived(limits, now),
      failed: (limits, now) => this.#failed(limits, now),
    });
    if (options.wall !== undefined) this.#flights.offset = options.wall() - options.clock();
    this.#insurance = new Insurance(this.#members, () => this.#flights.offset, options.quotaUncounted === true);
    this.#registry = new Registry({
      worker: options.worker,
      max: options.maxLimits ?? MAX_LIMITS,
      clock: options.clock,
      lender: this,
      retired: (limit) => {
        if (!this.down) this.#flights.add(limit);
      },
    });
    this.#recalls = new Recalls(options.counters, (key, now) => this.#recalled(key, now));
    this.#slides = new SlideFlights(options.counters, options.clock, {
      answered: (waiting, verdict, now) => this.#answered(waiting, verdict, now),
      failed: (now) => this.#lost(now),
      share: (limit) => this.#members.share(limit, options.clock()),
    });
  }

  /** The limits of one session on one API. Built once per decision; a limit that is known already is shared. */
  set(specs: readonly LimitSpec[], throttle: Throttle = NO_THROTTLE): LimitSet {
    const leases: Limit[] = [];
    const counted: Counted[] = [];
    for (const spec of specs) {
      if (spec.count === "leased") leases.push(this.#registry.get(spec));
      else counted.push(new Counted(spec.key, spec.kind, spec.limit, spec.perMs, spec.count === "fixed"));
    }
    const { stamps } = this.#options;
    return stamps === undefined
      ? new LimitSet(leases, counted, throttle, this)
      : new StampedSet(leases, counted, throttle, this, stamps);
  }

  /** An operator changed or reset what stands behind these counters: ask again before refusing. */
  recheck(key: string): void {
    const limit = this.#registry.find(key);
    if (limit !== undefined) limit.deniedUntil = 0;
  }

  /** Where the numbers of the leases stand. */
  get ledger(): Ledger {
    return this.#registry.ledger;
  }

  get size(): number {
    return this.#registry.size;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** The store's clock minus the worker's, in ms: for the reset moments of the headers. */
  get offset(): number {
    return this.#flights.offset;
  }

  /** Every 50 ms or so. */
  tick(now: number): void {
    if (this.#stopped) return;
    // When this loop itself stood still, answers may lie in the socket unread: that is no fault of the store.
    const before = now - this.#waitMs - Math.max(0, now - this.#tickedAt - TICK_LATE_MS);
    this.#tickedAt = now;
    const late = this.#flights.expire(before) || this.#slides.expire(before);
    if (late || (this.#beating > 0 && this.#beatAt < before)) this.#lost(now);
    this.#beat(now);
    if (!this.down && this.#registry.size > 0) this.#recalls.tick(now);
    this.#review(now);
    this.#askAtEdges();
    if (!this.down) this.#flights.flush();
    this.#unpark(now);
  }

  /** Gives back every unit and ends; calls that wait are told UNAVAILABLE. Resolves within the wait of a call. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    const now = this.#options.clock();
    this.#flushWaiting(now);
    this.#slides.close();
    if (!this.down) await this.#giveBackAll();
    this.#flights.close();
  }

  async #giveBackAll(): Promise<void> {
    const clock = this.#options.clock;
    const timer = setTimeout(() => this.#lost(clock()), this.#waitMs);
    await this.#flights.drained();
    for (const limit of this.#registry.all) {
      limit.evicted = true;
      if (limit.close(clock()) && !this.down) this.#flights.add(limit);
    }
    this.#flights.flush();
    await this.#flights.drained();
    clearTimeout(timer);
    if (!this.down) await this.#counters.leave().catch(() => undefined);
  }

  // What a limit asks for at the edge of its lease.

  renew(limit: Limit, urgent: boolean): void {
    if (this.down || this.#stopped) return;
    limit.wanting = true;
    if (urgent) this.#flights.add(limit);
    else this.#flights.addLater(limit);
  }

  insure(limit: Limit, now: number): number {
    return this.#insurance.lend(limit, now);
  }

  cap(limit: Limit, now: number): number {
    return this.#insurance.cap(limit, now);
  }

  wait(waiting: Waiting, now: number): void {
    if (this.#stopped || this.#waiting >= (this.#options.maxWaiting ?? MAX_WAITING)) {
      waiting.done = true;
      waiting.caller.decided(UNAVAILABLE, now);
      return;
    }
    this.#waiting += 1;
    this.#registry.revive(waiting.set);
    this.#advance(waiting, now);
  }

  // The way of a waiting call.

  #advance(waiting: Waiting, now: number): void {
    const verdict = this.#attempt(waiting, now);
    if (verdict !== WAIT) this.#settle(waiting, verdict, now);
  }

  /** WAIT: the call stands behind one of its limits. */
  #attempt(waiting: Waiting, now: number): number {
    const { set } = waiting;
    if (waiting.cancelled) return DENY;
    const counted = set.counted[waiting.step];
    if (counted !== undefined) {
      this.#slides.ask(waiting, counted, this.down);
      return WAIT;
    }
    const verdict = set.takeLeases(now);
    if (verdict !== WAIT) return verdict;
    waiting.rounds += 1;
    if (waiting.rounds > ROUNDS_MAX && now - waiting.since > this.#patience) return UNAVAILABLE;
    enqueue(set.blocked!, waiting);
    // The first call of a key asks for all that it will need at once.
    for (const lease of set.leases) if (lease === set.blocked || lease.birth === 0) this.#ask(lease);
    return WAIT;
  }

  #answered(waiting: Waiting, verdict: number, now: number): void {
    if (verdict === ADMIT) {
      waiting.step += 1;
      this.#advance(waiting, now);
      return;
    }
    waiting.set.denied = waiting.set.counted[waiting.step];
    this.#settle(waiting, verdict, now);
  }

  #settle(waiting: Waiting, verdict: number, now: number): void {
    if (verdict !== ADMIT || waiting.cancelled) this.#slides.undo(waiting);
    else waiting.set.admitted(waiting);
    if (verdict === DENY && !waiting.cancelled && this.#park(waiting, now)) return;
    this.#waiting -= 1;
    waiting.done = true;
    if (!waiting.cancelled) waiting.caller.decided(verdict, now);
  }

  #ask(limit: Limit): void {
    if (this.#edges.has(limit)) return;
    limit.pledged += 1;
    this.#flights.add(limit);
  }

  /** Where calls are held until another worker's units are used or back, once a tick and not once a call. */
  #askAtEdges(): void {
    if (this.down) return;
    for (const limit of this.#edges) {
      limit.pledged = limit.waiting;
      this.#flights.add(limit);
    }
  }

  #arrived(limits: readonly Limit[], now: number): void {
    for (const limit of limits) this.#wake(limit, now);
  }

  /** Every call in the queue tries again; those for whom nothing came are refused or, at the edge of a quota, held. */
  #wake(limit: Limit, now: number): void {
    this.#edges.delete(limit);
    if (limit.lent && !this.down) this.#recalls.add(limit.key);
    const hold = limit.dry && limit.deniedUntil === 0 && limit.kind === QUOTA && !this.down;
    // Whoever still waits after this says so again; a pledge counted twice would be lent and lie unused.
    limit.pledged = 0;
    let waiting = detach(limit);
    while (waiting !== undefined) {
      const next: Waiting | undefined = waiting.next;
      waiting.next = undefined;
      if (limit.units > 0 || !limit.dry || this.down || waiting.cancelled) this.#advance(waiting, now);
      else if (hold && now - waiting.since < this.#edgeWaitMs) enqueue(limit, waiting);
      else this.#refuse(waiting, limit, now);
      waiting = next;
    }
    if (hold && limit.waiting > 0) this.#edges.add(limit);
  }

  #recalled(key: string, now: number): void {
    const limit = this.#registry.find(key);
    if (limit === undefined || limit.inFlight || limit.queued || this.down || this.#stopped) return;
    if (limit.recall(now)) this.#flights.add(limit);
  }

  #refuse(waiting: Waiting, limit: Limit, now: number): void {
    waiting.set.denied = limit;
    this.#settle(waiting, DENY, now);
  }

  // Throttling.

  #park(waiting: Waiting, now: number): boolean {
    if (waiting.tries <= 0 || waiting.set.denied?.kind === QUOTA || this.#stopped) return false;
    this.#parked.park(waiting, now);
    return true;
  }

  #unpark(now: number): void {
    for (const waiting of this.#parked.due(now)) {
      waiting.since = now;
      this.#advance(waiting, now);
    }
  }

  // The store is lost and found.

  #lost(now: number): void {
    if (!this.down) {
      this.down = true;
      this.#insurance.begin(now);
      this.#retryMs = RETRY_FIRST_MS;
    }
    this.#beating = 0;
    this.#flights.abandon(now);
    this.#slides.abandon();
  }

  #failed(limits: readonly Limit[], now: number): void {
    if (!this.down) this.#lost(now);
    for (const limit of limits) this.#wake(limit, now);
    for (const limit of [...this.#edges]) this.#wake(limit, now);
  }

  /** Every limit says what was used: the store may have forgotten it. */
  #found(now: number): void {
    this.down = false;
    for (const limit of this.#registry.all) {
      if (limit.insuredUntil > now) limit.insuredUntil = Math.min(limit.insuredUntil, now + RETURN_MS);
      if (limit.unsure || (limit.mine > 0 && now < limit.until)) this.#flights.add(limit);
    }
  }

  #beat(now: number): void {
    if (this.#beating > 0 || now - this.#beatAt < (this.down ? this.#retryMs : BEAT_MS)) return;
    this.#beatAt = now;
    const number = now + 1;
    this.#beating = number;
    if (this.down) this.#retryMs = Math.min(RETRY_LAST_MS, this.#retryMs * 2);
    this.#counters.beat().then(
      (beat) => {
        if (this.#beating !== number || this.#stopped) return;
        this.#beating = 0;
        this.#members.heard(beat.names, now);
        if (this.down || this.#epoch !== beat.epoch) this.#found(this.#options.clock());
        this.#epoch = beat.epoch;
      },
      () => {
        if (this.#beating === number && !this.#stopped) this.#lost(this.#options.clock());
      },
    );
  }

  #review(now: number): void {
    if (this.down) return;
    let spares = SPARES_PER_TICK;
    this.#registry.review(now, (limit, surplus) => {
      if (limit.inFlight || limit.queued) return;
      if (!limit.isMissed(surplus) && spares-- <= 0) return;
      limit.release(surplus);
      this.#flights.addLater(limit);
    });
  }

  #flushWaiting(now: number): void {
    const all = this.#parked.empty();
    for (const limit of this.#registry.all) {
      for (let waiting = detach(limit); waiting !== undefined; waiting = waiting.next) all.push(waiting);
    }
    this.#edges.clear();
    for (const waiting of all) this.#settle(waiting, UNAVAILABLE, now);
  }
}
