// What /hello says of certificates that are named and not to be had.

import assert from "node:assert/strict";
import { test } from "node:test";
import { CertificateHealth } from "../../src/primary/certificate-health.js";
import { settingsObject } from "../../src/shared/config/schema.js";
import type { ApiDefinition } from "../../src/shared/model/api-definition.js";
import { judgeDefinition } from "../../src/shared/model/definition.js";
import { definition } from "./desk.js";

const ID = "b".repeat(64);
const settings = settingsObject.parse({ listen_port: 8443, http_server_options: { use_ssl: true } });

function served(more: Record<string, unknown>): readonly ApiDefinition[] {
  const { definition: found, problems } = judgeDefinition(definition("orders", more), "orders.json", settings);
  assert.ok(found !== undefined, JSON.stringify(problems));
  return [found];
}

test("a certificate that the store does not have is told with what names it, until it is there", () => {
  const health = new CertificateHealth();
  const referring = { settings, definitions: served({ certificates: [ID] }) };
  assert.equal(health.judge(referring, [], 1), false);
  assert.equal(health.component, undefined);
  assert.equal(health.judge(referring, [ID], 2), true);
  assert.equal(health.judge(referring, [ID], 3), false, "nothing has changed");
  const { name, status, output, since } = health.component!;
  assert.deepEqual([name, status, since], ["certificates", "fail", 2]);
  assert.equal(output, `${ID} cannot be had from the store (named by certificates of orders)`);
  assert.equal(health.judge(referring, ["c".repeat(64)], 4), true, "what nothing in force names is not told");
  assert.equal(health.component, undefined);
});

test("certificates that are out of time only warn, beside one that is not to be had they are told too", () => {
  const health = new CertificateHealth();
  const referring = { settings, definitions: served({ certificates: [ID] }) };
  assert.equal(health.judge(referring, [], 1, ["one expired"]), true);
  assert.deepEqual([health.component?.status, health.component?.output], ["warn", "one expired"]);
  assert.equal(health.judge(referring, [], 2, ["one expired", "two expired"]), true);
  assert.equal(health.component?.since, 1, "its status is the same");
  assert.equal(health.judge(referring, [ID], 3, ["two expired"]), true);
  const { status, output, since } = health.component!;
  assert.deepEqual([status, since], ["fail", 3]);
  assert.match(output!, /cannot be had .*; two expired$/);
});

test("a port with TLS that nothing gives a certificate is told", () => {
  const health = new CertificateHealth();
  assert.equal(health.judge({ settings, definitions: served({}) }, [], 1), true);
  assert.equal(health.component?.output, "port 8443 speaks TLS and nothing gives it a certificate");
});
