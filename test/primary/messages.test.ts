// Messages between the processes: what goes in comes out, and what is no message is told apart.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Packr } from "msgpackr";
import { settingsObject } from "../../src/shared/config/schema.js";
import {
  decodeToPrimary,
  decodeToWorker,
  encodeMessage,
  type ToPrimary,
  type ToWorker,
} from "../../src/shared/messages.js";

const answer = { status: 200, body: '{"status":"pass"}' };

const TO_WORKER: ToWorker[] = [
  {
    type: "configure",
    config: {
      generation: 3,
      settings: settingsObject.parse({}),
      definitions: [],
      closed: [{ api: "a", port: 1, domain: "", listen_path: "/" }],
      ports: [{ port: 8080, address: "", protocol: "h2c", main: true }],
      certificates: { "a.pem": { fingerprint: "00", chain: "", key: "" } },
      policies: [{ id: "gold", rate: 10, per: 1 }],
      controlSocket: "/tmp/control.sock",
    },
  },
  { type: "tickets", keys: { generation: 2, current: Buffer.alloc(48, 1), previous: null } },
  { type: "health", state: { hello: answer, ready: { status: 503, body: "ü" } } },
  { type: "listen", port: 65_535 },
  { type: "unlisten", port: 65_535 },
  { type: "changed", id: 7, change: { command: "KeySpaceUpdateNotification", payload: "a,b" } },
  { type: "connection", id: 2 ** 40, port: 8080 },
  { type: "observe", id: 9 },
  { type: "inspect", id: 10, query: { most: 5, address: "192.0.2.1", api: "" } },
  { type: "drain", timeoutMs: 30_000, silentMs: 0 },
];

const TO_PRIMARY: ToPrimary[] = [
  { type: "hello", protocol: 1 },
  { type: "configured", generation: 3, problem: "" },
  { type: "load", adopted: 2 ** 40, connections: 100_000, calls: 0 },
  { type: "applied", id: 7 },
  {
    type: "figures",
    id: 9,
    figures: { methods: [], ends: [], samples: [{ name: "a", labels: { b: "c" }, value: 0.5 }] },
  },
  {
    type: "inspected",
    id: 10,
    inspection: { connections: 1, streams: 2, waits: { service: 2 }, callers: [], services: [] },
  },
  { type: "drained" },
];

test("every message arrives as it was sent", () => {
  for (const message of TO_WORKER) assert.deepEqual(decodeToWorker(encodeMessage(message)), message);
  for (const message of TO_PRIMARY) assert.deepEqual(decodeToPrimary(encodeMessage(message)), message);
});

test("a message for the other side is not taken for one's own", () => {
  for (const message of TO_WORKER) assert.equal(decodeToPrimary(encodeMessage(message)), undefined);
  for (const message of TO_PRIMARY) assert.equal(decodeToWorker(encodeMessage(message)), undefined);
});

test("what is not a message is undefined, not an exception", () => {
  const packr = new Packr({ useRecords: false });
  for (const value of [null, 1, "drain", [], {}, { type: 7 }, { type: "unknown" }]) {
    assert.equal(decodeToWorker(packr.encode(value)), undefined);
  }
  for (const value of [
    undefined,
    null,
    "text",
    7,
    {},
    Buffer.alloc(0),
    Buffer.from([0xc1]),
    Buffer.from([0xde, 0xff]),
  ]) {
    assert.equal(decodeToWorker(value), undefined);
    assert.equal(decodeToPrimary(value), undefined);
  }
});
