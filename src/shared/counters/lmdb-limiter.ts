/**
 * A store of rate-limiter-flexible on lmdb: the fixed windows of one host.
 * Must not know: what is counted. Governed by: the store methods that the library documents for subclasses.
 * Runs: once per call of a fixed-window limit.
 */

import type { Database } from "lmdb";
import { RateLimiterRedis, RateLimiterRes, type RateLimiterStoreAbstract } from "rate-limiter-flexible";

/** `[calls, end of the window in ms]` */
type Window = [number, number];

/** The library declares its store class but does not export it: it is what its Redis limiter is made of. */
const StoreLimiter = Object.getPrototypeOf(RateLimiterRedis) as typeof RateLimiterStoreAbstract;

export class LmdbLimiter extends StoreLimiter {
  readonly #windows: Database<Window, string>;

  constructor(windows: Database<Window, string>, options: { keyPrefix: string; points: number; duration: number }) {
    super({ ...options, storeClient: windows });
    this.#windows = windows;
  }

  async _upsert(key: string, points: number, lengthMs: number, replace = false): Promise<Window> {
    return this.#windows.transactionSync(() => {
      const now = Date.now();
      const found = this.#windows.get(key);
      const goes = !replace && found !== undefined && found[1] > now;
      const next: Window = goes ? [found[0] + points, found[1]] : [points, now + lengthMs];
      this.#windows.put(key, next);
      return next;
    });
  }

  async _get(key: string): Promise<Window | null> {
    const found = this.#windows.get(key);
    return found !== undefined && found[1] > Date.now() ? found : null;
  }

  async _delete(key: string): Promise<boolean> {
    return this.#windows.remove(key);
  }

  _getRateLimiterRes(_key: string, changed: number, [calls, end]: Window): RateLimiterRes {
    return new RateLimiterRes(Math.max(this.points - calls, 0), end - Date.now(), calls, calls === changed);
  }
}
