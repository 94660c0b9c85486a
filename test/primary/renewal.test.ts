// A rolling restart as processes see it: new workers serve before old ones drain, all of them or none.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { Caller, freePort, kill, Primary } from "./processes.js";

for (const accept of ["least_connections", "shared"]) {
  test(`with accept ${accept} SIGUSR2 replaces every worker: new connections go to new ones, old ones may finish`, async (t) => {
    const port = await freePort();
    const primary = new Primary(t, { settings: { accept }, ports: [port], workers: 2 });
    await primary.logged("worker serves", 2);
    const caller = await Caller.connect(t, port);
    assert.equal(await caller.ask("hold"), "hold");
    primary.child.kill("SIGUSR2");
    assert.equal(await caller.line(), "goaway");
    await primary.logged("every worker is new");
    const [first, second, ...fresh] = primary.workers();
    assert.equal(fresh.length, 2);
    assert.equal(await caller.ask("still served"), "still served");
    for (let n = 0; n < 4; n++) {
      const next = await Caller.connect(t, port);
      assert.ok(fresh.includes(Number(await next.ask("who"))));
    }
    caller.socket.end();
    const ended = await primary.logged("replaced worker ended", 2);
    assert.deepEqual(new Set(ended.map((line) => line.worker)), new Set([first, second]));
    assert.equal(primary.lines("worker died").length, 0);
  });
}

test("a rolling restart whose new workers cannot serve changes nothing, and says why", async (t) => {
  const port = await freePort();
  const file = join(mkdtempSync(join(tmpdir(), "sluice-renewal-")), "here");
  t.after(() => rmSync(dirname(file), { recursive: true }));
  writeFileSync(file, "");
  const primary = new Primary(t, { settings: { secret: `while-exists:${file}` }, ports: [port], workers: 2 });
  await primary.logged("worker serves", 2);
  const caller = await Caller.connect(t, port);
  const pid = await caller.ask("who");
  rmSync(file);
  primary.child.kill("SIGUSR2");
  const [refused] = await primary.logged("rolling restart refused");
  assert.equal(refused?.["problem"], "the stand-in is out of date");
  assert.equal(await caller.ask("who"), pid);
  assert.equal(primary.workers().length, 2);
  // And when the cause is gone it can be asked for again.
  writeFileSync(file, "");
  primary.child.kill("SIGUSR2");
  await primary.logged("every worker is new");
  assert.equal(await caller.line(), "goaway");
});

test("a rolling restart can be repeated", async (t) => {
  const port = await freePort();
  const primary = new Primary(t, { settings: {}, ports: [port], workers: 1 });
  await primary.logged("gateway serves");
  primary.child.kill("SIGUSR2");
  await primary.logged("every worker is new");
  primary.child.kill("SIGUSR2");
  await primary.logged("every worker is new", 2);
  assert.equal(primary.workers().length, 3);
});

test("a dead worker is not missed by a rolling restart: afterwards there are as many as before", async (t) => {
  const port = await freePort();
  const primary = new Primary(t, { settings: {}, ports: [port], workers: 2 });
  await primary.logged("worker serves", 2);
  const [first] = primary.workers();
  primary.child.kill("SIGUSR2");
  kill(first!);
  await primary.logged("every worker is new");
  const caller = await Caller.connect(t, port);
  const other = await Caller.connect(t, port);
  const pids = [Number(await caller.ask("who")), Number(await other.ask("who"))];
  assert.notEqual(pids[0], pids[1]);
  assert.ok(!pids.includes(first!));
});

test("SIGTERM in the middle of a rolling restart ends everything", async (t) => {
  const port = await freePort();
  const primary = new Primary(t, { settings: {}, ports: [port], workers: 2 });
  await primary.logged("worker serves", 2);
  primary.child.kill("SIGUSR2");
  await primary.logged("rolling restart");
  primary.child.kill("SIGTERM");
  await primary.allGone();
  assert.deepEqual(await primary.exited, { code: 0, signal: null });
});
