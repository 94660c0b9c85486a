// What an operator does to keys, seen by callers of a real gateway with several workers.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type RedisServer, redisMissing, startRedis } from "../store/redis-server.js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { grpcRequest, WireClient } from "../support/wire/client.js";
import { WireServer } from "../support/wire/server.js";
import { httpGet } from "../system/http1.js";

const SECRET = "test-secret";
const UNAUTHENTICATED = "16";

interface Answer {
  readonly status: number;
  readonly applied: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: the tests say what is in it
  readonly body: any;
}

async function ask(port: number, method: string, path: string, body?: unknown): Promise<Answer> {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { "x-tyk-authorization": SECRET },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, applied: answer.headers.get("x-sluice-applied"), body: await answer.json() };
}

/** The `grpc-status` of one call, each over a connection of its own, so that every worker has its turn. */
async function call(port: number, key: string): Promise<string> {
  const client = await WireClient.ready(port);
  try {
    const message = await client.get(grpcRequest("/orders.Service/Get", { authorization: key }));
    return message.fields.find((field) => field.name === "grpc-status")?.value ?? message.body.toString();
  } finally {
    client.close();
  }
}

const session = {
  org_id: "test",
  rate: 0,
  per: 0,
  access_rights: { orders: { api_id: "orders", versions: ["Default"] } },
};

async function seen(port: number, key: string): Promise<string[]> {
  return Promise.all(Array.from({ length: 6 }, () => call(port, key)));
}

for (const home of ["embedded", "redis"]) {
  describe(`calls with keys, ${home}`, { skip: home === "redis" ? redisMissing() : false }, () => {
    let redis: RedisServer | undefined;
    let service: WireServer;
    let gateway: Gateway;
    const folder = mkdtempSync(join(tmpdir(), "sluice-calls-"));

    before(async () => {
      if (home === "redis") redis = await startRedis();
      service = await WireServer.listen({
        answer: ({ connection, stream }) => connection.reply(stream, { body: "api" }),
      });
      const orders = keyless({ id: "orders", path: "/orders.Service", target: service.target });
      gateway = await startGateway({
        definitions: [{ ...orders, use_keyless: false, use_standard_auth: true }],
        workers: 2,
        settings: {
          storage: redis === undefined ? { path: folder } : { type: "redis", host: "127.0.0.1", port: redis.port },
        },
      });
    });

    after(async () => {
      await gateway?.stop();
      await service?.close();
      await redis?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    test("a key is good the moment it is made and for nothing the moment it is removed", async () => {
      const { controlPort, port } = gateway;
      assert.deepEqual(new Set(await seen(port, "no-such-key")), new Set([UNAUTHENTICATED]));
      const made = await ask(controlPort, "POST", "/tyk/keys/create", session);
      assert.deepEqual([made.status, made.applied], [200, null]);
      assert.deepEqual(new Set(await seen(port, `Bearer ${made.body.key}`)), new Set(["api"]));
      const off = await ask(controlPort, "PUT", `/tyk/keys/${made.body.key}`, { ...session, is_inactive: true });
      assert.deepEqual([off.status, off.applied], [200, null]);
      assert.deepEqual(new Set(await seen(port, made.body.key)), new Set(["7"]));
      await ask(controlPort, "PUT", `/tyk/keys/${made.body.key}`, session);
      assert.deepEqual(new Set(await seen(port, made.body.key)), new Set(["api"]));
      const gone = await ask(controlPort, "DELETE", `/tyk/keys/${made.body.key}`);
      assert.deepEqual([gone.status, gone.applied], [200, null]);
      assert.deepEqual(new Set(await seen(port, made.body.key)), new Set([UNAUTHENTICATED]));
    });

    test("a key of the operator's own name opens under that name", async () => {
      assert.equal((await ask(gateway.controlPort, "POST", "/tyk/keys/customer-7", session)).status, 200);
      assert.deepEqual(new Set(await seen(gateway.port, "customer-7")), new Set(["api"]));
    });

    test("a quota that is used up begins anew when its key is written", async () => {
      const { controlPort, port } = gateway;
      const limited = { ...session, quota_max: 5, quota_renewal_rate: 3_600 };
      const { key } = (await ask(controlPort, "POST", "/tyk/keys/create", limited)).body;
      for (let round = 0; round < 2; round += 1) {
        const answers: string[] = [];
        for (let turn = 0; turn < 7; turn += 1) answers.push(await call(port, key));
        assert.deepEqual(answers, ["api", "api", "api", "api", "api", "8", "8"], `round ${round}`);
        assert.equal((await ask(controlPort, "GET", `/tyk/keys/${key}`)).body.quota_remaining, 0);
        await ask(controlPort, "PUT", `/tyk/keys/${key}`, limited);
      }
      assert.equal((await ask(controlPort, "GET", `/tyk/keys/${key}`)).body.quota_remaining, 5);
    });

    test("a change says pending when a worker stands still", async () => {
      const made = await ask(gateway.controlPort, "POST", "/tyk/keys/create", session);
      const [frozen = 0] = await gateway.workers();
      process.kill(frozen, "SIGSTOP");
      try {
        const gone = await ask(gateway.controlPort, "DELETE", `/tyk/keys/${made.body.key}`);
        assert.deepEqual([gone.status, gone.applied], [200, "pending"]);
      } finally {
        process.kill(frozen, "SIGCONT");
      }
    });

    test("/hello tells of the store", async () => {
      const hello = JSON.parse((await httpGet(gateway.controlPort, "/hello")).body);
      assert.equal(hello.details[home].status, "pass");
    });

    test("while the store is away the control API says so, and calls of known keys go on", async () => {
      if (redis === undefined) return;
      const made = await ask(gateway.controlPort, "POST", "/tyk/keys/create", session);
      assert.deepEqual(new Set(await seen(gateway.port, made.body.key)), new Set(["api"]));
      await redis.kill();
      try {
        const away = await ask(gateway.controlPort, "GET", "/tyk/keys/anything");
        assert.deepEqual([away.status, away.body.message], [503, "The store cannot be reached"]);
        const hello = JSON.parse((await httpGet(gateway.controlPort, "/hello")).body);
        assert.deepEqual([hello.status, hello.details.redis.status], ["warn", "fail"]);
        assert.equal((await httpGet(gateway.controlPort, "/ready")).status, 200);
        assert.equal((await ask(gateway.controlPort, "GET", "/tyk/apis")).status, 200);
        assert.deepEqual(new Set(await seen(gateway.port, made.body.key)), new Set(["api"]));
      } finally {
        await redis.again();
      }
      while ((await ask(gateway.controlPort, "GET", "/tyk/keys/anything")).status === 503)
        assert.equal(gateway.exited, undefined);
    });
  });
}

describe("the control API on the main port", () => {
  let gateway: Gateway;
  const folder = mkdtempSync(join(tmpdir(), "sluice-calls-"));

  before(async () => {
    gateway = await startGateway({
      definitions: [keyless({ id: "orders", target: "h2c://127.0.0.1:1" })],
      workers: 2,
      settings: { control_api_port: 0, storage: { path: folder } },
    });
  });

  after(async () => {
    await gateway?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test("is relayed before any API's route, and guarded as on a port of its own", async () => {
    const made = await ask(gateway.port, "POST", "/tyk/keys/create", session);
    assert.equal(made.status, 200);
    assert.equal((await ask(gateway.port, "GET", `/tyk/keys/${made.body.key}`)).body.org_id, "test");
    const refused = await fetch(`http://127.0.0.1:${gateway.port}/tyk/apis`);
    assert.equal(refused.status, 403);
    assert.equal((await ask(gateway.port, "GET", "/tyk/reload?block=true")).status, 200);
  });

  test("refuses a body that is too large as on a port of its own, over HTTP/1.1 and HTTP/2", async () => {
    for (const size of [1_100_000, 6_000_000])
      for (const announced of [true, false]) {
        const says = `${size} octets, length ${announced}`;
        assert.deepEqual(await posted1(gateway.port, size, announced), [413, "Request entity too large"], says);
        assert.deepEqual(await posted2(gateway.port, size, announced), [413, "Request entity too large"], says);
      }
    assert.equal((await posted1(gateway.port, 900_000, false, "wrong"))[0], 403);
    assert.equal((await posted2(gateway.port, 900_000, true, "wrong"))[0], 403);
    assert.match((await posted2(gateway.port, 900_000, true))[1], /^Unmarshalling failed/);
  });
});

type Posted = readonly [status: number, message: string];

function posted1(port: number, size: number, announced: boolean, secret = SECRET): Promise<Posted> {
  return new Promise((resolve, reject) => {
    const headers = { "x-tyk-authorization": secret, ...(announced ? { "content-length": size } : {}) };
    const options = {
      port,
      host: "127.0.0.1",
      path: "/tyk/keys/create",
      method: "POST",
      headers,
      agent: false as const,
    };
    const request = httpRequest(options, (answer) => {
      void (async () => {
        const parts: Buffer[] = [];
        for await (const part of answer) parts.push(part as Buffer);
        request.destroy();
        return [answer.statusCode ?? 0, JSON.parse(Buffer.concat(parts).toString()).message] as const;
      })().then(resolve, reject);
    });
    request.on("error", reject);
    request.end(Buffer.alloc(size, "x"));
  });
}

async function posted2(port: number, size: number, announced: boolean, secret = SECRET): Promise<Posted> {
  const session = connect(`http://127.0.0.1:${port}`);
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": "/tyk/keys/create",
      "x-tyk-authorization": secret,
      ...(announced ? { "content-length": size } : {}),
    });
    stream.end(Buffer.alloc(size, "x"));
    let status = 0;
    stream.on("response", (headers) => {
      status = Number(headers[":status"]);
    });
    const parts: Buffer[] = [];
    for await (const part of stream) parts.push(part as Buffer);
    return [status, JSON.parse(Buffer.concat(parts).toString()).message];
  } finally {
    session.destroy();
  }
}
