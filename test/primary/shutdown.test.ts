// Ending well: signals, what is still served meanwhile, and what is left behind.

import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";
import { Caller, freePort, Primary } from "./processes.js";

async function readyStatus(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    http
      .get({ port, host: "127.0.0.1", path: "/ready", agent: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode!);
      })
      .on("error", reject);
  });
}

test("after SIGTERM the ports still accept for the delay while /ready says no on both kinds of port", async (t) => {
  const [port, control] = [await freePort(), await freePort()];
  const settings = {
    control_api_port: control,
    control_api_address: "127.0.0.1",
    graceful_shutdown_delay_seconds: 3_600,
    graceful_shutdown_timeout_duration: 3_600,
  };
  const primary = new Primary(t, { settings, ports: [port], workers: 1 });
  await primary.logged("gateway serves");
  assert.equal(await readyStatus(control), 200);
  primary.child.kill("SIGTERM");
  await primary.logged("ending");
  assert.equal(await readyStatus(control), 503);
  const caller = await Caller.connect(t, port);
  assert.equal(await caller.ask("ready"), "503");
  // The second signal skips the delay and the time for running calls.
  primary.child.kill("SIGTERM");
  assert.equal(await caller.line(), "goaway");
  await caller.closed;
  assert.deepEqual(await primary.exited, { code: 0, signal: null });
  assert.equal(primary.lines("ended").filter((line) => line.msg === "ended").length, 1);
  await primary.allGone();
});

test("running calls finish after SIGTERM, the port is closed, the control port answers, and the exit code is 0", async (t) => {
  const [port, control] = [await freePort(), await freePort()];
  const settings = {
    control_api_port: control,
    control_api_address: "127.0.0.1",
    graceful_shutdown_timeout_duration: 3_600,
  };
  const primary = new Primary(t, { settings, ports: [port], workers: 2 });
  await primary.logged("worker serves", 2);
  const caller = await Caller.connect(t, port);
  await caller.ask("hold");
  primary.child.kill("SIGTERM");
  assert.equal(await caller.line(), "goaway");
  await assert.rejects(Caller.connect(t, port), { code: "ECONNREFUSED" });
  assert.equal(await readyStatus(control), 503);
  assert.equal(await caller.ask("one more"), "one more");
  caller.socket.end();
  assert.deepEqual(await primary.exited, { code: 0, signal: null });
  await primary.allGone();
  await assert.rejects(readyStatus(control), { code: "ECONNREFUSED" });
});

test("a call that outlives the timeout is cut and the exit code is 0", async (t) => {
  const port = await freePort();
  const settings = { graceful_shutdown_timeout_duration: 0.05 };
  const primary = new Primary(t, { settings, ports: [port], workers: 1 });
  await primary.logged("gateway serves");
  const caller = await Caller.connect(t, port);
  await caller.ask("hold");
  primary.child.kill("SIGINT");
  assert.equal(await caller.line(), "goaway");
  await caller.closed;
  assert.deepEqual(await primary.exited, { code: 0, signal: null });
  await primary.allGone();
});

test("a signal during the start ends it, although workers do not listen to the primary yet", async (t) => {
  const settings = { graceful_shutdown_timeout_duration: 3_600 };
  const primary = new Primary(t, { settings, ports: [await freePort()], workers: 2 });
  await primary.logged("listening on");
  primary.child.kill("SIGTERM");
  assert.deepEqual(await primary.exited, { code: 0, signal: null });
  await primary.allGone();
});

test("a worker pays no heed to signals of its own", async (t) => {
  const port = await freePort();
  const primary = new Primary(t, { settings: {}, ports: [port], workers: 1 });
  await primary.logged("gateway serves");
  const caller = await Caller.connect(t, port);
  const pid = Number(await caller.ask("who"));
  process.kill(pid, "SIGTERM");
  process.kill(pid, "SIGINT");
  assert.equal(await caller.ask("still here"), "still here");
});

test("a worker that does not answer any more is killed and does not hold up the end", async (t) => {
  const port = await freePort();
  const settings = { graceful_shutdown_timeout_duration: 0 };
  const primary = new Primary(t, { settings, ports: [port], workers: 1 });
  await primary.logged("gateway serves");
  process.kill(primary.workers()[0]!, "SIGSTOP");
  primary.child.kill("SIGTERM");
  assert.deepEqual(await primary.exited, { code: 0, signal: null });
  await primary.allGone();
  assert.equal(primary.lines("did not end in time").length, 1);
});

test("a busy port is one line with address, port and setting, and exit code 1", async (t) => {
  const port = await freePort();
  const first = new Primary(t, { settings: {}, ports: [port], workers: 1 });
  await first.logged("gateway serves");
  for (const accept of ["least_connections", "shared"]) {
    const second = new Primary(t, { settings: { accept }, ports: [port], workers: 1 });
    assert.deepEqual(await second.exited, { code: 1, signal: null });
    await second.allGone();
    assert.equal(
      second.lines("cannot listen")[0]!.msg,
      `sluice: cannot listen on 127.0.0.1:${port} (listen_port): another process has this port`,
    );
  }
  const third = new Primary(t, {
    settings: { control_api_port: port, control_api_address: "127.0.0.1" },
    ports: [await freePort()],
    workers: 1,
  });
  assert.deepEqual(await third.exited, { code: 1, signal: null });
  assert.match(third.lines("cannot listen")[0]!.msg, /\(control_api_port\): another process has this port/);
});
