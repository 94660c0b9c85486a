// A real primary over stand-in workers. Its one argument is JSON: settings over the defaults, ports, workers.

import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { serve } from "../../../src/primary/serve.js";
import { settingsObject } from "../../../src/shared/config/schema.js";
import type { StandInOptions } from "../processes.js";

const options = JSON.parse(process.argv[2] ?? "{}") as StandInOptions;
const settings = settingsObject.parse(options.settings);
const ports = options.ports.map((port, index) => ({ port, address: "127.0.0.1", protocol: "h2c", main: index === 0 }));

// A test that was killed cannot clean up: its end closes this pipe.
process.stdin.on("end", () => process.exit(1)).resume();

await serve(
  {
    config: { settings, definitions: [], closed: [], certificates: {}, ports },
    leftOut: options.leftOut ?? [],
    version: "0.0.0",
    workers: options.workers,
    workerFile: fileURLToPath(new URL(options.workerFile ?? "worker.js", import.meta.url)),
    log: pino({ name: "primary" }, pino.destination({ fd: 1, sync: true })),
  },
  (code) => process.exit(code),
);
