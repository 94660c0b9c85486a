// The life of a primary process: starts a gateway, listens to signals, leaves with the right exit code.
// Responsible for the process around the gateway. Must not know: command lines, files. Runs: once.

import { Gateway, type GatewayOptions } from "./gateway.js";
import { Shutdown } from "./shutdown.js";

/** Resolves when calls are served; from then on signals decide. `exit` flushes what must be flushed and leaves. */
export async function serve(options: GatewayOptions, exit: (code: number) => void): Promise<void> {
  const { settings } = options.config;
  const gateway = new Gateway(options);
  const times = () => {
    const { graceful_shutdown_delay_seconds: delay, graceful_shutdown_timeout_duration: timeout } = gateway.settings;
    return { delayMs: delay * 1_000, timeoutMs: timeout * 1_000 };
  };
  const shutdown = new Shutdown(gateway, times, options.log, () => {
    options.log.info("ended");
    exit(0);
  });
  process.on("SIGTERM", () => shutdown.signal("SIGTERM"));
  process.on("SIGINT", () => shutdown.signal("SIGINT"));
  // Whoever started this process over a channel, as `npm start` does, may be killed and never send a signal.
  process.on("disconnect", () => shutdown.signal("disconnect"));
  // Undefined without a channel; false when it was cut while this program was still being read.
  if (process.connected === false) shutdown.signal("disconnect");
  // The outcome is on the log and in /hello.
  process.on("SIGHUP", () => {
    options.log.info("SIGHUP: settings, definitions and policies are read again");
    void gateway.reload();
  });
  process.on("SIGUSR2", () => void gateway.renew());
  try {
    await gateway.start();
  } catch (error) {
    // For the person who starts it, like the problems of settings: a sentence, not a line of JSON.
    process.stderr.write(`sluice: ${error instanceof Error ? error.message : String(error)}\n`);
    exit(1);
    return;
  }
  options.log.info({ workers: options.workers, accept: settings.accept }, "gateway serves");
  process.send?.("serves");
}
