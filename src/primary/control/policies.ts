// `/tyk/policies…`: the loaded ones are shown, files are written; a reload makes them count.
// Responsible for the requests' forms. Must not know: how policies are merged.
// Governed by: Tyk's gateway API, policies. Runs: per request of an operator.

import type { Context, Hono } from "hono";
import { placeOf } from "../../shared/keys/codec.js";
import { flawOfRights, matchingOf } from "../../shared/model/path-rules.js";
import { policySchema } from "../../shared/model/policy.js";
import { isSafePolicyId } from "../../shared/store/policy-files.js";
import { changed, json, methodNotSupported, readObject, refusal } from "./answers.js";
import type { ControlContext } from "./context.js";
import { fileOf, isFile, removeDocument, writeDocument } from "./documents.js";

const ID = "/tyk/policies/:id";
const NO_STORAGE = "Unable to access policy storage.";
const UNSAFE = "Invalid policy id, allowed are letters, digits and . _ ~ -";

export function policyRoutes(app: Hono, control: ControlContext): void {
  app.get("/tyk/policies", () => json(200, [...control.policies().values()]));
  app.get(ID, (context) => {
    const policy = control.policies().get(context.req.param("id") ?? "");
    return policy === undefined ? refusal(404, "Policy not found") : json(200, policy);
  });
  app.post("/tyk/policies", (context) => save(context, control, "added"));
  app.post(ID, (context) => save(context, control, "added"));
  app.put(ID, (context) => save(context, control, "modified"));
  app.delete(ID, (context) => remove(context, control));
  app.all("/tyk/policies", methodNotSupported);
  app.all(ID, methodNotSupported);
}

async function save(context: Context, control: ControlContext, action: "added" | "modified"): Promise<Response> {
  const body = await readObject(context);
  if (body === undefined) return refusal(400, "Request malformed");
  const read = policySchema.safeParse(body);
  if (!read.success) return refusal(400, `Request malformed: ${placeOf(read.error)}`);
  const flaw = flawOfRights(read.data.access_rights, matchingOf(control.settings()));
  if (flaw !== "") return refusal(400, `Validation of policy failed. Reason: ${flaw}.`);
  const named = context.req.param("id") ?? "";
  const own = read.data.id ?? "";
  if (action === "modified" && own !== "" && own !== named)
    return refusal(400, "Request ID does not match that in policy! For Update operations these must match.");
  const id = own || named;
  if (id === "") return refusal(400, "Unable to create policy without id.");
  if (!isUsable(id, control)) return refusal(400, UNSAFE);
  const folder = control.settings().policies.policy_path;
  if (folder === "") return refusal(500, NO_STORAGE);
  try {
    await writeDocument(fileOf(folder, id), { ...body, id }, folder);
  } catch (error) {
    control.log.error({ err: error }, "a policy could not be written");
    return refusal(500, NO_STORAGE);
  }
  return changed({ key: id, action });
}

async function remove(context: Context, control: ControlContext): Promise<Response> {
  const id = context.req.param("id") ?? "";
  const folder = control.settings().policies.policy_path;
  if (folder === "") return refusal(500, NO_STORAGE);
  const file = fileOf(folder, id);
  if (!isUsable(id, control) || !(await isFile(file)) || !(await removeDocument(file)))
    return refusal(500, "Delete failed");
  return changed({ key: id, action: "deleted" });
}

/** Whatever the setting allows in a record: here the id becomes a file's name. */
function isUsable(id: string, control: ControlContext): boolean {
  if (isSafePolicyId(id)) return id.length <= 200;
  if (!control.settings().security.allow_unsafe_policy_ids || id.includes("\0")) return false;
  return /^[^/\\.][^/\\]{0,100}$/.test(id);
}
