// `/tyk/apis…` and `/tyk/policies…`: files are written, the loaded ones are shown.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Desk, definition } from "./desk.js";

const desks: Desk[] = [];
after(async () => {
  for (const desk of desks) await desk.close();
});

function open(settings: Record<string, unknown> = {}): Desk {
  const desk = new Desk(settings);
  desks.push(desk);
  return desk;
}

const readJson = (...path: string[]) => JSON.parse(readFileSync(join(...path), "utf8")) as Record<string, unknown>;

test("a definition becomes a file of its id, and is shown only once it is loaded", async () => {
  const desk = open();
  const apps = desk.settings.app_path;
  const added = await desk.ask("POST", "/tyk/apis/", definition("orders"));
  assert.deepEqual([added.status, added.body], [200, { key: "orders", status: "ok", action: "added" }]);
  assert.deepEqual(readJson(apps, "orders.json"), definition("orders"));
  assert.deepEqual(readdirSync(apps), ["orders.json"]);
  assert.deepEqual((await desk.ask("GET", "/tyk/apis")).body, []);
  const missing = await desk.ask("GET", "/tyk/apis/orders");
  assert.deepEqual([missing.status, missing.body.message], [404, "API not found"]);

  const changed = { ...definition("orders"), name: "Orders" };
  const updated = await desk.ask("PUT", "/tyk/apis/orders", changed);
  assert.deepEqual([updated.status, updated.body.action], [200, "modified"]);
  assert.equal(readJson(apps, "orders.json")["name"], "Orders");
  const removed = await desk.ask("DELETE", "/tyk/apis/orders");
  assert.deepEqual([removed.status, removed.body.action], [200, "deleted"]);
  assert.equal(existsSync(join(apps, "orders.json")), false);
  assert.equal((await desk.ask("DELETE", "/tyk/apis/orders")).status, 404);
});

test("a definition without an id gets one", async () => {
  const desk = open();
  const { api_id: _, ...without } = definition("x");
  const { body } = await desk.ask("POST", "/tyk/apis", without);
  assert.match(body.key, /^[0-9a-f]{32}$/);
  assert.equal(readJson(desk.settings.app_path, `${body.key}.json`)["api_id"], body.key);
});

test("a definition that was loaded from a file of another name is replaced there", async () => {
  const desk = open();
  desk.load("orders");
  desk.documents.set("orders", { file: join(desk.settings.app_path, "0-first.json"), document: {} });
  await desk.ask("PUT", "/tyk/apis/orders", definition("orders"));
  assert.deepEqual(readdirSync(desk.settings.app_path), ["0-first.json"]);
});

test("a definition that would be left out is refused with the reason", async () => {
  const desk = open();
  const refused = async (body: unknown) => {
    const answer = await desk.ask("POST", "/tyk/apis", body);
    assert.equal(answer.status, 400);
    return answer.body.message as string;
  };
  for (const broken of ["{", "[]", "7", '"x"', "null", "", { api_id: 7 }])
    assert.equal(await refused(broken), "Request malformed");
  const noWeight = definition("lb", { proxy: { listen_path: "/", enable_load_balancing: true, target_list: [] } });
  assert.equal(
    await refused(noWeight),
    "Validation of API Definition failed. Reason: all load balancing targets have weight 0, at least one target must have weight > 0.",
  );
  assert.match(
    await refused(definition("x", { use_oauth2: true })),
    /^Validation of API Definition failed. Reason: \$\.use_oauth2 .*\.$/,
  );
  for (const id of ["../x", "a/b", ".x", "x-oas", "x".repeat(300), "a\\b", "\0"])
    assert.match(await refused(definition(id)), /api_id must be/, id);
  assert.equal(existsSync(desk.settings.app_path), false);
});

test("the id in the path and the one in the definition must be the same", async () => {
  const desk = open();
  desk.load("orders");
  const answer = await desk.ask("PUT", "/tyk/apis/orders", definition("bills"));
  const message = "Request APIID does not match that in Definition! For Update operations these must match.";
  assert.deepEqual([answer.status, answer.body.message], [400, message]);
  assert.equal((await desk.ask("PUT", "/tyk/apis/bills", definition("bills"))).status, 404);
});

test("a policy becomes a file of its id, is shown once it is loaded, and is removed", async () => {
  const desk = open();
  const policy = { id: "gold", org_id: "acme", rate: 5, per: 1, access_rights: {}, colour: "kept" };
  assert.equal((await desk.ask("GET", "/tyk/policies/gold")).body.message, "Policy not found");
  const added = await desk.ask("POST", "/tyk/policies", policy);
  assert.deepEqual([added.status, added.body], [200, { key: "gold", status: "ok", action: "added" }]);
  assert.equal((await desk.ask("GET", "/tyk/policies/gold")).status, 404);
  const folder = desk.settings.policies.policy_path;
  assert.deepEqual(readJson(folder, "gold.json"), policy);
  desk.policies.set("gold", policy);
  assert.deepEqual((await desk.ask("GET", "/tyk/policies/gold")).body, policy);
  assert.deepEqual((await desk.ask("GET", "/tyk/policies")).body, [policy]);

  const updated = await desk.ask("PUT", "/tyk/policies/gold", { ...policy, rate: 6 });
  assert.deepEqual([updated.status, updated.body.action], [200, "modified"]);
  const other = await desk.ask("PUT", "/tyk/policies/gold", { ...policy, id: "silver" });
  assert.equal(other.status, 400);
  assert.equal(other.body.message, "Request ID does not match that in policy! For Update operations these must match.");
  assert.deepEqual((await desk.ask("DELETE", "/tyk/policies/gold")).body, {
    key: "gold",
    status: "ok",
    action: "deleted",
  });
  const gone = await desk.ask("DELETE", "/tyk/policies/gold");
  assert.deepEqual([gone.status, gone.body.message], [500, "Delete failed"]);
});

test("a policy without an id, with one that is no file's name, or that is none is refused", async () => {
  const desk = open();
  const answer = async (body: unknown, path = "/tyk/policies") => (await desk.ask("POST", path, body)).body.message;
  assert.equal(await answer({ rate: 1 }), "Unable to create policy without id.");
  assert.equal(await answer({ rate: "many" }), "Request malformed: $.rate must be a number");
  assert.equal(await answer("{"), "Request malformed");
  for (const id of ["../x", "a/b", "..", "a b", "ä"]) assert.match(await answer({ id }), /^Invalid policy id/, id);
  const unsafe = open({ security: { allow_unsafe_policy_ids: true } });
  assert.equal((await unsafe.ask("POST", "/tyk/policies", { id: "a b" })).status, 200);
  for (const id of ["../x", "a/b", "..", "a\0b"])
    assert.equal((await unsafe.ask("POST", "/tyk/policies", { id })).status, 400, id);
});

test("without a folder policies can be neither written nor removed", async () => {
  const desk = open({ policies: {} });
  const written = await desk.ask("POST", "/tyk/policies", { id: "gold" });
  assert.deepEqual([written.status, written.body.message], [500, "Unable to access policy storage."]);
  assert.equal((await desk.ask("DELETE", "/tyk/policies/gold")).status, 500);
});
