// Responsible for: the commands that docs/ shows as tested do what the page says. All such blocks of a page are one
// script, in their order, run in an empty folder; a command that fails, fails the test.
// Must not know: what the commands are for. Ports, the program and the example service are those of the test: a page says
// 8080, 8081, 8443, 9080, 9081, 6390, 50051, `sluice` and /opt/sluice. Governed by: docs/.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { freePorts } from "../support/gateway.js";
import { pages } from "./pages.js";

const BUILD = fileURLToPath(new URL("../../", import.meta.url));
const PORTS = ["8080", "8081", "8443", "9080", "9081", "6390", "50051"];
const TOOLS = ["curl", "openssl", "redis-server", "sed"];
/** Far above what a script takes; it ends one that hangs. */
const LIMIT_MS = 180_000;

/** Whoever waits for a process that has ended waits in vain: the pages wait with sleep. */
const PRELUDE = `set -eux
sleep() { command sleep "$@"; jobs > .jobs; if grep -vq Running .jobs; then cat .jobs; exit 1; fi; }
trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
`;

async function run(script: string): Promise<{ readonly code: number | null; readonly output: string }> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-docs-"));
  const tools = join(folder, ".tools");
  mkdirSync(tools);
  const program = join(tools, "sluice");
  writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${BUILD}src/primary/main.js" "$@"\n`);
  chmodSync(program, 0o755);
  const path = `${tools}${delimiter}${process.env["PATH"]}`;
  const env = { ...process.env, PATH: path, HOME: folder, TYK_GW_WORKERS: "1" };
  // A group of its own, so that nothing of it is left, whatever happens.
  const shell = spawn("bash", ["-c", PRELUDE + script], { cwd: folder, env, detached: true, stdio: "pipe" });
  const chunks: Buffer[] = [];
  for (const stream of [shell.stdout, shell.stderr]) stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  const limit = setTimeout(() => endGroup(shell.pid!), LIMIT_MS);
  try {
    const code = await new Promise<number | null>((resolve) => shell.once("close", resolve));
    return { code, output: Buffer.concat(chunks).toString() };
  } finally {
    clearTimeout(limit);
    endGroup(shell.pid!);
    rmSync(folder, { recursive: true, force: true });
  }
}

function endGroup(group: number): void {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // Nothing is left of it.
  }
}

describe("the commands of docs", () => {
  const missing = TOOLS.filter((tool) => spawnSync(tool, ["--version"]).error !== undefined);
  const skip = missing.length > 0 && process.env["CI"] !== "true" ? `${missing.join(", ")} not installed` : false;
  for (const { path, fences } of pages()) {
    const blocks = fences.filter(({ info }) => info === "sh tested").map(({ text }) => text);
    if (blocks.length === 0) continue;
    test(`${path}: every tested command succeeds`, { skip }, async () => {
      const free = await freePorts(PORTS.length);
      const ports = new Map(PORTS.map((port, n) => [port, String(free[n])]));
      const script = blocks
        .join("\n")
        .replace(/\b\d{4,5}\b/g, (port) => ports.get(port) ?? port)
        .replaceAll("/opt/sluice/.build/", BUILD);
      const { code, output } = await run(script);
      assert.equal(code, 0, output);
    });
  }
});
