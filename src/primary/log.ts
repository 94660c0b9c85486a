// The primary's log: JSON lines on standard output, one instance per process.
// Responsible for the stream and for losing nothing at exit. Must not know: what is logged. Runs: per line.

import { type Logger, pino } from "pino";

const output = pino.destination({ fd: 1, sync: false });

export const log: Logger = pino({ name: "primary" }, output);

/** Writes what still waits, then leaves. */
export function exit(code: number): never {
  try {
    output.flushSync();
  } catch {
    // The stream had not opened yet or its reader is gone: there is nobody to tell.
  }
  process.exit(code);
}
