// The example's secret: made at the first start, kept beside the example's data, never committed.
// Responsible for a file that only its owner can read. Must not know: who uses it. Runs: once per start.

import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const OWNER_ONLY = 0o600;

/** The secret in `folder/secret`; one is made where there is none. */
export function secretIn(folder: string): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "secret");
  try {
    writeFileSync(file, `${randomBytes(24).toString("base64url")}\n`, { mode: OWNER_ONLY, flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    chmodSync(file, OWNER_ONLY);
  }
  return readFileSync(file, "utf8").trim();
}
