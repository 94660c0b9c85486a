/**
 * A mode for tests: every admission is written down with the window it was counted in, so that an onlooker can count them.
 * Must not know: sessions, callers. Governed by: issue "The gate", acceptance: no window holds more than its limit.
 * Runs: never, unless `SLUICE_ADMISSION_STAMPS` names a folder; then once per admitted call and limit, at once, so that nothing
 * is missing when the worker is killed. Not for service: it is a write to a file per call, and the file grows.
 *
 * A line is the end of the window in milliseconds of the store's clock (0: never ends), or for exact limits the microsecond
 * that was logged, then a space and the counter's name.
 */

import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { ADMIT, type Limit } from "./limit.js";
import { type Counted, LimitSet, type Queue, type Throttle } from "./set.js";
import type { Waiting } from "./waiting.js";

export const STAMPS_VARIABLE = "SLUICE_ADMISSION_STAMPS";
/** Enough for every test; nobody's disk is filled by a forgotten variable. */
const LINES_MAX = 5_000_000;

export class Stamps {
  readonly #file: number;
  #lines = 0;

  constructor(folder: string, worker: string) {
    this.#file = openSync(join(folder, `${worker}.stamps`), "a", 0o600);
  }

  write(at: number, key: string): void {
    this.#lines += 1;
    if (this.#lines <= LINES_MAX) writeSync(this.#file, `${at} ${key}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}

export class StampedSet extends LimitSet {
  readonly #stamps: Stamps;

  constructor(leases: Limit[], counted: readonly Counted[], throttle: Throttle, queue: Queue, stamps: Stamps) {
    super(leases, counted, throttle, queue);
    this.#stamps = stamps;
  }

  override take(now: number): number {
    const verdict = super.take(now);
    if (verdict === ADMIT) this.admitted(undefined);
    return verdict;
  }

  override admitted(waiting: Waiting | undefined): void {
    for (const lease of this.leases) this.#stamps.write(lease.end, lease.key);
    for (const [index, { key }] of this.counted.entries()) this.#stamps.write(waiting?.logged[index] ?? 0, key);
  }
}
