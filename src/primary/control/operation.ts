// `/tyk/reload…`, `/tyk/health`, `/tyk/schema`: the gateway itself.
// Responsible for the requests' forms. Must not know: what a reload does.
// Governed by: Tyk's gateway API. Runs: per request of an operator.

import type { Hono } from "hono";
import { z } from "zod";
import { definitionSchema } from "../../shared/model/definition-schema.js";
import { policySchema } from "../../shared/model/policy.js";
import { sessionSchema } from "../../shared/model/session.js";
import { json, methodNotSupported, refusal } from "./answers.js";
import type { ControlContext } from "./context.js";
import { openApiDocument } from "./open-api.js";

const GROUP_RELOAD = "GroupReload";
const OK = { status: "ok", message: "" };

export function operationRoutes(app: Hono, control: ControlContext): void {
  app.get("/tyk/reload", async ({ req }) => {
    const reloaded = control.reload();
    // Whoever does not wait reads the outcome in /hello and in the log.
    if (req.query("block") !== "true") return json(200, OK);
    const { refused, notes } = await reloaded;
    if (refused !== "") return refusal(400, `Reload refused: ${refused}`);
    return json(200, { ...OK, message: notes.join("; ") });
  });
  app.get("/tyk/reload/group", async () => {
    const { store } = await control.keyspace.open();
    await store.publish({ command: GROUP_RELOAD, payload: "" });
    return json(200, OK);
  });
  app.post("/tyk/restart", async () => {
    const problem = await control.renew();
    return problem === "" ? json(200, OK) : refusal(503, `Restart refused: ${problem}`);
  });
  app.get("/tyk/health", () => refusal(400, "Health checks are not enabled for this node"));
  app.get("/tyk/schema", () => json(200, { ...OK, schema: schemas() }));
  app.get("/tyk/openapi.json", () => json(200, openApiDocument()));
  for (const path of [
    "/tyk/reload",
    "/tyk/reload/group",
    "/tyk/restart",
    "/tyk/health",
    "/tyk/schema",
    "/tyk/openapi.json",
  ])
    app.all(path, methodNotSupported);
}

/** What may be sent, as JSON Schema. */
function schemas(): Record<"definition" | "policy" | "session", unknown> {
  const of = (schema: z.ZodType) => z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return { definition: of(definitionSchema), policy: of(policySchema), session: of(sessionSchema) };
}
