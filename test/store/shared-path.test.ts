// Responsible for: two gateways of one host over one embedded store. Must not know: how the store is kept.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { until } from "../support/waiting.js";
import { grpcRequest, WireClient } from "../support/wire/client.js";
import { WireServer } from "../support/wire/server.js";

const SESSION = {
  org_id: "test",
  rate: 0,
  per: 0,
  quota_max: 6,
  quota_renewal_rate: 3_600,
  access_rights: { orders: { api_id: "orders", versions: ["Default"] } },
};

async function ask(gateway: Gateway, method: string, path: string, body?: unknown): Promise<Record<string, string>> {
  const answer = await fetch(`http://127.0.0.1:${gateway.controlPort}${path}`, {
    method,
    headers: { "x-tyk-authorization": "test-secret" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return (await answer.json()) as Record<string, string>;
}

/** The service's answer, or the gateway's `grpc-status`. */
async function call(gateway: Gateway, key: string): Promise<string> {
  const client = await WireClient.ready(gateway.port);
  try {
    const message = await client.get(grpcRequest("/orders.Service/Get", { authorization: key }));
    return message.fields.find((field) => field.name === "grpc-status")?.value ?? message.body.toString();
  } finally {
    client.close();
  }
}

test("two gateways of one host share keys and counters in one storage.path, and one may end", async (t) => {
  const path = mkdtempSync(join(tmpdir(), "sluice-shared-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  const service = await WireServer.listen({
    answer: ({ connection, stream }) => connection.reply(stream, { body: "api" }),
  });
  t.after(() => service.close());
  const orders = keyless({ id: "orders", path: "/orders.Service", target: service.target });
  const options = {
    definitions: [{ ...orders, use_keyless: false, use_standard_auth: true }],
    settings: { storage: { path } },
  };
  const first = await startGateway(options);
  t.after(() => first.stop());
  const second = await startGateway(options);
  t.after(() => second.stop());

  const { key = "" } = await ask(first, "POST", "/tyk/keys/create", SESSION);
  const answers: string[] = [];
  for (let n = 0; n < 4; n += 1) answers.push(await call(first, key), await call(second, key));
  assert.deepEqual([...answers].sort(), ["8", "8", "api", "api", "api", "api", "api", "api"]);

  await ask(second, "DELETE", `/tyk/keys/${key}`);
  await until("the other gateway has heard that the key is gone", async () => (await call(first, key)) === "16");
  await second.stop();
  const { key: later = "" } = await ask(first, "POST", "/tyk/keys/create", SESSION);
  assert.equal(await call(first, later), "api");
});
