// The control port's routes.
// Responsible for mapping paths to answers. Must not know: sockets, HTTP versions, processes.
// Governed by: Tyk's gateway API (`/hello`, `/ready`, `/tyk/...`). Runs: per request of an operator or a probe.

import { Hono } from "hono";
import type { HealthAnswer, HealthState } from "../../shared/messages.js";

export interface ControlContext {
  readonly health: () => HealthState;
  /** Path names without their slash: `health_check_endpoint_name`, `readiness_check_endpoint_name`. */
  readonly helloName: string;
  readonly readyName: string;
}

export function controlApp(context: ControlContext): Hono {
  const app = new Hono({ strict: false });
  app.all(`/${context.helloName}`, ({ req }) => healthAnswer(req.method, context.health().hello));
  app.all(`/${context.readyName}`, ({ req }) => healthAnswer(req.method, context.health().ready));
  // No key can be right as long as nothing checks one: everything below is closed.
  app.all("/tyk/*", () => refusal(403, "Attempted administrative access with invalid or missing key!"));
  app.notFound(() => refusal(404, "Not found"));
  app.onError(() => refusal(500, "Internal error"));
  return app;
}

function healthAnswer(method: string, answer: HealthAnswer): Response {
  if (method !== "GET") return refusal(405, "Method not supported");
  return json(answer.status, answer.body);
}

function refusal(status: number, message: string): Response {
  return json(status, JSON.stringify({ status: "error", message }));
}

function json(status: number, body: string): Response {
  return new Response(body, { status, headers: { "content-type": "application/json" } });
}
