// A TLS thread that dies when it is told of ticket keys of a generation that no test has otherwise.

import { parentPort } from "node:worker_threads";
import "../../src/worker/tls/thread.js";
import { DEADLY_GENERATION } from "./harness.js";

parentPort?.on("message", (message: { keys?: { generation?: number } }) => {
  if (message.keys?.generation === DEADLY_GENERATION) process.exit(3);
});
