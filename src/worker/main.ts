// The entry point of a worker process: the data plane under the control of the primary.
// Responsible for wiring only. Started by the primary's supervisor, never by hand. Runs: once.

import { pino } from "pino";
import { LogOutput, leave } from "../shared/log-output.js";
import { runWorker } from "./control.js";
import { createDataPlane } from "./data-plane.js";

const MOST_WAITING = 1024 * 1024;
const log = pino({ name: "worker" }, new LogOutput("", MOST_WAITING));

process.on("uncaughtException", (error) => {
  log.fatal({ err: error }, "worker ends on an error nobody caught");
  void leave(1);
});

runWorker(createDataPlane, log, (code) => void leave(code));
