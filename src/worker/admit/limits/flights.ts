/**
 * The way of a worker's reports to the shared counters: gathered for a turn, sent in batches, answered or given up.
 * Responsible for: how much is under way at once, which clock a lease is dated by, and answers that come too late.
 * Must not know: callers, what an answer means for them. Governed by: `shared/counters/counters.ts`.
 * Runs: once per turn in which a lease ran out.
 */

import type { Counters } from "../../../shared/counters/counters.js";
import { REPLY_SIZE } from "../../../shared/counters/exchange.js";
import { type Limit, QUOTA } from "./limit.js";

/** Reports in one script or transaction: a few hundred microseconds of the store's time. */
const BATCH = 128;
/** Batches under way at once; what comes on top waits in its lane, once per limit. */
const FLIGHTS_MAX = 32;

export interface Arrivals {
  /** Every limit of the batch has taken its answer in. */
  arrived(limits: readonly Limit[], now: number): void;
  failed(limits: readonly Limit[], now: number): void;
}

interface Flight {
  readonly limits: readonly Limit[];
  readonly sentAt: number;
  open: boolean;
}

export class Flights {
  /** The store's clock minus the worker's. */
  offset = 0;
  readonly #counters: Counters;
  readonly #clock: () => number;
  readonly #arrivals: Arrivals;
  /** Rates and quota apart: the durable home of quota is slower. */
  readonly #lanes: [Limit[], Limit[]] = [[], []];
  readonly #open = new Set<Flight>();
  /** When the store last answered. */
  #landedAt = Number.NEGATIVE_INFINITY;
  #immediate: NodeJS.Immediate | undefined;
  #idle: (() => void) | undefined;

  constructor(counters: Counters, clock: () => number, arrivals: Arrivals) {
    this.#counters = counters;
    this.#clock = clock;
    this.#arrivals = arrivals;
  }

  /** A limit is under way once: what changes meanwhile goes with its next report. */
  add(limit: Limit): void {
    this.addLater(limit);
    if (limit.queued) this.#immediate ??= setImmediate(() => this.flush());
  }

  /** With the next report that somebody waits for, or the next tick: a batch of one costs the store as much as one of many. */
  addLater(limit: Limit): void {
    if (limit.queued || limit.inFlight) return;
    limit.queued = true;
    this.#lanes[limit.kind === QUOTA ? 1 : 0].push(limit);
  }

  flush(): void {
    clearImmediate(this.#immediate);
    this.#immediate = undefined;
    for (const lane of this.#lanes) {
      while (lane.length > 0 && this.#open.size < FLIGHTS_MAX) this.#send(lane.splice(0, BATCH));
    }
    if (this.#open.size === 0) this.#idle?.();
  }

  /**
   * Did the store say nothing since `before`, although something was sent before that? While it answers, it works off what
   * was sent; what comes late then stands in a queue that is ours.
   */
  expire(before: number): boolean {
    if (this.#landedAt > before) return false;
    for (const flight of this.#open) if (flight.sentAt <= before) return true;
    return false;
  }

  /** Everything under way and everything still to be sent fails now. */
  abandon(now: number): void {
    const limits: Limit[] = [];
    for (const flight of this.#open) {
      flight.open = false;
      limits.push(...flight.limits);
    }
    this.#open.clear();
    for (const lane of this.#lanes) limits.push(...lane.splice(0));
    for (const limit of limits) {
      limit.unsure ||= limit.inFlight;
      limit.inFlight = false;
      limit.queued = false;
    }
    this.#arrivals.failed(limits, now);
    this.#idle?.();
  }

  /** Resolves when nothing is under way and nothing is left to send. */
  async drained(): Promise<void> {
    if (this.#open.size === 0 && this.#lanes.every((lane) => lane.length === 0)) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  close(): void {
    clearImmediate(this.#immediate);
  }

  #send(limits: Limit[]): void {
    const sentAt = this.#clock();
    for (const limit of limits) {
      limit.queued = false;
      limit.inFlight = true;
      limit.prepare(sentAt);
    }
    const flight: Flight = { limits, sentAt, open: true };
    this.#open.add(flight);
    this.#counters.exchange(limits, limits[0]?.kind === QUOTA).then(
      (replies) => this.#land(flight, replies),
      () => this.#crash(flight),
    );
  }

  #land(flight: Flight, replies: ArrayLike<number>): void {
    if (!flight.open) return;
    this.#open.delete(flight);
    const now = this.#clock();
    this.#landedAt = now;
    for (const [index, limit] of flight.limits.entries()) {
      limit.inFlight = false;
      limit.apply(replies, index * REPLY_SIZE, flight.sentAt, now);
    }
    this.offset = (replies[REPLY_SIZE - 1] ?? 0) - (flight.sentAt + now) / 2;
    this.#arrivals.arrived(flight.limits, now);
    this.flush();
  }

  #crash(flight: Flight): void {
    if (flight.open) this.abandon(this.#clock());
  }
}
