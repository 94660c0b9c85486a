// `/tyk/org/keys…`: what is stored about organisations.
// Responsible for the requests' forms. Must not know: how limits of organisations are kept.
// Governed by: Tyk's gateway API, organisation keys. Runs: per request of an operator.

import type { Context, Hono } from "hono";
import { checkSession } from "../../shared/keys/codec.js";
import { ORGANISATION, organisationQuota } from "../../shared/keys/organisation.js";
import { changed, json, methodNotSupported, readObject, refusal } from "./answers.js";
import type { ControlContext } from "./context.js";

const ORG = "/tyk/org/keys/:org";

export function organisationRoutes(app: Hono, control: ControlContext): void {
  app.get("/tyk/org/keys", async () => {
    const { sessions } = await control.keyspace.open();
    return json(200, { keys: await sessions.organisations() });
  });
  app.get(ORG, (context) => show(context, control));
  app.post(ORG, (context) => save(context, control, "added"));
  app.put(ORG, (context) => save(context, control, "modified"));
  app.delete(ORG, (context) => remove(context, control));
  app.all("/tyk/org/keys", methodNotSupported);
  app.all(ORG, methodNotSupported);
}

async function show(context: Context, control: ControlContext): Promise<Response> {
  const org = context.req.param("org") ?? "";
  const { sessions, counters } = await control.keyspace.open();
  const session = await sessions.organisation(org);
  if (session === undefined) return refusal(404, "Org not found");
  const max = session.quota_max ?? 0;
  if (max <= 0) return json(200, session);
  const counter = await counters.read(organisationQuota(org), true).catch(() => undefined);
  const running = counter !== undefined && (counter.end === 0 || counter.end > Date.now());
  const renews = running && counter.end > 0 ? { quota_renews: Math.ceil(counter.end / 1_000) } : {};
  return json(200, { ...session, quota_remaining: Math.max(0, max - (running ? counter.taken : 0)), ...renews });
}

async function save(context: Context, control: ControlContext, action: "added" | "modified"): Promise<Response> {
  const org = context.req.param("org") ?? "";
  const body = await readObject(context);
  const checked = body === undefined ? undefined : checkSession(body);
  if (checked === undefined || "problem" in checked) return refusal(400, "Request malformed");
  if (!control.definitions().some((api) => api.org_id === org))
    return refusal(404, "No such organisation found in Active API list");
  const { sessions, counters } = await control.keyspace.open();
  if (!(await sessions.saveOrganisation(org, checked.session))) return refusal(400, "Request malformed");
  if (context.req.query("reset_quota") === "1") await counters.clear(organisationQuota(org), true);
  return changed({ key: org, action, applied: await control.keyspace.forgotten([ORGANISATION + org]) });
}

async function remove(context: Context, control: ControlContext): Promise<Response> {
  const org = context.req.param("org") ?? "";
  const { sessions } = await control.keyspace.open();
  if (!(await sessions.removeOrganisation(org))) return refusal(404, "Org not found");
  return changed({ key: org, action: "deleted", applied: await control.keyspace.forgotten([ORGANISATION + org]) });
}
