/**
 * Limits that ask about every call: the calls of one turn in one batch, and a limiter in memory while the store is away.
 * Must not know: leases, what an answer means. Governed by: the contract at the top of `limit.ts`; rate-limiter-flexible.
 * Runs: once per call of an exact or fixed-window limit.
 */

import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import type { Counters, SlideAsk } from "../../../shared/counters/counters.js";
import { SLIDE_ADMITTED, SLIDE_AT, SLIDE_LEFT, SLIDE_SIZE, SLIDE_WAIT } from "../../../shared/counters/exchange.js";
import { ADMIT, DENY, UNAVAILABLE } from "./limit.js";
import type { Counted } from "./set.js";
import type { Waiting } from "./waiting.js";

const BATCH = 128;
/** Limiters in memory, one per pair of share and period; more are made anew, which forgets what they counted. */
const LIMITERS_MAX = 1_000;

export interface Answers {
  /** ADMIT, DENY or UNAVAILABLE by one counted limit. */
  answered(waiting: Waiting, verdict: number, now: number): void;
  failed(now: number): void;
  /** What this worker may admit alone; negative: nothing is known. */
  share(limit: number): number;
}

interface Flight {
  readonly pairs: readonly Pair[];
  readonly sentAt: number;
  open: boolean;
}

interface Pair extends SlideAsk {
  readonly waiting: Waiting;
  readonly counted: Counted;
}

export class SlideFlights {
  readonly #counters: Counters;
  readonly #clock: () => number;
  readonly #answers: Answers;
  readonly #open = new Set<Flight>();
  readonly #insurance = new Map<string, RateLimiterMemory>();
  #pending: Pair[] = [];
  #closed = false;
  #immediate: NodeJS.Immediate | undefined;

  constructor(counters: Counters, clock: () => number, answers: Answers) {
    this.#counters = counters;
    this.#clock = clock;
    this.#answers = answers;
  }

  ask(waiting: Waiting, counted: Counted, down: boolean): void {
    const { key, limit, perMs } = counted;
    const pair: Pair = { key, limit, perMs, waiting, counted };
    if (down) void this.#insure(pair);
    else if (counted.fixed) this.#askFixed(pair);
    else {
      this.#pending.push(pair);
      this.#immediate ??= setImmediate(() => this.#flush());
    }
  }

  /** Something else refused the call: its marks in the logs go. A fixed window keeps them, as it keeps refused calls. */
  undo(waiting: Waiting): void {
    for (const [index, at] of waiting.logged.entries()) {
      const counted = waiting.set.counted[index];
      if (counted === undefined || counted.fixed || at === 0) continue;
      this.#counters.unslide(counted.key, at).catch(() => undefined);
    }
    waiting.logged.length = 0;
    waiting.step = 0;
  }

  expire(before: number): boolean {
    for (const flight of this.#open) if (flight.sentAt <= before) return true;
    return false;
  }

  /** The store is away: what was asked is answered from memory. */
  abandon(): void {
    const pairs = this.#pending;
    this.#pending = [];
    for (const flight of this.#open) {
      flight.open = false;
      pairs.push(...flight.pairs);
    }
    this.#open.clear();
    for (const pair of pairs) void this.#insure(pair);
  }

  close(): void {
    clearImmediate(this.#immediate);
    this.#immediate = undefined;
    this.#closed = true;
    this.abandon();
    this.#insurance.clear();
  }

  #flush(): void {
    this.#immediate = undefined;
    const pending = this.#pending;
    this.#pending = [];
    for (let at = 0; at < pending.length; at += BATCH) {
      const pairs = pending.slice(at, at + BATCH);
      const flight: Flight = { pairs, sentAt: this.#clock(), open: true };
      this.#open.add(flight);
      this.#counters.slide(pairs).then(
        (replies) => this.#land(flight, replies),
        () => this.#crash(flight),
      );
    }
  }

  #land(flight: Flight, replies: readonly number[]): void {
    if (!flight.open) return;
    this.#open.delete(flight);
    const now = this.#clock();
    for (const [index, { waiting, counted }] of flight.pairs.entries()) {
      const at = index * SLIDE_SIZE;
      const admitted = replies[at + SLIDE_ADMITTED] === 1;
      counted.left = replies[at + SLIDE_LEFT]!;
      counted.freeAt = now + replies[at + SLIDE_WAIT]!;
      if (admitted) waiting.logged.push(replies[at + SLIDE_AT]!);
      this.#answers.answered(waiting, admitted ? ADMIT : DENY, now);
    }
  }

  #askFixed(pair: Pair): void {
    const flight: Flight = { pairs: [pair], sentAt: this.#clock(), open: true };
    this.#open.add(flight);
    this.#counters.fixed(pair.key, pair.limit, pair.perMs / 1_000).then(
      (reply) => {
        if (!flight.open) return;
        this.#open.delete(flight);
        this.#answer(pair, reply.admitted ? ADMIT : DENY, reply.waitMs);
      },
      () => this.#crash(flight),
    );
  }

  #crash(flight: Flight): void {
    if (flight.open) this.#answers.failed(this.#clock());
  }

  async #insure(pair: Pair): Promise<void> {
    const share = this.#closed ? -1 : this.#answers.share(pair.limit);
    if (share <= 0) return this.#answer(pair, share < 0 ? UNAVAILABLE : DENY, pair.perMs);
    try {
      const { msBeforeNext } = await this.#limiter(share, pair.perMs).consume(pair.key);
      this.#answer(pair, ADMIT, msBeforeNext);
    } catch (refusal) {
      this.#answer(pair, DENY, refusal instanceof RateLimiterRes ? refusal.msBeforeNext : pair.perMs);
    }
  }

  #answer(pair: Pair, verdict: number, waitMs: number): void {
    const now = this.#clock();
    pair.counted.left = 0;
    pair.counted.freeAt = now + waitMs;
    if (verdict === ADMIT) pair.waiting.logged.push(0);
    this.#answers.answered(pair.waiting, verdict, now);
  }

  #limiter(points: number, perMs: number): RateLimiterMemory {
    const name = `${points}/${perMs}`;
    let limiter = this.#insurance.get(name);
    if (limiter === undefined) {
      // Its shortest window is a second: a share of a shorter period would be exceeded otherwise.
      limiter = new RateLimiterMemory({ points, duration: Math.max(1, Math.ceil(perMs / 1_000)) });
      if (this.#insurance.size >= LIMITERS_MAX) this.#insurance.clear();
      this.#insurance.set(name, limiter);
    }
    return limiter;
  }
}
