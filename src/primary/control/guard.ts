// Who may use the control API: whoever knows the secret.
// Responsible for comparing, for counting what was wrong, for staying closed without a secret of the operator's own.
// Must not know: resources. Governed by: Tyk's `X-Tyk-Authorization` and its refusal. Runs: per request.

import { isIPv6 } from "node:net";
import type { MiddlewareHandler } from "hono";
import { RateLimiterMemory } from "rate-limiter-flexible";
import { closedBecause } from "../../shared/config/gate-settings.js";
import { equalSecrets } from "../../shared/keys/secret.js";
import { refusal } from "./answers.js";

const REFUSED = "Attempted administrative access with invalid or missing key!";
/**
 * A person mistypes a few times; beyond that wrong secrets are told to wait. The right one is heard all the same: behind one
 * address there may be a scraper that knows it beside a script that does not. What stops guesses is the secret's length.
 */
const WRONG_PER_WINDOW = 10;
const WINDOW_S = 60;
/** Addresses that are counted one by one; the rest share one count, so that no number of them costs memory. */
const MOST_ADDRESSES = 10_000;

/** Who asked, as the server saw it. */
export interface PeerBindings {
  readonly peer?: string | undefined;
}

export function guard(secret: () => string): MiddlewareHandler {
  const wrong = new RateLimiterMemory({ points: WRONG_PER_WINDOW, duration: WINDOW_S });
  const counted = new Map<string, number>();
  return async (context, next) => {
    const right = secret();
    if (closedBecause(right) !== "") return refusal(403, REFUSED);
    if (equalSecrets(context.req.header("x-tyk-authorization") ?? "", right)) return next();
    const peer = placeOf((context.env as PeerBindings | undefined)?.peer ?? "");
    const known = counted.size < MOST_ADDRESSES || counted.has(peer) ? peer : "others";
    const before = await wrong.get(known);
    if (before !== null && before.consumedPoints >= WRONG_PER_WINDOW) {
      const seconds = Math.max(1, Math.ceil(before.msBeforeNext / 1_000));
      return refusal(429, "Too many attempts with a wrong key", { "retry-after": String(seconds) });
    }
    forget(counted);
    counted.set(known, performance.now() + WINDOW_S * 1_000);
    await wrong.penalty(known);
    return refusal(403, REFUSED);
  };
}

/** In the order of their first wrong try, so the old ones are in front. */
function forget(counted: Map<string, number>): void {
  const now = performance.now();
  for (const [peer, until] of counted) {
    if (until > now) return;
    counted.delete(peer);
  }
}

/** One subscriber of IPv6 has a whole /64. */
function placeOf(address: string): string {
  if (!isIPv6(address) || address.startsWith("::ffff:")) return address;
  const [head = "", tail = ""] = address.split("::");
  const front = head.split(":").filter(Boolean);
  const back = tail.split(":").filter(Boolean);
  const missing = Math.max(0, 8 - front.length - back.length);
  return [...front, ...Array<string>(missing).fill("0"), ...back].slice(0, 4).join(":");
}
