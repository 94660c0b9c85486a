// Responsible for: the README's lines about two replicas, run as they stand. Governed by: README, "Two replicas, one Redis".
// The packages and the build are there when tests run, so the first line's `npm …` commands are left out.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

function repository(): string {
  let folder = new URL(".", import.meta.url);
  while (!existsSync(new URL("package.json", folder))) folder = new URL("..", folder);
  return fileURLToPath(folder);
}

function lines(): string[] {
  const readme = readFileSync(`${repository()}/README.md`, "utf8");
  const section = readme.slice(readme.indexOf("## Two replicas, one Redis"));
  return /```sh\n([\s\S]*?)```/.exec(section)![1]!.trim().split("\n");
}

const missing = spawnSync("redis-server", ["--version"]).error !== undefined;
if (missing && process.env["CI"] === "true") throw new Error("redis-server is missing");

test("the README's five lines share a quota over two gateways", {
  skip: missing && "redis-server is missing",
}, async () => {
  const written = lines();
  assert.ok(written.length <= 5, "at most five lines");
  assert.match(written[0]!, /^npm ci && npm run build:all && /);
  const script = [written[0]!.replace("npm ci && npm run build:all && ", ""), ...written.slice(1)].join("\n");
  // A process group of its own, ended as a whole: what a reader would do with Ctrl-C in that terminal.
  const shell = spawn("bash", ["-c", `${script.replaceAll(".build/examples", builtExamples())}`], {
    cwd: repository(),
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  shell.stdout.on("data", (bytes) => {
    said += String(bytes);
  });
  shell.stderr.resume();
  try {
    await new Promise((resolve) => shell.on("exit", resolve));
    for (let call = 1; call <= 5; call++)
      assert.match(said, new RegExp(`call ${call} through 9080 {2}OK: you said: hello`), said);
    assert.match(said, /call 6 through 9080 {2}RESOURCE_EXHAUSTED: Quota exceeded/, said);
  } finally {
    const ended = new Promise((resolve) => shell.stdout.on("close", resolve));
    process.kill(-shell.pid!, "SIGTERM");
    await ended;
  }
});

/** Where this run's examples were compiled to. */
function builtExamples(): string {
  return fileURLToPath(new URL("../../examples", import.meta.url)).replace(/\/$/, "");
}
