// When a worker that died is started again.
// Responsible for the arithmetic only: time is given. Must not know: processes, timers. Runs: once per death.

const FIRST_MS = 100;
const LONGEST_MS = 10_000;
/** A worker that lived this long has shown that it can: its next death counts as the first. */
export const PROVEN_MS = 10_000;

export class BackOff {
  #deaths = 0;
  #startedAt = 0;

  /** Deaths in a row, none of them after a proven life. */
  get deaths(): number {
    return this.#deaths;
  }

  started(nowMs: number): void {
    this.#startedAt = nowMs;
  }

  /** Milliseconds to wait: nothing the first time (back within a second), then 100, 200, 400 … up to 10 s. */
  died(nowMs: number): number {
    if (nowMs - this.#startedAt >= PROVEN_MS) this.#deaths = 0;
    const delay = this.#deaths === 0 ? 0 : Math.min(LONGEST_MS, FIRST_MS * 2 ** (this.#deaths - 1));
    this.#deaths += 1;
    return delay;
  }
}
