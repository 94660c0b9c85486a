// Which target gets a call: the choice of one route among the addresses its targets stand for, call by call.
// Responsible for who may be chosen (health, ejection, slow start, panic) and for the order. Must not know: frames,
// connections' states beyond ready and hopeful, how health is found out. Governed by Tyk's enable_load_balancing and
// target_list, and by `sluice.balance`. Runs: pick once per call; the rest when something changes and per tick.

import type { Logger } from "pino";
import type { BalancePolicy, TargetPolicy } from "../../shared/model/target-policy.js";
import { ANSWERS, type Answer } from "../call/answers.js";
import type { Call } from "../call/call.js";
import type { Endpoint } from "../upstream/endpoint.js";
import type { TargetPool } from "../upstream/target-pool.js";
import type { CallRunner } from "../upstream/upstreams.js";
import { Ejection, Outcome } from "./ejection.js";
import { HashRing, hashOf } from "./hash-ring.js";
import { schedule } from "./schedule.js";
import { Seat, Trial } from "./seat.js";

const SECOND = 1_000;
/** What a target begins its slow start with. */
const FIRST_SHARE = 0.1;

/** Where calls of a route may go: one for each entry of the list that differs in what is sent. */
export interface Place {
  readonly pool: TargetPool;
  /** Which of the route's targets says what is sent there. */
  readonly target: number;
  readonly weight: number;
}

export interface BalancerParts {
  /** The API's id, for the log. */
  readonly api: string;
  readonly places: readonly Place[];
  /** Null where there is nothing to choose by: a service that a rewrite names. */
  readonly policy: TargetPolicy | null;
  readonly runner: CallRunner;
  readonly log: Logger;
  now(): number;
  /** For a service that a rewrite names: the choice that stands for it when this one was forgotten. */
  readonly again?: () => Balancer | null;
}

export class Balancer {
  readonly api: string;
  readonly places: readonly Place[];
  /** What calls show about targets; null when nobody asked. */
  readonly ejection: Ejection | null;
  private readonly policy: BalancePolicy | null;
  private readonly parts: BalancerParts;
  /** All seats, and those that take calls in the order of their turns. */
  private seats: Seat[] = [];
  private order: Seat[] = [];
  private eligible: Seat[] = [];
  private ring: HashRing | null = null;
  private turn = 0;
  private random = 0x2545f491;
  private stale = true;
  private reseat = true;
  private ramping = 0;
  /** No pool tells it of changes any more: it belongs to a configuration that was replaced. */
  private left = false;
  private panics = false;

  constructor(parts: BalancerParts) {
    const { api, places, policy, log } = parts;
    this.api = api;
    this.places = places;
    this.parts = parts;
    this.policy = policy === null ? null : policy.balance;
    this.ejection = policy !== null && Ejection.isAsked(policy.ejection) ? new Ejection(policy.ejection, log) : null;
    for (const { pool } of places) pool.watchers.add(this);
  }

  /** Gives the call to one of the route's targets, or lets it wait, or ends it. */
  give(call: Call): void {
    if (this.left && this.parts.again !== undefined) return this.giveAgain(call, this.parts.again());
    const seat = this.pick(call);
    if (seat === null) this.giveToNone(call);
    else this.seatAt(call, seat);
  }

  /** Gives the call to another one than before, if there is hope. @returns false when there is none */
  move(call: Call): boolean {
    if (this.stale) this.refresh();
    const before = call.seat;
    if (before !== null && before.trialCall === call) this.ejection!.note(before, call, Outcome.NONE, this.parts.now());
    const seat =
      this.search(before === null ? 0 : before.index + 1, before) ?? (before?.hopeful === true ? before : null);
    if (seat === null) return false;
    this.seatAt(call, seat);
    return true;
  }

  /** A call that was given to one of its seats has ended. */
  ended(call: Call): void {
    if (this.ejection !== null) this.ejection.note(call.seat!, call, call.outcome, this.parts.now());
  }

  private giveAgain(call: Call, successor: Balancer | null): void {
    if (successor === null) this.parts.runner.fail(call, ANSWERS.noTargetPath);
    else successor.give(call);
  }

  private seatAt(call: Call, seat: Seat): void {
    call.seat = seat;
    call.target = seat.target;
    if (seat.trial === Trial.OPEN) {
      seat.trial = Trial.TAKEN;
      seat.trialCall = call;
    }
    seat.endpoint.give(call);
  }

  private pick(call: Call): Seat | null {
    if (this.stale) this.refresh();
    const { order } = this;
    const n = order.length;
    if (n === 1) return order[0]!;
    if (n === 0) return null;
    if (this.policy !== null && this.policy.method !== "round_robin") {
      const chosen = this.ring === null ? this.lessBusy() : this.hashed(call, this.ring);
      if (chosen !== null) return chosen;
    }
    let at = this.turn + 1;
    if (at >= n) at = 0;
    this.turn = at;
    const seat = order[at]!;
    return seat.ready ? seat : (this.search(seat.index + 1, null) ?? seat);
  }

  /** From `index` on, one that is connected, else one that may soon be. */
  private search(index: number, except: Seat | null): Seat | null {
    const { eligible } = this;
    const n = eligible.length;
    let first = 0;
    while (first < n && eligible[first]!.index < index) first++;
    for (let i = 0; i < n; i++) {
      const seat = eligible[(first + i) % n]!;
      if (seat !== except && seat.ready) return seat;
    }
    for (let i = 0; i < n; i++) {
      const seat = eligible[(first + i) % n]!;
      if (seat !== except && seat.hopeful) return seat;
    }
    return null;
  }

  /** The less busy of two drawn by lot, measured by what each should carry. */
  private lessBusy(): Seat | null {
    const { order } = this;
    const at = this.lot(order.length);
    const one = order[at]!;
    const two = order[(at + 1 + this.lot(order.length - 1)) % order.length]!;
    const first = one.ready;
    const second = two.ready;
    if (!first || !second) return first ? one : second ? two : null;
    return one.endpoint.inFlight * two.weight <= two.endpoint.inFlight * one.weight ? one : two;
  }

  private lot(n: number): number {
    let x = this.random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.random = x;
    return (x >>> 0) % n;
  }

  private hashed(call: Call, ring: HashRing): Seat | null {
    const value = fieldValue(call, this.policy!.hash_header);
    return value === "" ? null : ring.find(hashOf(value));
  }

  /** No seat takes calls: names that nobody has answered yet, names that nobody knows, or all are down. */
  private giveToNone(call: Call): void {
    const { runner } = this.parts;
    for (const { pool } of this.places) if (pool.awaited) return pool.wait(call);
    runner.fail(call, this.emptyAnswer);
  }

  private get emptyAnswer(): Answer {
    return this.seats.length === 0 ? ANSWERS.lookupFailed : ANSWERS.targetsDown;
  }

  /** What a call would be refused with now; null while there is hope for one. For those that look at it from outside. */
  refusal(): Answer | null {
    if (this.stale) this.refresh();
    if (this.order.some(({ endpoint }) => endpoint.hopeful)) return null;
    if (this.order.length > 0) return ANSWERS.unreachable;
    return this.places.some(({ pool }) => pool.awaited) ? null : this.emptyAnswer;
  }

  /** Something about its seats is different: looked at before the next choice. */
  changed(): void {
    this.stale = true;
  }

  /** A name has other addresses. */
  moved(): void {
    this.stale = true;
    this.reseat = true;
  }

  /** Whether one more may be put out. */
  maySpare(seat: Seat, most: number): boolean {
    let out = 1;
    for (const other of this.seats)
      if (other !== seat && (other.outUntil > 0 || other.trial !== Trial.NONE || other.endpoint.down)) out++;
    return out < this.seats.length && out <= most * this.seats.length;
  }

  /** From here on `seat` gets its share little by little. */
  ramp(seat: Seat, now: number): void {
    if (this.policy === null || this.policy.slow_start === 0) return;
    seat.rampFrom = now;
    this.stale = true;
  }

  tick(now: number): void {
    this.ejection?.tick(this.seats, now);
    if (this.ramping > 0) this.stale = true;
    if (this.stale) this.refresh();
  }

  /** The configuration no longer names it; calls that began under it may still have to move. */
  leave(): void {
    this.left = true;
    for (const { pool } of this.places) pool.watchers.delete(this);
    this.moved();
  }

  private refresh(): void {
    const now = this.parts.now();
    if (this.reseat) this.takeSeats(now);
    this.stale = this.left;
    this.reseat = this.left;
    for (const seat of this.seats) {
      const { down } = seat.endpoint;
      if (seat.wasDown && !down) this.ramp(seat, now);
      seat.wasDown = down;
    }
    this.stale = this.left;
    this.eligible = this.inService();
    const weights = this.eligible.map((seat) => this.weightOf(seat, now));
    this.order = Array.from(schedule(weights), (index) => this.eligible[index]!);
    this.ramping = 0;
    for (const seat of this.seats) {
      seat.eligible = false;
      if (seat.rampFrom >= 0) this.ramping++;
    }
    for (const seat of this.eligible) seat.eligible = true;
    this.ring?.recount();
  }

  private inService(): Seat[] {
    const all = this.seats.filter((seat) => seat.weight > 0);
    const taking = all.filter((seat) => !seat.endpoint.down && seat.outUntil === 0);
    const panics = taking.length < (this.policy?.panic_threshold ?? 0) * all.length;
    if (panics !== this.panics) {
      this.panics = panics;
      const told = { api: this.api, in: taking.length, of: all.length };
      if (panics) this.parts.log.warn(told, "too few targets are in: all of them get calls");
      else this.parts.log.info(told, "enough targets are in again");
    }
    return panics ? all : taking;
  }

  private weightOf(seat: Seat, now: number): number {
    if (seat.rampFrom < 0) return seat.weight;
    const share = (now - seat.rampFrom) / ((this.policy?.slow_start ?? 0) * SECOND);
    if (share < 1) return seat.weight * Math.max(FIRST_SHARE, share);
    seat.rampFrom = -1;
    return seat.weight;
  }

  private takeSeats(now: number): void {
    const before = this.seats;
    const known = new Map<string, Seat>();
    for (const seat of before) known.set(seatKey(seat.endpoint, seat.target), seat);
    this.seats = [];
    for (const { pool, target, weight } of this.places) {
      for (const endpoint of pool.endpoints) {
        const old = known.get(seatKey(endpoint, target));
        const seat = old?.endpoint === endpoint ? old : new Seat(this, endpoint, target, 0);
        seat.weight = weight / pool.endpoints.length;
        seat.index = this.seats.length;
        this.seats.push(seat);
        if (seat !== old && before.length > 0) this.ramp(seat, now);
      }
    }
    if (this.policy?.method === "hash") this.ring = new HashRing(this.seats);
  }

  /** For those that look at it from outside. */
  get all(): readonly Seat[] {
    return this.seats;
  }
}

function seatKey(endpoint: Endpoint, target: number): string {
  return `${endpoint.name} ${target}`;
}

/** The value of a request's field, empty when it has none. */
function fieldValue(call: Call, name: string): string {
  const { fields, names } = call.plan;
  let gap = 0;
  for (let i = 0; i < names.length; i++) {
    const field = fields[i]!;
    if (names[i]!.text === name) return (field ?? call.volatile[gap])?.value ?? "";
    if (field === null) gap++;
  }
  return "";
}
