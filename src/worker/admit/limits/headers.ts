/**
 * The values of `X-RateLimit-Limit`, `-Remaining` and `-Reset` for a call that a set has just decided.
 * Must not know: how headers are written. Governed by: Tyk's `rate_limit_response_headers` (`quotas` or `rate_limits`).
 * Runs: once per call that was let in.
 */

import { type Limit, QUOTA } from "./limit.js";
import type { Counted, LimitSet } from "./set.js";

export interface RateHeaders {
  limit: number;
  remaining: number;
  /** Unix seconds; 0: never, or no limit. */
  reset: number;
}

/**
 * Into `out`, which the caller keeps. `offset` is the engine's: the store's clock minus the worker's.
 * `remaining` is what was left at the last answer of the store plus what this worker holds: other workers' uses since
 * then are not in it.
 */
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
  if (!quotas && set.counted.length > 0) {
    fromCounted(set.counted[0]!, offset, out);
    return out;
  }
  const { leases } = set;
  for (let i = 0; i < leases.length; i++) {
    const lease = leases[i]!;
    if ((lease.kind === QUOTA) !== quotas) continue;
    fromLease(lease, now + offset, out);
    break;
  }
  return out;
}

function fromLease(lease: Limit, storeNow: number, out: RateHeaders): void {
  const goes = lease.end === 0 || lease.end > storeNow;
  out.limit = lease.limit;
  out.remaining = goes ? Math.max(0, lease.left + lease.units) : lease.limit;
  out.reset = Math.ceil(lease.end / 1_000);
}

function fromCounted(counted: Counted, offset: number, out: RateHeaders): void {
  out.limit = counted.limit;
  out.remaining = counted.left;
  out.reset = Math.ceil((counted.freeAt + offset) / 1_000);
}
