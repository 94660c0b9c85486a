// `sluice keys export | import` as a program: between homes, from what Tyk wrote, and what cannot be carried over.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Redis } from "ioredis";
import { secretIn } from "../../examples/secret.js";
import { redisMissing, startRedis } from "../store/redis-server.js";
import { Desk, session } from "./desk.js";

const MAIN = fileURLToPath(new URL("../../src/primary/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "sluice-transfer-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function keys(action: string, settings: object, file = "", input = "") {
  const conf = join(folder, "conf.json");
  writeFileSync(conf, JSON.stringify(settings));
  const args = [MAIN, "keys", action, "--conf", conf, ...(file === "" ? [] : ["--file", file])];
  return spawnSync(process.execPath, args, { encoding: "utf8", input });
}

test("keys and organisations go from one home to another with their lifetimes", async (t) => {
  const from = new Desk();
  t.after(() => from.close());
  from.load("orders", { session_lifetime: 600 });
  const made = (await from.ask("POST", "/tyk/keys/create", session(["orders"], { alias: "first" }))).body;
  await from.ask("POST", "/tyk/keys/second", session([...["orders"], "other"]));
  await from.ask("POST", "/tyk/org/keys/acme", { quota_max: 5 });
  await from.keyspace.close();

  const file = join(folder, "keys.jsonl");
  const exported = keys("export", { storage: from.settings.storage }, file);
  assert.equal(exported.status, 0, exported.stderr);
  assert.match(exported.stderr, /exported 2 keys and 1 organisations/);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(keys("export", { storage: from.settings.storage }, file).status, 1);

  const to = new Desk();
  t.after(() => to.close());
  const imported = keys("import", { storage: to.settings.storage }, file);
  assert.equal(imported.status, 0, imported.stderr);
  assert.match(imported.stderr, /imported 2 keys and 1 organisations/);
  assert.equal((await to.ask("GET", `/tyk/keys/${made.key}`)).body.alias, "first");
  assert.equal((await to.ask("GET", "/tyk/org/keys/acme")).body.quota_max, 5);
  const { store } = await to.keyspace.open();
  const left = await store.ttl(`apikey-${made.key_hash}`);
  assert.ok(left > 0 && left <= 600_000, String(left));
});

test("what is no exported key is named by its line, the rest is imported", async (t) => {
  const to = new Desk({ hash_keys: false });
  t.after(() => to.close());
  const lines = [
    "{",
    JSON.stringify({ name: "plain-key", hashed: false, session: session(["orders"]) }),
    JSON.stringify({ name: "0a1b2c3d", hashed: true, session: session(["orders"]) }),
    JSON.stringify({ name: "x", hashed: false, session: { rate: "many" } }),
  ];
  const done = keys("import", { storage: to.settings.storage, hash_keys: false }, "", lines.join("\n"));
  assert.equal(done.status, 1);
  assert.match(done.stderr, /line 1: is no exported key/);
  assert.match(done.stderr, /line 3: was hashed/);
  assert.match(done.stderr, /line 4: is no exported key/);
  assert.match(done.stderr, /imported 1 keys/);
  assert.equal((await to.ask("GET", "/tyk/keys/plain-key")).body.rate, 10);
});

test("keys that Tyk stored in Redis move to the embedded home", { skip: redisMissing() }, async (t) => {
  const redis = await startRedis();
  t.after(() => redis.stop());
  const client = new Redis({ port: redis.port, host: "127.0.0.1" });
  await client.set(
    "apikey-0123456789abcdef",
    JSON.stringify({ ...session(["orders"]), last_updated: "1", alias: "of Tyk" }),
  );
  await client.quit();
  const exported = keys("export", { storage: { type: "redis", host: "127.0.0.1", port: redis.port } });
  assert.equal(exported.status, 0, exported.stderr);
  const to = new Desk();
  t.after(() => to.close());
  assert.equal(keys("import", { storage: to.settings.storage }, "", exported.stdout).status, 0);
  const found = await to.ask("GET", "/tyk/keys/0123456789abcdef?hashed=true");
  assert.equal(found.body.alias, "of Tyk");
});

test("a store that cannot be reached is one sentence and exit code 1", () => {
  const done = keys("export", { storage: { type: "redis", host: "127.0.0.1", port: 1 } });
  assert.equal(done.status, 1);
  assert.match(done.stderr, /^sluice: the store \(redis\) cannot be reached: /);
});

test("the example's secret is made once and only its owner can read it", () => {
  const place = join(folder, "run");
  const first = secretIn(place);
  assert.ok(first.length >= 32);
  assert.equal(statSync(join(place, "secret")).mode & 0o777, 0o600);
  assert.equal(secretIn(place), first);
  assert.equal(readFileSync(join(place, "secret"), "utf8"), `${first}\n`);
});
