/**
 * Comparing secrets without telling by the time how much of them was right.
 * Runs: per check of a credential that is not remembered yet.
 */

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

const salt = randomBytes(32);

/** Both sides are hashed with a salt of this process first, so that neither length nor content shows in the time. */
export function equalSecrets(given: string, right: string): boolean {
  return timingSafeEqual(digest(given), digest(right));
}

function digest(text: string): Buffer {
  return createHmac("sha256", salt).update(text).digest();
}
