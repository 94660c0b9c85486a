import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { generate } from "selfsigned";
import { encodeNotification } from "../../src/shared/store/notification.js";
import { RedisStore } from "../../src/shared/store/redis.js";
import { addresses, redisPlace } from "../../src/shared/store/redis-addresses.js";
import { backoff } from "../../src/shared/store/redis-client.js";
import { EVERYTHING_CHANGED } from "../../src/shared/store/store.js";
import { heard } from "./both-stores.js";
import { freePort, redisMissing, startRedis } from "./redis-server.js";

const rules = { nodeSecret: "", allowUnsigned: false };

describe("the redis store", { skip: redisMissing() }, () => {
  test("opens without a server, refuses at once, and is healthy as soon as there is one", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    await server.kill();
    const store = new RedisStore({ host: "127.0.0.1", port: server.port, ...rules });
    t.after(() => store.close());
    await store.open();
    assert.equal(store.health().ok, false);
    await assert.rejects(store.get("a"), { name: "StoreDown" });
    const back = heard(store.onHealth.bind(store), (health) => health.ok);
    await server.again();
    await back;
    assert.equal(await store.put("a", new Uint8Array([1])), true);
  });

  test("notices a killed server, refuses meanwhile and asks for everything to be read again", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const store = new RedisStore({ host: "127.0.0.1", port: server.port, ...rules });
    t.after(() => store.close());
    await store.open();
    const gone = heard(store.onHealth.bind(store), (health) => !health.ok);
    const forget = heard(store.subscribe.bind(store), (change) => change.command === EVERYTHING_CHANGED);
    await server.kill();
    await gone;
    await assert.rejects(store.get("a"), { name: "StoreDown" });
    await server.again();
    await forget;
  });

  test("gives a frozen server up after the command timeout and then refuses at once until it thaws", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const store = new RedisStore({ host: "127.0.0.1", port: server.port, commandTimeoutMs: 100, ...rules });
    t.after(() => store.close());
    await store.open();
    await store.put("a", new Uint8Array([7]));
    server.freeze();
    await assert.rejects(store.get("a"), { name: "StoreDown" });
    assert.equal(store.health().ok, false);
    await assert.rejects(store.get("a"), { name: "StoreDown" });
    const back = heard(store.onHealth.bind(store), (health) => health.ok);
    server.thaw();
    await back;
    assert.deepEqual([...((await store.get("a")) ?? [])], [7]);
  });

  test("speaks through a Unix socket with a password", async (t) => {
    const socket_path = join(tmpdir(), `sluice-${process.pid}.sock`);
    t.after(() => rmSync(socket_path, { force: true }));
    const server = await startRedis(["--requirepass", "pa:ss", "--unixsocket", socket_path]);
    t.after(() => server.stop());
    const store = new RedisStore({ socket_path, password: "pa:ss", database: 3, ...rules });
    t.after(() => store.close());
    await store.open();
    assert.equal(store.health().ok, true);
    const wrong = new RedisStore({ socket_path, password: "wrong", ...rules });
    t.after(() => wrong.close());
    await wrong.open();
    assert.equal(wrong.health().ok, false);
    assert.doesNotMatch(wrong.health().output ?? "", /wrong$|pa:ss/);
  });

  test("works on a cluster of one node", async (t) => {
    const server = await startRedis(["--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1"]);
    t.after(() => server.stop());
    const { Redis } = await import("ioredis");
    const plain = new Redis(server.port, "127.0.0.1");
    await plain.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    while (!/cluster_state:ok/.test(String(await plain.call("CLUSTER", "INFO")))) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    plain.disconnect();
    const store = new RedisStore({ addrs: [`127.0.0.1:${server.port}`], enable_cluster: true, ...rules });
    t.after(() => store.close());
    await store.open();
    if (!store.health().ok) await heard(store.onHealth.bind(store), (health) => health.ok);
    await store.put("x1", new Uint8Array([1]));
    await store.put("x2", new Uint8Array([2]));
    const values = await store.getMany(["x1", "x2", "x3"]);
    assert.deepEqual(
      values.map((value) => value?.[0]),
      [1, 2, undefined],
    );
    const found: string[] = [];
    for await (const page of store.list("x")) found.push(...page);
    assert.deepEqual(found.sort(), ["x1", "x2"]);
  });

  test("speaks TLS with a client certificate, and not without trusting the server", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-redis-tls-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const pems = await generate([{ name: "commonName", value: "localhost" }], {
      keySize: 2048,
      extensions: [{ name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] }],
    });
    const [cert_file, key_file] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    writeFileSync(cert_file, pems.cert);
    writeFileSync(key_file, pems.private);
    const port = await freePort();
    const files = ["--tls-cert-file", cert_file, "--tls-key-file", key_file, "--tls-ca-cert-file", cert_file];
    const server = await startRedis(["--tls-port", String(port), ...files]);
    t.after(() => server.stop());
    const open = async (more: object): Promise<boolean> => {
      const store = new RedisStore({ host: "127.0.0.1", port, use_ssl: true, ...more, ...rules });
      t.after(() => store.close());
      await store.open();
      return store.health().ok;
    };
    assert.equal(await open({ ca_file: cert_file, cert_file, key_file, tls_min_version: "1.3" }), true);
    assert.equal(await open({ cert_file, key_file }), false);
    assert.equal(await open({ cert_file, key_file, ssl_insecure_skip_verify: true }), true);
    assert.equal(await open({ ca_file: cert_file }), false);
  });

  test("finds the master by sentinels", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const folder = mkdtempSync(join(tmpdir(), "sluice-sentinel-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const port = await freePort();
    const file = join(folder, "sentinel.conf");
    writeFileSync(
      file,
      `port ${port}\nbind 127.0.0.1\ndir ${folder}\nsentinel monitor main 127.0.0.1 ${server.port} 1\n`,
    );
    const sentinel = spawn("redis-server", [file, "--sentinel"], { stdio: ["ignore", "pipe", "ignore"] });
    t.after(() => sentinel.kill("SIGKILL"));
    await new Promise<void>((resolve) => {
      sentinel.stdout.on("data", (chunk: Buffer) => chunk.includes("+monitor") && resolve());
    });
    const store = new RedisStore({ addrs: [`127.0.0.1:${port}`], master_name: "main", ...rules });
    t.after(() => store.close());
    await store.open();
    assert.equal(await store.put("by-sentinel", new Uint8Array([1])), true);
  });

  test("drops a notification whose signature is not ours", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const store = new RedisStore({ host: "127.0.0.1", port: server.port, nodeSecret: "right", allowUnsigned: false });
    t.after(() => store.close());
    await store.open();
    const seen: string[] = [];
    store.subscribe((change) => seen.push(change.payload));
    const { Redis } = await import("ioredis");
    const plain = new Redis(server.port, "127.0.0.1");
    t.after(() => plain.disconnect());
    const send = (payload: string, nodeSecret: string): Promise<number> =>
      plain.publish(
        "tyk.cluster.notifications",
        encodeNotification({ command: "C", payload }, { nodeSecret, allowUnsigned: false }),
      );
    while ((await send("warm", "right")) === 0) await new Promise((resolve) => setImmediate(resolve));
    await send("forged", "wrong");
    await plain.publish("tyk.cluster.notifications", "{not json");
    const last = heard(store.subscribe.bind(store), (change) => change.payload === "last");
    await send("last", "right");
    await last;
    assert.ok(!seen.includes("forged"));
  });
});

describe("the redis client's settings", () => {
  test("addrs go before hosts, hosts before host and port", () => {
    assert.deepEqual(addresses({ addrs: ["a:1", "[::1]:2", "b"], hosts: { c: "3" }, host: "d", port: 4 }), [
      { host: "a", port: 1 },
      { host: "::1", port: 2 },
      { host: "b", port: 6_379 },
    ]);
    assert.deepEqual(addresses({ hosts: { c: "3" }, host: "d", port: 4 }), [{ host: "c", port: 3 }]);
    assert.deepEqual(addresses({ host: "d", port: 4 }), [{ host: "d", port: 4 }]);
    assert.deepEqual(addresses({}), [{ host: "localhost", port: 6_379 }]);
  });

  test("for an operator they are one text", () => {
    assert.equal(redisPlace({ addrs: ["a:1", "[::1]:2"] }), "a:1, [::1]:2");
    assert.equal(redisPlace({ socket_path: "/run/redis.sock", host: "a" }), "/run/redis.sock");
  });

  test("attempts to come back are spread and bounded", () => {
    assert.equal(
      backoff(1, () => 0),
      50,
    );
    assert.equal(
      backoff(1, () => 1),
      100,
    );
    assert.equal(
      backoff(1_000, () => 1),
      2_000,
    );
  });
});
