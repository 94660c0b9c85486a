// `/metrics`: for whoever scrapes. Responsible for who may: everybody where the operator says so or the control port is bound
// to a loopback address, otherwise whoever knows the secret. `/tyk/metrics` is the same, always with the secret, and is
// also there when the control API is on the main port. Must not know: what is told. Runs: per scrape.

import type { Hono, MiddlewareHandler } from "hono";
import { isLoopback } from "../../shared/config/loopback.js";
import type { Settings } from "../../shared/config.js";
import { CONTENT_TYPE } from "../metrics/text.js";
import { methodNotSupported, refusal, text } from "./answers.js";
import type { ControlContext } from "./context.js";

export function metricsRoutes(app: Hono, control: ControlContext, guarded: MiddlewareHandler): void {
  app.use("/metrics", (context, next) => (isOpen(control.settings()) ? next() : guarded(context, next)));
  for (const path of ["/metrics", "/tyk/metrics"]) {
    app.get(path, async () => {
      const shown = await control.metrics();
      if (shown === undefined) return refusal(404, "Metrics are not enabled: metrics.enabled");
      return text(200, shown, { "content-type": CONTENT_TYPE });
    });
    app.all(path, methodNotSupported);
  }
}

function isOpen(settings: Settings): boolean {
  const { control_api_port, control_api_address, listen_address, metrics_public } = settings;
  if (control_api_port === 0) return false;
  return metrics_public || isLoopback(control_api_address || listen_address);
}
