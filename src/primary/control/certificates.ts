// `/tyk/certs…`: the certificates of organisations in the store.
// Responsible for the requests' forms, statuses and messages. Must not know: how certificates are stored, handshakes.
// Governed by: Tyk's gateway API, certificates; what cannot be used is refused with 400 and the reason, where Tyk says
// 403. Runs: per request of an operator.

import type { Context, Hono } from "hono";
import { endingWith } from "../../shared/certificates/bare-ports.js";
import { sayProblem } from "../../shared/certificates/certificate.js";
import { CertificateStore, type StoredPem } from "../../shared/certificates/certificate-store.js";
import { keySecret } from "../../shared/certificates/collection.js";
import { type Description, describeStored, shorten } from "../../shared/certificates/description.js";
import { isStoreId } from "../../shared/certificates/reference.js";
import { referrersOf } from "../../shared/certificates/stored.js";
import { json, methodNotSupported, readBody, refusal } from "./answers.js";
import type { ControlContext } from "./context.js";

const ID = "/tyk/certs/:id";
const NOT_FOUND = "Certificate with given SHA256 fingerprint not found";
const UNSAFE_ORG = "Invalid org_id, allowed are letters, digits, _ and -";
/** Shown in one answer. */
const MOST_SHOWN = 1_000;
const MOST_PLACES = 10;

export function certificateRoutes(app: Hono, control: ControlContext): void {
  app.post("/tyk/certs", (context) => add(context, control));
  app.get("/tyk/certs", (context) => list(context, control));
  app.get(ID, (context) => show(context, control));
  app.delete(ID, (context) => remove(context, control));
  app.all("/tyk/certs", methodNotSupported);
  app.all(ID, methodNotSupported);
}

async function open(control: ControlContext): Promise<CertificateStore> {
  const { store } = await control.keyspace.open();
  return new CertificateStore(store, keySecret(control.settings()));
}

async function add(context: Context, control: ControlContext): Promise<Response> {
  const org = context.req.query("org_id") ?? "";
  if (!CertificateStore.isOrganisation(org)) return refusal(400, UNSAFE_ORG);
  const text = await readBody(context);
  if (text.trim() === "") return refusal(405, "Malformed request body");
  const added = await (await open(control)).add(text, org);
  if ("problem" in added) return refusal(400, sayProblem("The request", added.problem));
  if ("exists" in added) return refusal(403, `Certificate with ${added.exists} id already exists`);
  const applied = await control.certificatesChanged();
  return json(200, { id: added.id, status: "ok", message: "Certificate added" }, pending(applied));
}

async function list(context: Context, control: ControlContext): Promise<Response> {
  const org = context.req.query("org_id") ?? "";
  if (!CertificateStore.isOrganisation(org)) return refusal(400, UNSAFE_ORG);
  const store = await open(control);
  const ids = await store.list(org);
  if (context.req.query("mode") !== "detailed") return json(200, { certs: ids.length === 0 ? null : ids });
  const certs = describeAll(await store.find(ids.slice(0, MOST_SHOWN))).map(shorten);
  return json(200, { certs: certs.length === 0 ? null : certs });
}

async function show(context: Context, control: ControlContext): Promise<Response> {
  const ids = (context.req.param("id") ?? "").split(",").filter(isStoreId).slice(0, MOST_SHOWN);
  const found = ids.length === 0 ? [] : describeAll(await (await open(control)).find(ids));
  if (found.length === 0) return refusal(404, NOT_FOUND);
  return json(200, ids.length === 1 ? found[0] : found);
}

async function remove(context: Context, control: ControlContext): Promise<Response> {
  const id = context.req.param("id") ?? "";
  // The list it stands in is that of its organisation, which the id tells when nobody else does.
  const org = context.req.query("org_id") ?? id.slice(0, -64);
  if (!CertificateStore.isOrganisation(org)) return refusal(400, UNSAFE_ORG);
  if (!isStoreId(id)) return refusal(404, NOT_FOUND);
  const removed = await (await open(control)).remove(id, org);
  // Asked while it is still in force: afterwards it is one that never was there.
  const message = `removed${removed ? stillNamed(id, control) + bareWithout(id, control) : ""}`;
  const applied = removed ? await control.certificatesChanged() : true;
  return json(200, { status: "ok", message }, pending(applied));
}

/** What goes on without it, for whoever did not mean that. */
function stillNamed(id: string, control: ControlContext): string {
  const places = referrersOf(id, { settings: control.settings(), definitions: control.definitions() });
  if (places.length === 0) return "";
  const more = places.length > MOST_PLACES ? ` and ${places.length - MOST_PLACES} more` : "";
  return `; it is still named by ${places.slice(0, MOST_PLACES).join(", ")}${more}, which go on without it`;
}

/** Worse than going on: nobody can connect, and over the control port nobody can mend it. */
function bareWithout(id: string, control: ControlContext): string {
  const referring = { settings: control.settings(), definitions: control.definitions() };
  const bare = endingWith(id, referring, control.certificates());
  if (bare.length === 0) return "";
  const more = bare.length > MOST_PLACES ? ` and ${bare.length - MOST_PLACES} more` : "";
  const which = bare.slice(0, MOST_PLACES).join(", ") + more;
  return `; it was the last certificate of ${which}: nobody can connect there until another one is added`;
}

function describeAll(found: readonly StoredPem[]): Description[] {
  return found.flatMap(({ id, pem }) => describeStored(id, pem) ?? []);
}

/** A worker that is late, or a store that was lost meanwhile: the certificate counts a little later. */
function pending(applied: boolean): Readonly<Record<string, string>> {
  return applied ? {} : { "x-sluice-applied": "pending" };
}
