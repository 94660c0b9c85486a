// Responsible for: what a gateway says that starts while its store is away. Must not know: what is stored.

import assert from "node:assert/strict";
import { test } from "node:test";
import { keyless, startGateway } from "../support/gateway.js";
import { until } from "../support/waiting.js";
import { redisMissing, startRedis } from "./redis-server.js";

test("a gateway that starts while Redis is away says so once, with the address, and once when it is back", {
  skip: redisMissing(),
}, async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  await redis.kill();
  const orders = keyless({ id: "orders", target: "h2c://127.0.0.1:1" });
  const gateway = await startGateway({
    definitions: [{ ...orders, use_keyless: false, use_standard_auth: true }],
    settings: { storage: { type: "redis", host: "127.0.0.1", port: redis.port } },
  });
  t.after(() => gateway.stop());
  const lines = (text: RegExp) => gateway.logs.split("\n").filter((line) => text.test(line));
  const away = lines(/Redis cannot be reached/);
  assert.equal(away.length, 1, gateway.logs);
  const { level, address, msg } = JSON.parse(away[0]!);
  assert.deepEqual([level, address], [40, `127.0.0.1:${redis.port}`]);
  assert.match(msg, /no key is known until it is back/);
  assert.equal(lines(/Redis is there/).length, 0);
  await redis.again();
  await until("the gateway says that Redis is back", () => lines(/Redis is there/).length === 1);
  assert.equal(lines(/Redis cannot be reached/).length, 1);
});
