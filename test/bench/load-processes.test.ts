/** A load that several processes share must be the load of one: every call is made once, and percentiles are those of all calls. */
import assert from "node:assert/strict";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { after, test } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { stopAllChildren } from "../../bench/children.js";
import { loadProcesses } from "../../bench/drive.js";
import { Histogram } from "../../bench/load/histogram.js";
import { ECHO_PATH } from "../../bench/load/message.js";
import { echoOrder, splitOrder } from "../../bench/load/order.js";
import { runGrpcJs, runOwnClient } from "../../bench/load/run-client.js";
import { ServiceLink } from "../../bench/load/service.js";
import { latencyOf, mergeShares, type Share } from "../../bench/outcome.js";

const closing: (() => void)[] = [];
after(async () => {
  await stopAllChildren();
  for (const close of closing) close();
});

const echoService = async (): Promise<{ port: number; connections: () => number }> => {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    void new ServiceLink(socket);
  });
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
};

test("an order is divided without a rest: connections, calls, rate and what runs beside", () => {
  const whole = echoOrder(1, { connections: 10, calls: 101, rate: 1000, beside: 4, storm: 1 });
  const parts = splitOrder(whole, 3);
  const sum = (key: "connections" | "calls" | "rate" | "beside" | "storm"): number =>
    parts.reduce((total, part) => total + part[key], 0);
  assert.deepEqual(
    parts.map((part) => part.connections),
    [4, 3, 3],
  );
  assert.deepEqual([sum("connections"), sum("calls"), sum("beside"), sum("storm")], [10, 101, 4, 1]);
  assert.ok(Math.abs(sum("rate") - 1000) < 1e-6);
  assert.equal(new Set(parts.map((part) => part.firstSerial)).size, 3);
});

test("no process is started without a connection, or without a call where calls are counted", () => {
  assert.equal(splitOrder(echoOrder(1, { connections: 2 }), 8).length, 2);
  assert.equal(splitOrder(echoOrder(1, { connections: 8, calls: 3 }), 8).length, 3);
  // None would mean without an end.
  assert.ok(splitOrder(echoOrder(1, { connections: 8, calls: 3 }), 8).every((part) => part.calls === 1));
  assert.equal(splitOrder(echoOrder(1), 1).length, 1);
});

test("as many processes drive as it takes, and one where there are no cores to spare", () => {
  assert.equal(loadProcesses(1, 1, 100), 1);
  assert.equal(loadProcesses(1, 2, 100), 1);
  assert.equal(loadProcesses(1, 7, 100), 2);
  assert.equal(loadProcesses(8, 8, 100), 7);
  assert.equal(loadProcesses(1, 7, 1), 1);
});

const share = (durations: readonly number[], failures: Record<string, number> = {}): Share => {
  const histogram = new Histogram();
  for (const duration of durations) histogram.record(duration);
  const counts = { calls: durations.length, messages: durations.length, bytes: 12 * durations.length };
  return { ...counts, seconds: 1, failures, latency: latencyOf(histogram), clientNs: 5, durations: histogram.data() };
};

test("shares put together have the percentiles of all calls, and every failure", () => {
  const quick = Array.from({ length: 990 }, () => 50_000);
  const slow = Array.from({ length: 10 }, () => 90_000_000);
  const apart = [share(quick, { "short body": 1 }), share(slow, { "short body": 2, "no answer": 1 })];
  // What travels between processes is text.
  const merged = mergeShares(JSON.parse(JSON.stringify(apart)) as Share[]);
  assert.deepEqual(merged.latency, share([...quick, ...slow]).latency);
  assert.deepEqual(merged.failures, { "short body": 3, "no answer": 1 });
  assert.deepEqual([merged.calls, merged.bytes, merged.clientNs], [1000, 12_000, 10]);
});

test("a process that made no call does not hide the latency of those that did", () => {
  assert.deepEqual(mergeShares([share([]), share([1000])]).latency, share([1000]).latency);
  assert.equal(mergeShares([share([])]).latency, null);
});

test("three processes make all calls of an order, each once", async () => {
  const { port, connections } = await echoService();
  const order = echoOrder(port, { connections: 4, streams: 5, calls: 300, seconds: 20, varying: true });
  const outcome = await runOwnClient(order, "", 3);
  assert.deepEqual(outcome.failures, {});
  // Those that were under way when the last was counted are calls too.
  assert.ok(outcome.calls >= 300 && outcome.calls <= 300 + 4 * 5, `${outcome.calls} calls`);
  assert.ok(outcome.latency !== null && outcome.latency.p50 > 0);
  assert.equal(connections(), 4);
});

test("a client that cannot connect does not keep the others waiting", async () => {
  const { port } = await echoService();
  closing.pop()!();
  const outcome = await runOwnClient(echoOrder(port, { connections: 2, calls: 2 }), "", 2);
  assert.equal(outcome.calls, 0);
  assert.match(Object.keys(outcome.failures).join("; "), /cannot connect/);
});

/** By turns: right, an error with a message, an error before any message. */
const moodyService = async (): Promise<number> => {
  const server = new grpc.Server();
  const same = (bytes: Buffer): Buffer => bytes;
  let turn = 0;
  server.register(
    ECHO_PATH,
    (call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) => {
      const mood = turn++ % 3;
      if (mood === 0) callback(null, call.request);
      else callback({ code: mood === 1 ? grpc.status.NOT_FOUND : grpc.status.INTERNAL, details: "not today" });
    },
    same,
    same,
    "unary",
  );
  closing.push(() => server.forceShutdown());
  return new Promise((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    ),
  );
};

test("an independent client counts the same statuses as ours", async () => {
  const CALLS = 30;
  for (const run of [runOwnClient, runGrpcJs]) {
    const order = echoOrder(await moodyService(), { calls: CALLS, seconds: 20, varying: true });
    const { calls, failures } = await run(order, "");
    assert.deepEqual(
      { calls, failures },
      { calls: 10, failures: { "grpc-status 5 not today": 10, "grpc-status 13 not today": 10 } },
      run.name,
    );
  }
});
