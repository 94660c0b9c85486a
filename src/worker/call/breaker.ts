// One circuit breaker: when too large a share of a path's calls fail, the service is left alone for a while. Counts over
// ten seconds that slide by one. Governed by Tyk's circuit_breakers (spec 2.3); what counts as failed is in call-end.ts.
// Must not know: calls, clocks. One per entry and worker; runs twice per call of a path that has one.

import type { BreakerEntry } from "../../shared/model/call-settings.js";
import { Blame } from "./call-end.js";

const SECONDS = 10;

const State = { CLOSED: 0, OPEN: 1, HALF_OPEN: 2 } as const;

/** What `admit` says when the call must not go on. */
export const REFUSED = -1;

export class Breaker {
  readonly entry: BreakerEntry;
  /** A bit for each gRPC status that counts as failed. */
  readonly faulty: number;
  private readonly good = new Int32Array(SECONDS);
  private readonly bad = new Int32Array(SECONDS);
  private second = 0;
  private state: number = State.CLOSED;
  /** When it half-opens; while half-open, when the trial call is given up and the next is let through. */
  private until = 0;
  /** Raised with every change: what a call of before shows no longer counts. */
  private epoch = 1;
  private readonly changed: (open: boolean, breaker: Breaker) => void;

  constructor(entry: BreakerEntry, changed: (open: boolean, breaker: Breaker) => void) {
    this.entry = entry;
    this.faulty = entry.statuses.reduce((bits, status) => bits | (1 << status), 0);
    this.changed = changed;
  }

  get isOpen(): boolean {
    return this.state !== State.CLOSED;
  }

  /** @returns a ticket for `settle`, or REFUSED */
  admit(now: number): number {
    if (this.state === State.CLOSED) return this.epoch;
    if (now < this.until) return REFUSED;
    if (!this.entry.halfOpen) {
      this.close(now);
      return this.epoch;
    }
    this.state = State.HALF_OPEN;
    this.epoch++;
    this.until = now + this.entry.returnMs;
    return this.epoch;
  }

  /** How a call ended that was let in with this ticket. */
  settle(ticket: number, blame: number, now: number): void {
    if (ticket !== this.epoch) return;
    if (this.state === State.HALF_OPEN) {
      if (blame === Blame.GOOD) this.close(now);
      else {
        this.state = State.OPEN;
        this.epoch++;
        // A trial that showed nothing makes room for the next.
        this.until = blame === Blame.BAD ? now + this.entry.returnMs : now;
      }
      return;
    }
    if (blame === Blame.NONE) return;
    const slot = this.turn(now);
    if (blame === Blame.GOOD) this.good[slot]!++;
    else {
      this.bad[slot]!++;
      this.judge(now);
    }
  }

  private judge(now: number): void {
    let good = 0;
    let bad = 0;
    for (let i = 0; i < SECONDS; i++) {
      good += this.good[i]!;
      bad += this.bad[i]!;
    }
    const { samples, threshold, returnMs } = this.entry;
    if (good + bad < samples || bad < threshold * (good + bad)) return;
    this.state = State.OPEN;
    this.epoch++;
    this.until = now + returnMs;
    this.changed(true, this);
  }

  private close(now: number): void {
    this.state = State.CLOSED;
    this.epoch++;
    this.good.fill(0);
    this.bad.fill(0);
    this.second = Math.floor(now / 1_000);
    this.changed(false, this);
  }

  /** Empties the seconds that have slid out. @returns the slot of this one */
  private turn(now: number): number {
    const second = Math.floor(now / 1_000);
    for (let old = Math.max(this.second + 1, second - SECONDS + 1); old <= second; old++) {
      this.good[old % SECONDS] = 0;
      this.bad[old % SECONDS] = 0;
    }
    this.second = second;
    return second % SECONDS;
  }
}
