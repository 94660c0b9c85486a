// `/tyk/keys…`: making, changing, showing and removing keys.
// Responsible for the requests' forms, statuses and messages. Must not know: how keys are stored (key-desk.ts).
// Governed by: Tyk's gateway API, keys. Runs: per request of an operator.

import type { Context, Hono } from "hono";
import { checkSession } from "../../shared/keys/codec.js";
import { policyIdsOf, type Session, sessionSchema } from "../../shared/model/session.js";
import { unknownFields } from "../../shared/model/unknown-fields.js";
import { changed, json, LONGEST_NAME, methodNotSupported, readObject, refusal } from "./answers.js";
import { type KeyDesk, type KeyName, NO_RIGHTS } from "./key-desk.js";

const NOT_CREATED = "Failed to create key, ensure security settings are correct.";
const DEFAULT_MIN_LENGTH = 3;
const NAME = "/tyk/keys/:name{.+}";

export function keyRoutes(app: Hono, desk: KeyDesk): void {
  app.post("/tyk/keys/create", (context) => create(context, desk));
  app.post("/tyk/keys/preview", (context) => preview(context, desk));
  app.post("/tyk/keys/policy/:name{.+}", (context) => assignPolicies(context, desk));
  app.post("/tyk/keys", (context) => add(context, desk));
  app.post(NAME, (context) => add(context, desk));
  app.put(NAME, (context) => update(context, desk));
  app.get(NAME, (context) => show(context, desk));
  app.delete(NAME, (context) => remove(context, desk));
  app.all("/tyk/keys", methodNotSupported);
  app.all(NAME, methodNotSupported);
}

async function create(context: Context, desk: KeyDesk): Promise<Response> {
  const given = await readSession(context, desk);
  if (typeof given === "string") return refusal(500, `Unmarshalling failed${given}`);
  const flaw = desk.flawOf(given);
  if (flaw !== "") return refusal(400, `Failed to create key, ${flaw}`);
  const refused = desk.refusalOf(given);
  if (refused === NO_RIGHTS) return refusal(400, `Failed to create key, ${NO_RIGHTS}`);
  if (refused !== undefined) return refusal(500, `Failed to create key - ${refused}`);
  const org = given.org_id ?? "";
  const token = await desk.tokenFor(org, given.certificate ?? "");
  const name = await desk.nameOf(token);
  const session = await desk.secured(desk.made(given), undefined);
  if (typeof session === "string") return refusal(400, `Failed to create key, ${session}`);
  const bound = Boolean(given.certificate);
  const applied = await desk.save(name, session, true, { when: bound ? "absent" : undefined });
  if (applied === undefined && bound)
    return refusal(500, `Failed to create key - Key with given certificate already found:${token}`);
  if (applied === undefined) return refusal(500, NOT_CREATED);
  return changed({ key: token, action: "added", key_hash: hashOf(desk, name), applied });
}

async function add(context: Context, desk: KeyDesk): Promise<Response> {
  const given = await readSession(context, desk);
  if (typeof given === "string") return refusal(400, `Request malformed${given}`);
  const { name: id, hashed } = nameIn(context);
  const short = (id === "" ? "" : unusable(id, hashed, desk)) || desk.flawOf(given);
  if (short !== "") return refusal(400, `Failed to create key, ${short}`);
  if (desk.refusalOf(given) !== undefined) return refusal(500, NOT_CREATED);
  const token = hashed ? id : await desk.tokenFor(given.org_id ?? "", id);
  const name = hashed ? id : await desk.nameOf(token);
  const session = await desk.secured(desk.made(given), undefined);
  if (typeof session === "string") return refusal(400, `Failed to create key, ${session}`);
  const applied = await desk.save(name, session, !suppressed(context));
  if (applied === undefined) return refusal(500, NOT_CREATED);
  const isUser = Boolean(given.basic_auth_data?.password);
  // A user is known by its name and its hash; a token made of the name would only be one more secret to keep.
  const key = isUser && desk.settings.hash_keys ? "" : token;
  return changed({ key, action: "added", key_hash: hashOf(desk, name), applied });
}

async function update(context: Context, desk: KeyDesk): Promise<Response> {
  const given = await readSession(context, desk);
  if (typeof given === "string") return refusal(400, `Request malformed${given}`);
  const key = nameIn(context);
  const found = await desk.find({ ...key, org: key.org || (given.org_id ?? "") });
  if (found === undefined) return refusal(404, "Key is not found");
  const problem = desk.flawOf(given) || (await certificateProblem(given, found.session, desk));
  if (problem !== "") return refusal(400, problem);
  const suppress = suppressed(context);
  const updated = desk.updated(given, found.session, suppress);
  if (desk.refusalOf(updated) !== undefined) return refusal(500, NOT_CREATED);
  const session = await desk.secured(updated, found.session);
  if (typeof session === "string") return refusal(400, `Failed to create key, ${session}`);
  const applied = await desk.save(found.name, session, !suppress);
  if (applied === undefined) return refusal(500, NOT_CREATED);
  return changed({ key: key.name, action: "modified", applied });
}

async function certificateProblem(given: Session, before: Session, desk: KeyDesk): Promise<string> {
  if (!before.certificate) return "";
  if (!given.certificate) return "Key cannot be used without a certificate";
  const { sessions } = await desk.open();
  const known = given.certificate === before.certificate || (await sessions.certificate(given.certificate));
  return known ? "" : "Key must be used with an existent certificate";
}

async function show(context: Context, desk: KeyDesk): Promise<Response> {
  const key = nameIn(context);
  if (key.hashed && !desk.settings.hash_keys)
    return refusal(400, "Key requested by hash but key hashing is not enabled");
  const found = await desk.find(key);
  return found === undefined ? refusal(404, "Key not found") : json(200, await desk.shown(found));
}

async function remove(context: Context, desk: KeyDesk): Promise<Response> {
  const key = nameIn(context);
  const found = await desk.find(key);
  if (found === undefined) return refusal(404, "There is no such key found");
  const applied = await desk.remove(found.name);
  if (applied === undefined) return refusal(400, "Failed to remove the key");
  return changed({ key: key.name, action: "deleted", applied });
}

async function assignPolicies(context: Context, desk: KeyDesk): Promise<Response> {
  const body = await readObject(context);
  const instruction = body === undefined ? undefined : checkSession({ apply_policies: body["apply_policies"] });
  const single = body?.["policy"];
  if (instruction === undefined || "problem" in instruction || (single !== undefined && typeof single !== "string"))
    return refusal(400, "Couldn't decode instruction");
  const list = instruction.session.apply_policies ?? [];
  const policies = list.length > 0 ? list : single ? [single] : [];
  const key = nameIn(context);
  // Tyk's own form of this call names a key by its hash.
  const found = (await desk.find(key)) ?? (await desk.find({ ...key, hashed: true }));
  if (found === undefined) return refusal(404, "Key not found");
  const { apply_policy_id: _old, ...rest } = found.session;
  const session: Session = { ...rest, apply_policies: policies };
  const refused = desk.refusalOf(session);
  if (refused !== undefined) return refusal(400, `Failed to update key - ${refused}`);
  const applied = await desk.save(found.name, session, false);
  if (applied === undefined) return refusal(400, "Could not write key data");
  return changed({ key: key.name, action: "updated", applied });
}

async function preview(context: Context, desk: KeyDesk): Promise<Response> {
  const given = await readSession(context, desk);
  if (typeof given === "string") return refusal(400, `Request malformed${given}`);
  const { session, error } = desk.merged(desk.made(given));
  if (error !== undefined) return refusal(400, `Failed to create key - ${error}`);
  const hidden = session.basic_auth_data === undefined ? {} : { basic_auth_data: { password: "" } };
  return json(200, { ...session, ...hidden, apply_policies: policyIdsOf(session) });
}

/** What stood in the request, or the end of the sentence that refuses it: empty, or the place of the fault. */
async function readSession(context: Context, desk: KeyDesk): Promise<Session | string> {
  const body = await readObject(context);
  if (body === undefined) return "";
  const checked = checkSession(body);
  if ("problem" in checked) return checked.place ? `: ${checked.place}` : "";
  desk.tellUnknown(unknownFields(sessionSchema, body));
  return checked.session;
}

function nameIn(context: Context): KeyName {
  const { req } = context;
  return {
    name: req.param("name") ?? "",
    hashed: (req.query("hashed") ?? "") !== "",
    username: req.query("username") === "true",
    org: req.query("org_id") ?? "",
    apiId: req.query("api_id") ?? "",
  };
}

function suppressed(context: Context): boolean {
  return context.req.query("suppress_reset") === "1";
}

function unusable(id: string, hashed: boolean, desk: KeyDesk): string {
  if (hashed) return /^[0-9a-f]{8,64}$/.test(id) ? "" : "a hash is 8 to 64 hexadecimal digits";
  const least = desk.settings.min_token_length || DEFAULT_MIN_LENGTH;
  if (id.length < least) return `a custom key must have at least ${least} characters`;
  return id.length > LONGEST_NAME ? `a custom key may have at most ${LONGEST_NAME} characters` : "";
}

function hashOf(desk: KeyDesk, name: string): string | undefined {
  return desk.settings.hash_keys ? name : undefined;
}
