// The entry point of a worker process: the data plane under the control of the primary.
// Responsible for wiring only. Started by the primary's supervisor, never by hand. Runs: once.

import { pino } from "pino";
import { runWorker } from "./control.js";
import { createDataPlane } from "./data-plane.js";

const output = pino.destination({ fd: 1, sync: false });
const log = pino({ name: "worker" }, output);

function exit(code: number): void {
  // Without a primary nobody may read what is written here, and flushing would wait for somebody for ever.
  try {
    if (process.connected) output.flushSync();
  } catch {
    // The stream had not opened yet or its reader is gone: there is nobody to tell.
  }
  process.exit(code);
}

process.on("uncaughtException", (error) => {
  log.fatal({ err: error }, "worker ends on an error nobody caught");
  exit(1);
});

runWorker(createDataPlane, log, exit);
