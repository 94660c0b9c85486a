/**
 * Lists of addresses and whose word is believed about the caller's.
 * Must not know: APIs. Governed by: Tyk's IP lists; unlike Tyk `X-Real-IP` and `X-Forwarded-For` are believed only from
 * peers in `trusted_proxies`, which is empty by default.
 * Runs: compiled once per definition, asked once per distinct peer and field.
 */

import { BlockList, isIP, isIPv4 } from "node:net";
import type { FieldAccess } from "../credentials/fields.js";

export interface AddressList {
  readonly size: number;
  readonly problems: readonly string[];
  has(address: string): boolean;
}

export function compileAddresses(entries: readonly string[] | null | undefined): AddressList {
  const list = new BlockList();
  const problems: string[] = [];
  for (const entry of entries ?? []) {
    if (!add(list, entry.trim())) problems.push(`"${entry}" is neither an IP address nor a CIDR range`);
  }
  return {
    size: entries?.length ?? 0,
    problems,
    has: (address) => {
      const plain = plainAddress(address);
      const kind = isIP(plain);
      return kind !== 0 && list.check(plain, kind === 4 ? "ipv4" : "ipv6");
    },
  };
}

function add(list: BlockList, entry: string): boolean {
  const slash = entry.indexOf("/");
  const address = plainAddress(slash === -1 ? entry : entry.slice(0, slash));
  const kind = isIP(address);
  if (kind === 0) return false;
  const family = kind === 4 ? "ipv4" : "ipv6";
  if (slash === -1) {
    list.addAddress(address, family);
    return true;
  }
  const digits = entry.slice(slash + 1);
  const bits = Number(digits);
  // `::ffff:10.0.0.0/104` speaks of an IPv4 address in the longer form.
  const shown = isIPv4(address) && entry.includes(":") ? bits - 96 : bits;
  if (!/^\d{1,3}$/.test(digits) || shown < 0 || shown > (kind === 4 ? 32 : 128)) return false;
  list.addSubnet(address, shown, family);
  return true;
}

/** An IPv4 address in IPv6 clothes is compared as IPv4; a zone and brackets do not matter. */
export function plainAddress(address: string): string {
  let plain = address.startsWith("[") && address.endsWith("]") ? address.slice(1, -1) : address;
  const zone = plain.indexOf("%");
  if (zone !== -1) plain = plain.slice(0, zone);
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain);
  return mapped?.[1] ?? plain;
}

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
