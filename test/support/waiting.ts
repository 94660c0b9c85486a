// Responsible for: waiting until something outside of the test's process is so. The bound passes only when a test fails.
// Must not know: what is waited for. How often: tests only.

import { readFileSync } from "node:fs";

const PATIENCE_MS = 60_000;
const PAUSE_MS = 10;

export async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  throw new Error(`waited in vain until ${what}`);
}

/** False for a process that has ended and that nobody has collected yet. */
export function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !/^\s[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 1));
  } catch {
    return false;
  }
}

export const gone = (pids: readonly number[]): Promise<void> =>
  until(`the processes ${pids} are gone`, () => !pids.some(isRunning));

/** Open connections that were accepted at a port of 127.0.0.1. */
export function connectionsAt(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  return rows.filter((row) => row[1]?.endsWith(local) && row[3] === "01").length;
}
