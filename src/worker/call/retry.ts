// What may be tried again, how soon, and how often at most: the budget is what keeps retries from making a bad day worse.
// Governed by: the gRPC proposal on retries (A6) without hedging; our setting `sluice.retry`. Must not know: streams.
// One per API or method and worker; `count` runs once per call that has one, the rest once per failed attempt.

import type { RetrySettings } from "../../shared/model/call-settings.js";

const SECONDS = 10;
/** A service that wants to be left alone for longer is told on to the caller instead. */
const LONGEST_PUSHBACK = 60_000;

/** No pushback was sent. */
export const NO_PUSHBACK = -1;
/** Never again, whatever the policy says: a negative value, or one that cannot be read. */
export const NEVER = -2;

/** Milliseconds, NO_PUSHBACK or NEVER. */
export function readPushback(value: string | null): number {
  if (value === null) return NO_PUSHBACK;
  return /^\d{1,9}$/.test(value) ? Number(value) : NEVER;
}

export class Retry {
  readonly maxAttempts: number;
  private readonly settings: RetrySettings;
  private readonly statuses: number;
  private readonly calls = new Int32Array(SECONDS);
  private readonly retries = new Int32Array(SECONDS);
  private second = 0;

  constructor(settings: RetrySettings) {
    this.settings = settings;
    this.maxAttempts = settings.maxAttempts;
    let statuses = 0;
    for (const status of settings.statuses) statuses |= 1 << status;
    this.statuses = statuses;
  }

  /** A call began, for the first time. */
  count(now: number): void {
    this.calls[this.turn(now)]!++;
  }

  covers(status: number): boolean {
    return ((this.statuses >> status) & 1) === 1;
  }

  /** How long to wait before attempt `attempts` + 1, ms; -1 when it must not be. */
  delay(attempts: number, pushback: number): number {
    if (pushback !== NO_PUSHBACK) return pushback > LONGEST_PUSHBACK || pushback < 0 ? -1 : pushback;
    const { backoffMs, backoffMaxMs } = this.settings;
    // Anywhere below the bound: callers that failed together do not come back together.
    return Math.round(Math.random() * Math.min(backoffMaxMs, backoffMs * 2 ** (attempts - 1)));
  }

  /** One retry out of the budget. @returns false when there is none left */
  take(now: number): boolean {
    const slot = this.turn(now);
    let calls = 0;
    let retries = 0;
    for (let i = 0; i < SECONDS; i++) {
      calls += this.calls[i]!;
      retries += this.retries[i]!;
    }
    if (retries + 1 > calls * this.settings.budgetShare + this.settings.budgetMin * SECONDS) return false;
    this.retries[slot]!++;
    return true;
  }

  private turn(now: number): number {
    const second = Math.floor(now / 1_000);
    for (let old = Math.max(this.second + 1, second - SECONDS + 1); old <= second; old++) {
      this.calls[old % SECONDS] = 0;
      this.retries[old % SECONDS] = 0;
    }
    this.second = second;
    return second % SECONDS;
  }
}
