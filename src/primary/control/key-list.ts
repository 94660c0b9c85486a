// `GET /tyk/keys`: the names of all keys, or of an organisation's or an API's.
// Responsible for who may list and for how long it may take. Must not know: how keys are stored.
// Governed by: Tyk's gateway API, key listing. Runs: on demand; a million names take seconds.

import type { Context, Hono } from "hono";
import { tokenOrg } from "../../shared/keys/token.js";
import type { Session } from "../../shared/model/session.js";
import type { Sessions } from "../../shared/store/sessions.js";
import { json, refusal } from "./answers.js";
import type { KeyDesk } from "./key-desk.js";

const LONGEST_MS = 30_000;

export function keyListRoutes(app: Hono, desk: KeyDesk): void {
  app.get("/tyk/keys", (context) => list(context, desk));
}

async function list(context: Context, desk: KeyDesk): Promise<Response> {
  const hashed = desk.settings.hash_keys;
  const filter = context.req.query("filter") ?? "";
  const apiId = context.req.query("api_id") ?? "";
  if (hashed && !desk.settings.enable_hashed_keys_listing)
    return refusal(404, "Hashed key listing is disabled in config (enable_hashed_keys_listing)");
  if (!hashed && apiId !== "" && filter === "")
    return refusal(400, "The 'filter' parameter (Org ID) is required when filtering by 'api_id' in legacy mode");
  const { sessions } = await desk.open();
  const pages = apiId === "" ? sessions.names() : namesOf(sessions, (session) => opens(desk, session, apiId));
  const keys = await gathered(pages, (name) => hashed || filter === "" || belongs(name, filter));
  return keys === undefined ? refusal(504, "Request timeout while processing keys") : json(200, { keys });
}

async function* namesOf(sessions: Sessions, wanted: (session: Session) => boolean): AsyncIterable<string[]> {
  for await (const page of sessions.all()) yield page.filter(({ session }) => wanted(session)).map(({ name }) => name);
}

function opens(desk: KeyDesk, session: Session, apiId: string): boolean {
  const { session: merged, error } = desk.merged(session);
  const rights = merged.access_rights ?? {};
  return error === undefined && (Object.hasOwn(rights, apiId) || Object.keys(rights).length === 0);
}

function belongs(token: string, org: string): boolean {
  return tokenOrg(token) === org || token.startsWith(org);
}

async function gathered(
  pages: AsyncIterable<string[]>,
  wanted: (name: string) => boolean,
): Promise<string[] | undefined> {
  const until = performance.now() + LONGEST_MS;
  const keys: string[] = [];
  for await (const page of pages) {
    for (const name of page) if (wanted(name)) keys.push(name);
    if (performance.now() > until) return undefined;
  }
  return keys;
}
