// `GET /tyk/debug/connections`: live connections of all workers, and why their streams wait.
// Responsible for the request's form. Must not know: workers' insides. The secret is asked for as on all of /tyk.
// Governed by our own contract (shared/observe/inspection.ts). Runs: per request of an operator.

import type { Hono } from "hono";
import { MOST_SHOWN } from "../../shared/observe/inspection.js";
import { json, methodNotSupported, refusal } from "./answers.js";
import type { ControlContext } from "./context.js";

const PATH = "/tyk/debug/connections";
const USUAL = 100;

export function debugRoutes(app: Hono, control: ControlContext): void {
  app.get(PATH, async ({ req }) => {
    const most = Number(req.query("limit") ?? USUAL);
    if (!Number.isInteger(most) || most < 1 || most > MOST_SHOWN)
      return refusal(400, `limit must be a whole number from 1 to ${MOST_SHOWN}`);
    const workers = await control.inspect({ most, address: req.query("address") ?? "", api: req.query("api") ?? "" });
    return json(200, { workers });
  });
  app.all(PATH, methodNotSupported);
}
