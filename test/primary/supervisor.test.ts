// Processes around the data plane: ports that stay open, workers that come back, a primary that dies.

import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { Caller, freePort, kill, Primary } from "./processes.js";

const MODES = ["least_connections", "round_robin", "shared"];

for (const accept of MODES) {
  test(`with accept ${accept} each connection reaches a worker together with its port`, async (t) => {
    const ports = [await freePort(), await freePort()];
    const primary = new Primary(t, { settings: { accept }, ports, workers: 2 });
    await primary.logged("worker serves", 2);
    for (const port of ports) {
      const caller = await Caller.connect(t, port);
      assert.equal(await caller.ask("port"), String(port));
      assert.ok(primary.workers().includes(Number(await caller.ask("who"))));
    }
  });

  test(`with accept ${accept} connections made while the only worker is dead wait and are served`, async (t) => {
    const port = await freePort();
    const primary = new Primary(t, { settings: { accept }, ports: [port], workers: 1 });
    await primary.logged("gateway serves");
    const first = await Caller.connect(t, port);
    const pid = Number(await first.ask("who"));
    kill(pid);
    await first.closed;
    const callers = await Promise.all(Array.from({ length: 20 }, () => Caller.connect(t, port)));
    const answers = await Promise.all(callers.map((caller) => caller.ask("who")));
    await primary.logged("worker serves", 2);
    assert.deepEqual(new Set(answers), new Set([String(primary.workers()[1])]));
  });

  test(`with accept ${accept} a killed primary leaves no process and a free port, and calls end by themselves`, async (t) => {
    const port = await freePort();
    const primary = new Primary(t, { settings: { accept }, ports: [port], workers: 2 });
    await primary.logged("worker serves", 2);
    const caller = await Caller.connect(t, port);
    await caller.ask("hold");
    primary.child.kill("SIGKILL");
    assert.equal(await caller.line(), "goaway");
    await primary.logged("the primary is gone", 2);
    const next = new Primary(t, { settings: { accept }, ports: [port], workers: 1 });
    await next.logged("gateway serves");
    assert.equal(await caller.ask("still served"), "still served");
    caller.socket.end();
    await primary.allGone();
    const other = await Caller.connect(t, port);
    assert.equal(Number(await other.ask("who")), next.workers()[0]);
  });
}

test("connections that were handed to a worker which died before it took them over go to another", async (t) => {
  const port = await freePort();
  const primary = new Primary(t, { settings: {}, ports: [port], workers: 1 });
  await primary.logged("gateway serves");
  // A stopped worker takes nothing over: what is placed now is still the primary's when the worker dies.
  const [pid] = primary.workers();
  process.kill(pid!, "SIGSTOP");
  const callers = await Promise.all(Array.from({ length: 20 }, () => Caller.connect(t, port)));
  const answers = callers.map((caller) => caller.ask("who"));
  kill(pid!);
  await primary.logged("worker serves", 2);
  assert.deepEqual(new Set(await Promise.all(answers)), new Set([String(primary.workers()[1])]));
});

test("a worker that dies takes only its own connections with it", async (t) => {
  const port = await freePort();
  const primary = new Primary(t, { settings: {}, ports: [port], workers: 2 });
  await primary.logged("worker serves", 2);
  const one = await Caller.connect(t, port);
  const pid = Number(await one.ask("who"));
  const other = await Caller.connect(t, port);
  assert.notEqual(Number(await other.ask("who")), pid);
  kill(pid);
  await one.closed;
  assert.equal(await other.ask("still here"), "still here");
  await primary.logged("worker serves", 3);
});

test("least connections places long connections evenly", async (t) => {
  const port = await freePort();
  const primary = new Primary(t, { settings: {}, ports: [port], workers: 2 });
  await primary.logged("worker serves", 2);
  const counts = new Map<string, number>();
  for (let index = 0; index < 32; index += 1) {
    const caller = await Caller.connect(t, port);
    const who = String(await caller.ask("who"));
    counts.set(who, (counts.get(who) ?? 0) + 1);
  }
  assert.deepEqual([...counts.values()], [16, 16]);
});

test("a connection whose caller has gone before the hand-over does no harm", async (t) => {
  const port = await freePort();
  const primary = new Primary(t, { settings: {}, ports: [port], workers: 1 });
  await primary.logged("gateway serves");
  process.kill(primary.workers()[0]!, "SIGSTOP");
  const callers = await Promise.all(Array.from({ length: 10 }, () => Caller.connect(t, port)));
  for (const caller of callers) caller.socket.resetAndDestroy();
  process.kill(primary.workers()[0]!, "SIGCONT");
  const caller = await Caller.connect(t, port);
  assert.equal(Number(await caller.ask("who")), primary.workers()[0]);
});

test("a worker that keeps dying is started again more and more slowly", async (t) => {
  const port = await freePort();
  const primary = new Primary(t, { settings: {}, ports: [port], workers: 1 });
  await primary.logged("gateway serves");
  for (let death = 1; death <= 4; death += 1) {
    await primary.logged("worker serves", death);
    kill(primary.workers()[death - 1]!);
    await primary.logged("worker died", death);
  }
  const delays = primary.lines("worker died").map((line) => line.restartInMs);
  assert.deepEqual(delays, [0, 100, 200, 400]);
});

test("a start whose workers die before they serve ends with one message and exit code 1", async (t) => {
  const primary = new Primary(t, { settings: { secret: "die" }, ports: [await freePort()], workers: 1 });
  assert.deepEqual(await primary.exited, { code: 1, signal: null });
  await primary.allGone();
  assert.equal(primary.lines("workers die before they serve").length, 1);
});

test("a configuration that workers refuse ends the start with that message and exit code 1", async (t) => {
  const primary = new Primary(t, { settings: { secret: "refuse" }, ports: [await freePort()], workers: 2 });
  assert.deepEqual(await primary.exited, { code: 1, signal: null });
  await primary.allGone();
  assert.equal(primary.lines("the stand-in refuses this configuration").length, 1);
});

test("the primary keeps no descriptor of connections it has handed over, whoever died meanwhile", async (t) => {
  if (!existsSync("/proc/self/fd")) {
    t.skip("descriptors can be counted on Linux only");
    return;
  }
  const port = await freePort();
  const primary = new Primary(t, { settings: {}, ports: [port], workers: 1 });
  await primary.logged("gateway serves");
  const sockets = () => readdirSync(`/proc/${primary.pid}/fd`).length;
  // One connection first: whatever is opened once for all of them is open then.
  await (await Caller.connect(t, port)).ask("who");
  const before = sockets();
  const callers = await Promise.all(Array.from({ length: 50 }, () => Caller.connect(t, port)));
  await Promise.all(callers.map((caller) => caller.ask("who")));
  await untilAtMost(before, sockets);
  process.kill(primary.workers()[0]!, "SIGSTOP");
  const late = await Promise.all(Array.from({ length: 50 }, () => Caller.connect(t, port)));
  kill(primary.workers()[0]!);
  await Promise.all(late.map((caller) => caller.ask("who")));
  await untilAtMost(before, sockets);
});

/** The receipt of the last hand-over may still be on its way when its caller has its answer. */
async function untilAtMost(most: number, count: () => number): Promise<void> {
  while (count() > most) await new Promise((resolve) => setImmediate(resolve));
}

test("SIGHUP ends nothing", async (t) => {
  const port = await freePort();
  const primary = new Primary(t, { settings: {}, ports: [port], workers: 1 });
  await primary.logged("gateway serves");
  primary.child.kill("SIGHUP");
  await primary.logged("SIGHUP");
  assert.equal(await (await Caller.connect(t, port)).ask("still here"), "still here");
});
