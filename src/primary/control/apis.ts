// `/tyk/apis…`: the loaded definitions are shown, files are written; a reload makes them count.
// Responsible for the requests' forms. Must not know: what makes a definition good (shared/model).
// Governed by: Tyk's gateway API, classic definitions. Runs: per request of an operator.

import { randomUUID } from "node:crypto";
import { dirname } from "node:path";
import type { Context, Hono } from "hono";
import { judgeDefinition } from "../../shared/model/definition.js";
import { changed, json, methodNotSupported, readObject, refusal } from "./answers.js";
import type { ControlContext } from "./context.js";
import { fileOf, isFile, isFileName, removeDocument, writeDocument } from "./documents.js";

const ID = "/tyk/apis/:id";
const NOT_FOUND = "API not found";
const MISMATCH = "Request APIID does not match that in Definition! For Update operations these must match.";

export function apiRoutes(app: Hono, control: ControlContext): void {
  app.get("/tyk/apis", () =>
    json(
      200,
      [...control.documents().values()].map(({ document }) => document),
    ),
  );
  app.get(ID, (context) => {
    const found = control.documents().get(context.req.param("id") ?? "");
    return found === undefined ? refusal(404, NOT_FOUND) : json(200, found.document);
  });
  app.post("/tyk/apis", (context) => add(context, control));
  app.post(ID, (context) => add(context, control));
  app.put(ID, (context) => update(context, control));
  app.delete(ID, (context) => remove(context, control));
  app.all("/tyk/apis", methodNotSupported);
  app.all(ID, methodNotSupported);
}

async function add(context: Context, control: ControlContext): Promise<Response> {
  const body = await readObject(context);
  if (body === undefined || !isText(body["api_id"])) return refusal(400, "Request malformed");
  const id = body["api_id"] || (context.req.param("id") ?? "") || randomUUID().replaceAll("-", "");
  return write(control, { ...body, api_id: id }, id, "added");
}

async function update(context: Context, control: ControlContext): Promise<Response> {
  const body = await readObject(context);
  if (body === undefined || !isText(body["api_id"])) return refusal(400, "Request malformed");
  const id = context.req.param("id") ?? "";
  if ((body["api_id"] ?? "") !== id) return refusal(400, MISMATCH);
  if (!isFileName(id) || !(await isKnown(control, id))) return refusal(404, NOT_FOUND);
  return write(control, body, id, "modified");
}

async function remove(context: Context, control: ControlContext): Promise<Response> {
  const id = context.req.param("id") ?? "";
  if (!isFileName(id) || !(await isKnown(control, id))) return refusal(404, NOT_FOUND);
  if (!(await removeDocument(fileFor(control, id)))) return refusal(404, NOT_FOUND);
  return changed({ key: id, action: "deleted" });
}

async function write(
  control: ControlContext,
  document: Record<string, unknown>,
  id: string,
  action: "added" | "modified",
): Promise<Response> {
  const reason = isFileName(id) ? problemOf(control, document) : "api_id must be made of letters, digits and . _ ~ -";
  if (reason !== "") return refusal(400, `Validation of API Definition failed. Reason: ${reason}.`);
  const file = fileFor(control, id);
  try {
    await writeDocument(file, document, dirname(file));
  } catch (error) {
    control.log.error({ err: error }, "a definition could not be written");
    return refusal(500, "Unable to access API storage.");
  }
  return changed({ key: id, action });
}

/** The first reason why it would be left out at the reload. */
function problemOf(control: ControlContext, document: unknown): string {
  const { problems } = judgeDefinition(document, "request", control.settings());
  const error = problems.find((problem) => problem.level === "error");
  if (error === undefined) return "";
  if (error.message.startsWith(NO_WEIGHT)) return NO_WEIGHT;
  return `${error.path} ${error.message}`.trim();
}

const NO_WEIGHT = "all load balancing targets have weight 0, at least one target must have weight > 0";

/** Where it was read from, or where a new one belongs. */
function fileFor(control: ControlContext, id: string): string {
  return control.documents().get(id)?.file ?? fileOf(control.settings().app_path, id);
}

async function isKnown(control: ControlContext, id: string): Promise<boolean> {
  return control.documents().has(id) || isFile(fileOf(control.settings().app_path, id));
}

function isText(value: unknown): value is string | undefined {
  return value === undefined || typeof value === "string";
}
