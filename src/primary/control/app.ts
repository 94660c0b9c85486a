// The control port's routes.
// Responsible for mapping paths to answers. Must not know: sockets, HTTP versions, processes, what a resource does.
// Governed by: Tyk's gateway API (`/hello`, `/ready`, `/tyk/...`). Runs: per request of an operator or a probe.

import { Hono } from "hono";
import { TOO_LARGE } from "../../shared/control-body.js";
import type { HealthAnswer } from "../../shared/messages.js";
import { StoreDown } from "../../shared/store/store.js";
import { BodyTooLarge, methodNotSupported, refusal, text } from "./answers.js";
import { apiRoutes } from "./apis.js";
import { cacheRoutes } from "./caches.js";
import { certificateRoutes } from "./certificates.js";
import type { ControlContext } from "./context.js";
import { debugRoutes } from "./debug.js";
import { explainRoutes } from "./explain.js";
import { guard } from "./guard.js";
import { KeyDesk } from "./key-desk.js";
import { keyListRoutes } from "./key-list.js";
import { keyRoutes } from "./keys.js";
import { metricsRoutes } from "./metrics.js";
import { operationRoutes } from "./operation.js";
import { organisationRoutes } from "./organisations.js";
import { policyRoutes } from "./policies.js";

export function controlApp(control: ControlContext): Hono {
  const app = new Hono({ strict: false });
  const guarded = guard(() => control.settings().secret);
  app.use("/tyk/*", guarded);
  const desk = new KeyDesk(control);
  keyListRoutes(app, desk);
  keyRoutes(app, desk);
  organisationRoutes(app, control);
  policyRoutes(app, control);
  apiRoutes(app, control);
  cacheRoutes(app, control);
  certificateRoutes(app, control);
  operationRoutes(app, control);
  explainRoutes(app, control);
  debugRoutes(app, control);
  metricsRoutes(app, control, guarded);
  // Last, and looked up per request: a reload may rename them.
  app.all("*", ({ req }) => health(req.method, req.path, control) ?? refusal(404, "Not found"));
  app.onError((error) => {
    if (error instanceof BodyTooLarge) return refusal(413, TOO_LARGE);
    if (error instanceof StoreDown) return refusal(503, "The store cannot be reached");
    control.log.error({ err: error }, "a request to the control API failed");
    return refusal(500, "Internal error");
  });
  return app;
}

function health(method: string, path: string, control: ControlContext): Response | undefined {
  const { health_check_endpoint_name: hello, readiness_check_endpoint_name: ready } = control.settings();
  const name = path.replace(/^\/|\/$/g, "");
  if (name !== hello && name !== ready) return undefined;
  if (method !== "GET") return methodNotSupported();
  const state = control.health();
  const answer: HealthAnswer = name === hello ? state.hello : state.ready;
  return text(answer.status, answer.body);
}
