/**
 * Lists of addresses and ranges as an operator writes them, made into tests of an address.
 * Must not know: APIs, whose address it is. Governed by: Tyk's IP lists.
 * Runs: compiled once per definition (judged so in the primary, kept in workers), asked once per distinct peer and field.
 */

import { BlockList, isIP, isIPv4 } from "node:net";

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
