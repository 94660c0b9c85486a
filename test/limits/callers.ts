/** Calls as the gate makes them: take, wait when told to, remember the verdict. */

import { WAIT } from "../../src/worker/admit/limits/limit.js";
import type { LimitSet } from "../../src/worker/admit/limits/set.js";

export function call(set: LimitSet, now: number): Promise<number> {
  const verdict = set.take(now);
  if (verdict !== WAIT) return Promise.resolve(verdict);
  return new Promise((resolve) => set.wait({ decided: resolve }, now));
}
