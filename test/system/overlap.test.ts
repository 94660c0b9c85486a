// Responsible for: things an operator asks for that happen at the same time: a reload while workers are being replaced.
// Must not know: the gateway's insides. Governed by: issue "Operating it", 1. One gateway a test.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { GrpcClient, nextMessage } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { until } from "../support/waiting.js";

const NAME = "test.Echo";
const PATIENT = { graceful_shutdown_timeout_duration: 60 };

/** Another definition for each n, which the service can see. */
const definition = (target: string, n: number): Record<string, unknown> => {
  const versions = { Default: { name: "Default", global_headers: { "x-reload": String(n) } } };
  return keyless({ target, path: `/${NAME}`, more: { version_data: { not_versioned: true, versions } } });
};

const errors = (gateway: Gateway): string[] =>
  gateway.logs.split("\n").filter((line) => Number(/"level":(\d+)/.exec(line)?.[1] ?? 0) >= 50);

async function clientOf(context: TestContext, port: number): Promise<GrpcClient> {
  const client = new GrpcClient(port, NAME);
  context.after(() => client.close());
  await client.ready();
  return client;
}

test("a replaced worker that ends before it has taken a reload is no error, and does not hold the reload up", async (context) => {
  const service = await GrpcService.listen(NAME);
  context.after(() => service.close());
  const gateway = await startGateway({ definitions: [definition(service.target, 0)], settings: PATIENT });
  context.after(() => gateway.stop());
  const [old = 0] = await gateway.workers();
  // Its call keeps the old worker when the new one serves.
  const lasting = await clientOf(context, gateway.port);
  await nextMessage(lasting.reading(METHODS.hold, "long:first"));
  gateway.signal("SIGUSR2");
  await until("every worker is new", () => gateway.logs.includes("every worker is new"));
  const client = await clientOf(context, gateway.port);

  process.kill(old, "SIGSTOP");
  writeFileSync(join(gateway.appPath, "0.json"), JSON.stringify(definition(service.target, 1)));
  gateway.signal("SIGHUP");
  const reloaded = JSON.stringify(["x-reload", Buffer.from("1").toString("hex")]);
  await until("the new worker has it", async () =>
    (await client.unary(METHODS.mirror, "")).body.toString().includes(reloaded),
  );
  process.kill(old, "SIGKILL");
  await until("it is reloaded", () => gateway.logs.includes('"reloaded"'));
  assert.deepEqual(errors(gateway), []);
});
