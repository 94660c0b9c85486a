// Which addresses count as one caller: an IPv4 address, or the 64 bits of an IPv6 network, within which a host chooses its
// own. Must not know: what is counted. Runs: per connection, and per credential that nobody remembers.

const NETWORK_GROUPS = 4;

/** The address itself, or the first 64 bits of one of IPv6 as far as they are written out. */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  // Zeros that are left out belong to the network where fewer than four groups stand before them.
  const missing = tail === undefined ? 0 : 8 - groups.length - (tail === "" ? 0 : tail.split(":").length);
  const all = [...groups, ...Array<string>(Math.max(0, missing)).fill("0"), ...(tail ?? "").split(":")];
  return all.slice(0, NETWORK_GROUPS).join(":");
}
