// Responsible for: waiting until something outside of the test's process is so. The bound passes only when a test fails.
// Must not know: what is waited for. How often: tests only.

import { readFileSync } from "node:fs";

const PATIENCE_MS = 15_000;
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
