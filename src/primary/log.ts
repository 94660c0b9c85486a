// The primary's log: JSON lines on standard output, one instance per process.
// Responsible for the stream. Must not know: what is logged, how a process leaves (shared/log-output.ts). Runs: per line.

import { type Logger, pino } from "pino";
import { LogOutput, leave } from "../shared/log-output.js";

const MOST_WAITING = 1024 * 1024;

export const log: Logger = pino({ name: "primary" }, new LogOutput("", MOST_WAITING));

/** Leaves when what still waits is written, where somebody reads it. */
export function exit(code: number): void {
  void leave(code);
}
