/**
 * The values of `X-RateLimit-Limit`, `-Remaining` and `-Reset` for a call that a set has just decided.
 * Must not know: how headers are written. Governed by: Tyk's `rate_limit_response_headers` (`quotas` or `rate_limits`).
 * Runs: once per call that was let in.
 */

import type { Counted, LimitSet, RateHeaders } from "./set.js";

export type { RateHeaders };

export const noRates = (): RateHeaders => ({ limit: 0, remaining: 0, reset: 0 });

/** Into `out`, which the caller keeps. `offset` is the engine's: the store's clock minus the worker's. */
export function readHeaders(
  set: LimitSet,
  quotas: boolean,
  now: number,
  offset: number,
  out: RateHeaders,
): RateHeaders {
  out.limit = 0;
  out.remaining = 0;
  out.reset = 0;
  if (!quotas && set.counted.length > 0) fromCounted(set.counted[0]!, offset, out);
  else set.read(quotas, now + offset, out);
  return out;
}

function fromCounted(counted: Counted, offset: number, out: RateHeaders): void {
  out.limit = counted.limit;
  out.remaining = counted.left;
  out.reset = Math.ceil((counted.freeAt + offset) / 1_000);
}
