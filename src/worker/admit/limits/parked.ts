/**
 * Throttled calls: each waits for its interval and then tries again, as often as its key allows.
 * Must not know: limits, verdicts. Governed by: Tyk's `throttle_interval` and `throttle_retry_limit`. Runs: once per tick.
 */

import type { Waiting } from "./waiting.js";

export class Parked {
  #waiting: Waiting[] = [];

  park(waiting: Waiting, now: number): void {
    waiting.tries -= 1;
    waiting.due = now + waiting.set.throttle.intervalMs;
    this.#waiting.push(waiting);
  }

  /** Those whose interval is over, or whose call is gone, are parked no more. */
  due(now: number): readonly Waiting[] {
    if (this.#waiting.length === 0) return this.#waiting;
    const isDue = (waiting: Waiting): boolean => waiting.due <= now || waiting.cancelled;
    const due = this.#waiting.filter(isDue);
    if (due.length > 0) this.#waiting = this.#waiting.filter((waiting) => !isDue(waiting));
    return due;
  }

  /** All of them, parked no more. */
  empty(): Waiting[] {
    return this.#waiting.splice(0);
  }
}
