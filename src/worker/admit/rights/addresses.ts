/**
 * Whose word is believed about a caller's address.
 * Must not know: APIs, lists. Governed by: unlike Tyk `X-Real-IP` and `X-Forwarded-For` are believed only from
 * peers in `trusted_proxies`, which is empty by default.
 * Runs: once per distinct peer and field.
 */

import { isIP } from "node:net";
import { type AddressList, plainAddress } from "../../../shared/model/address-list.js";
import type { FieldAccess } from "../credentials/fields.js";

/**
 * The caller's address: the peer's, or what a trusted peer says. `depth` counts the hops of X-Forwarded-For from the right.
 * Without a depth it is the last hop that is no trusted proxy: Tyk takes the first one, which any caller can write, and
 * `X-Real-IP` before both, which a proxy that only appends to X-Forwarded-For passes on as the caller wrote it.
 */
export function callerAddress(peer: string, trusted: AddressList, get: FieldAccess, depth: number): string {
  const itself = plainAddress(peer);
  if (trusted.size === 0 || !trusted.has(peer)) return itself;
  const hops = (get("x-forwarded-for") ?? "")
    .split(",")
    .map((hop) => plainAddress(hop.trim()))
    .filter((hop) => hop !== "");
  if (hops.length === 0) {
    const real = plainAddress((get("x-real-ip") ?? "").trim());
    return isIP(real) === 0 ? itself : real;
  }
  const said = depth > 0 ? hops[Math.max(0, hops.length - depth)] : hops.findLast((hop) => !trusted.has(hop));
  // A hop that is no address says nothing; the peer is at least true.
  return said === undefined || isIP(said) === 0 ? itself : said;
}
