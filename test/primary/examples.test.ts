// The example service and the demo, without a gateway between them: that is for the system's tests.

import assert from "node:assert/strict";
import { fork, spawnSync } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { freePort } from "./processes.js";

const DEMO = fileURLToPath(new URL("../../examples/demo.js", import.meta.url));
const SERVICE = fileURLToPath(new URL("../../examples/service/main.js", import.meta.url));

test("the demo shows what came back from a call of each kind", async (t) => {
  const port = await freePort();
  const service = fork(SERVICE, [String(port)], { stdio: ["ignore", "pipe", "inherit", "ipc"] });
  const gone = once(service, "exit");
  t.after(async () => {
    service.kill("SIGKILL");
    await gone;
  });
  await once(service.stdout!, "data");
  const demo = spawnSync(process.execPath, [DEMO, `127.0.0.1:${port}`], { encoding: "utf8" });
  assert.equal(demo.status, 0, demo.stderr);
  assert.match(demo.stdout, /unary +you said: hello/);
  assert.match(demo.stdout, /client streaming +many words one sentence/);
  assert.match(demo.stdout, /server streaming +one \| sentence \| many \| words/);
  assert.match(demo.stdout, /bidirectional +one, too \| two, too \| three, too/);
});

test("the demo says in one line that no gateway runs, and exits 1", async () => {
  const demo = spawnSync(process.execPath, [DEMO, `127.0.0.1:${await freePort()}`], { encoding: "utf8" });
  assert.equal(demo.status, 1);
  assert.match(demo.stderr, /^demo: no gateway answers on 127\.0\.0\.1:\d+; start it with `npm start`.*\n$/);
});
