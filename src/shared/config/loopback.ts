// Whether an address to bind is one that only this host reaches. Must not know: sockets. Runs: per scrape.

import { isIPv4 } from "node:net";

export function isLoopback(address: string): boolean {
  const plain = address.startsWith("::ffff:") ? address.slice(7) : address;
  return plain === "::1" || (isIPv4(plain) && plain.startsWith("127.")) || plain.toLowerCase() === "localhost";
}
