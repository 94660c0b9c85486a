// `/tyk/cache/…`: what is remembered on behalf of APIs and can be thrown away.
// Responsible for the requests' forms. Must not know: who remembers what.
// Governed by: Tyk's gateway API, caches. Runs: per request of an operator.

import type { Hono } from "hono";
import { TOKEN_KEYS_CHANGED } from "../../shared/store/store.js";
import { json, methodNotSupported, refusal } from "./answers.js";
import type { ControlContext } from "./context.js";

export function cacheRoutes(app: Hono, control: ControlContext): void {
  const isLoaded = (id: string): boolean => control.definitions().some((api) => api.api_id === id);
  const forget = async (api: string): Promise<Response> => {
    const applied = await control.keyspace.announce({ command: TOKEN_KEYS_CHANGED, payload: api });
    return json(200, { status: "ok", message: "cache invalidated" }, applied ? {} : { "x-sluice-applied": "pending" });
  };
  app.delete("/tyk/cache/jwks", () => forget(""));
  app.delete("/tyk/cache/jwks/:id", ({ req }) => {
    const id = req.param("id");
    return isLoaded(id) ? forget(id) : refusal(404, "API not found");
  });
  app.delete("/tyk/cache/:id", ({ req }) => {
    // Answers of gRPC services are not cached, so there is never more to do than to say so.
    const known = isLoaded(req.param("id"));
    return known ? json(200, { status: "ok", message: "nothing is cached" }) : refusal(404, "API not found");
  });
  for (const path of ["/tyk/cache/jwks", "/tyk/cache/jwks/:id", "/tyk/cache/:id"]) app.all(path, methodNotSupported);
}
