// Session tickets of replicas: two gateways with two workers each on one Redis, started with other paths and ports; and
// what rotation does to a ticket, with keys that went through either home of the store.
// Governed by: issue, item 7 and acceptance.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { pino } from "pino";
import { TicketRotation } from "../../src/primary/ticket-keys.js";
import { Tickets } from "../../src/primary/tickets.js";
import { StoreTicketShelf } from "../../src/shared/certificates/ticket-shelf.js";
import type { TicketKeys } from "../../src/shared/messages.js";
import { StoreDown } from "../../src/shared/store/store.js";
import { settingsWith } from "../model/fixture.js";
import { onBothStores } from "../store/both-stores.js";
import { freePort, type RedisServer, redisMissing, startRedis } from "../store/redis-server.js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { type Made, make } from "./certificates.js";
import { api, FrontHarness, visit } from "./harness.js";

const HOUR = 3_600_000;
const VERSIONS = ["TLSv1.2", "TLSv1.3"] as const;
const EACH = 8;

describe("tickets of two gateways with two workers each", { skip: redisMissing() }, () => {
  let redis: RedisServer;
  let certificate: Made;
  const gateways: Gateway[] = [];
  /** Replicas are hosts with the same ports. */
  const hosts = ["127.0.0.1", "127.0.0.2"];

  before(async () => {
    redis = await startRedis();
    certificate = await make({ name: "localhost" });
    const port = await freePort();
    for (const host of hosts)
      gateways.push(
        await startGateway({
          workers: 2,
          settings: {
            listen_address: host,
            listen_port: port,
            control_api_address: "127.0.0.1",
            secret: "the same for both",
            storage: { type: "redis", host: "127.0.0.1", port: redis.port },
            // Rotation is not to happen while the test runs.
            http_server_options: { use_ssl: true, ssl_certificates: [certificate.pem], ticket_lifetime: 604_800 },
          },
          definitions: [keyless({ id: `on-${host}`, target: "h2c://127.0.0.1:1", path: "/one" })],
        }),
      );
  });

  after(async () => {
    for (const gateway of gateways) await gateway.stop();
    await redis?.stop();
  });

  for (const version of VERSIONS)
    test(`every ticket of one is accepted by the workers of both, ${version}`, async () => {
      const only = { minVersion: version, maxVersion: version, servername: "localhost" } as const;
      const port = gateways[0]!.port;
      const issued = await Promise.all(
        hosts.flatMap((host) => Array.from({ length: EACH }, () => visit(port, { ...only, host }))),
      );
      const tickets = issued.map((one) => one.session);
      assert.ok(tickets.every((ticket) => ticket !== undefined));
      for (const host of hosts) {
        const came: { resumed: boolean }[] = await Promise.all(
          tickets.map((session) => visit(port, { ...only, host, session })),
        );
        assert.equal(came.filter((one) => one.resumed).length, tickets.length);
      }
    });

  test("what lies in Redis under a name of ours is no key that anybody could use", async () => {
    const { Redis } = await import("ioredis");
    const client = new Redis({ port: redis.port, host: "127.0.0.1" });
    try {
      const names = await client.keys("sluice-tickets-*");
      assert.equal(names.length, 2);
      for (const name of names) assert.equal((await client.getBuffer(name))?.length, 12 + 16 + 48);
      assert.ok(gateways.every((gateway) => !gateway.logs.includes("sluice-tickets-")));
    } finally {
      client.disconnect();
    }
  });
});

onBothStores("rotation of ticket keys through the store", (home) => {
  for (const version of VERSIONS)
    test(`accepted after one rotation, a full handshake after two, ${version}`, async () => {
      const only = { minVersion: version, maxVersion: version } as const;
      const [made, renewed] = await Promise.all([make({ name: "localhost" }), make({ name: "localhost", until: 60 })]);
      const replicas = await Promise.all(
        [1, 2].map(async () => {
          const shelf = new StoreTicketShelf(await home.open(), "secret", HOUR);
          return { front: new FrontHarness().listen(), rotation: new TicketRotation(shelf, HOUR, () => {}) };
        }),
      );
      const show = (what: Made): void => {
        for (const { front } of replicas)
          front.configure([api("open", "")], { http_server_options: { use_ssl: true, ssl_certificates: [what.pem] } });
      };
      const turnTo = async (epoch: number): Promise<void> => {
        for (const { front, rotation } of replicas) front.front.tickets(await rotation.keysOf(epoch));
      };
      try {
        const base = version === "TLSv1.2" ? 100 : 200;
        await turnTo(base);
        show(made);
        const [one, two] = replicas;
        const [a, b] = [await visit(one!.front.port, only), await visit(one!.front.port, only)];
        await turnTo(base + 1);
        // Replacing a certificate changes neither.
        show(renewed);
        const after1 = await visit(two!.front.port, { ...only, session: a.session });
        assert.deepEqual([after1.resumed, after1.answer], [true, "heard hello"]);
        await turnTo(base + 2);
        const after2 = await visit(two!.front.port, { ...only, session: b.session });
        assert.deepEqual([after2.resumed, after2.answer], [false, "heard hello"]);
      } finally {
        for (const { front } of replicas) front.close();
      }
    });
});

test("a gateway starts while the store is away, with keys of its own, and says so once", async () => {
  const lines: { level: number; msg: string }[] = [];
  const keys: TicketKeys[] = [];
  const tickets = new Tickets({
    open: () => Promise.reject(new StoreDown("away")),
    changed: (got) => void keys.push(got),
    log: pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
  });
  const settings = settingsWith({ secret: "secret", storage: { type: "redis" } });
  const served = { settings, definitions: [], ports: [{ port: 1, address: "", protocol: "https", main: true }] };
  await tickets.configure(served);
  await tickets.configure(served);
  tickets.stop();
  assert.equal(keys.length, 1);
  assert.equal(keys[0]!.current.length, 48);
  assert.deepEqual(
    lines.map((line) => line.level),
    [50],
  );
  assert.ok(!JSON.stringify(lines).includes(Buffer.from(keys[0]!.current).toString("base64")));
});

test("without TLS, and with an embedded store that nobody else uses, the store is left alone", async () => {
  const never = (): Promise<never> => assert.fail("it was opened");
  for (const [protocol, type] of [
    ["h2c", "redis"],
    ["https", "embedded"],
  ] as const) {
    let keys: TicketKeys | undefined;
    const changed = (got: TicketKeys): void => {
      keys = got;
    };
    const tickets = new Tickets({ open: never, changed, log: pino({ level: "silent" }) });
    const settings = settingsWith({ secret: "secret", storage: { type } });
    await tickets.configure({ settings, definitions: [], ports: [{ port: 1, address: "", protocol, main: true }] });
    tickets.stop();
    assert.equal(keys?.current.length, 48);
  }
});
