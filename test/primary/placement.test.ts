// Choosing a worker for a connection, and waiting for one.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BackOff, PROVEN_MS } from "../../src/primary/back-off.js";
import { type Candidate, leastConnections, MOST_WAITING, Placement, roundRobin } from "../../src/primary/placement.js";
import type { Connection } from "../../src/primary/worker-process.js";
import type { TcpHandle } from "../../src/shared/messages.js";

class Worker implements Candidate {
  takesConnections = true;
  calls = 0;
  readonly given: Connection[] = [];
  before = 0;
  get connections(): number {
    return this.before + this.given.length;
  }
  give(connection: Connection): void {
    this.given.push(connection);
  }
}

function connection(closed: string[] = [], name = ""): Connection {
  const handle: Partial<TcpHandle> = { close: () => closed.push(name) };
  return { handle: handle as TcpHandle, port: 1 };
}

test("least connections evens out what was uneven, then takes turns", () => {
  const workers = [new Worker(), new Worker(), new Worker()];
  workers[0]!.before = 3;
  const placement = new Placement(leastConnections(), () => workers);
  for (let index = 0; index < 9; index += 1) placement.place(connection());
  assert.deepEqual(
    workers.map((worker) => worker.connections),
    [4, 4, 4],
  );
});

test("among equals in connections the one with fewer open calls is chosen", () => {
  const workers = [new Worker(), new Worker()];
  workers[0]!.calls = 5;
  new Placement(leastConnections(), () => workers).place(connection());
  assert.equal(workers[1]!.given.length, 1);
});

test("round robin passes over a worker that takes nothing", () => {
  const workers = [new Worker(), new Worker(), new Worker()];
  workers[1]!.takesConnections = false;
  const placement = new Placement(roundRobin(), () => workers);
  for (let index = 0; index < 4; index += 1) placement.place(connection());
  assert.deepEqual(
    workers.map((worker) => worker.given.length),
    [2, 0, 2],
  );
});

test("connections wait in order while no worker takes them, up to a bound past which they are closed", () => {
  const worker = new Worker();
  worker.takesConnections = false;
  const closed: string[] = [];
  const placement = new Placement(leastConnections(), () => [worker]);
  const waiting = Array.from({ length: MOST_WAITING }, (_, index) => connection(closed, String(index)));
  for (const one of waiting) placement.place(one);
  placement.place(connection(closed, "one too many"));
  assert.deepEqual(closed, ["one too many"]);
  worker.takesConnections = true;
  placement.workersChanged();
  assert.deepEqual(worker.given, waiting);
  assert.equal(placement.waiting, 0);
});

test("closing closes what waits and what comes later", () => {
  const closed: string[] = [];
  const placement = new Placement(leastConnections(), () => []);
  placement.place(connection(closed, "waiting"));
  placement.close();
  placement.place(connection(closed, "late"));
  assert.deepEqual(closed, ["waiting", "late"]);
});

test("back-off doubles up to its bound and begins anew after a proven life", () => {
  const backOff = new BackOff();
  backOff.started(0);
  const delays = Array.from({ length: 10 }, () => backOff.died(1));
  assert.deepEqual(delays, [0, 100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
  backOff.started(1_000);
  assert.equal(backOff.died(1_000 + PROVEN_MS), 0);
  assert.equal(backOff.deaths, 1);
});
