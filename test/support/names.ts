// Loaded into a process before its own code: names that end in ".test" are looked up in a JSON file (SLUICE_TEST_NAMES)
// that a test may change, so that a name can have several addresses and lose them. How often: tests only.

import dns from "node:dns";
import { readFileSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";

type Found = (error: Error | null, addresses: dns.LookupAddress[]) => void;

const real = dns.lookup as (name: string, options: dns.LookupAllOptions, found: Found) => void;

function lookup(name: string, options: dns.LookupAllOptions, found: Found): void {
  if (!name.endsWith(".test")) return real(name, options, found);
  const names = JSON.parse(readFileSync(process.env.SLUICE_TEST_NAMES ?? "", "utf8")) as Record<string, string[]>;
  const addresses = (names[name] ?? []).map((address) => ({ address, family: 4 }));
  setImmediate(() => found(addresses.length === 0 ? new Error(`${name} has no address`) : null, addresses));
}

dns.lookup = lookup as unknown as typeof dns.lookup;
syncBuiltinESMExports();
