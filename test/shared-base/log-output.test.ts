// Where lines are written, in a process of its own: what becomes of them, and of it, while nobody reads and when it ends.

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

const OUTPUT = new URL("../../src/shared/log-output.js", import.meta.url).href;
const LINES = 20_000;
const MOST = 100_000;

/** Writes more than may wait, all in one turn; then does what `then` says with `output`. */
const run = (then: string, most = MOST): ChildProcess => {
  const code = `
    const { LogOutput, leave } = await import(${JSON.stringify(OUTPUT)});
    const output = new LogOutput("", ${most});
    const write = (count) => { for (let n = 0; n < count; n++) output.write("line " + n + " ".repeat(90) + "\\n"); };
    ${then}`;
  return spawn(process.execPath, ["--input-type=module", "-e", code], { stdio: ["ignore", "pipe", "pipe"] });
};

const textOf = async (stream: NodeJS.ReadableStream): Promise<string> => {
  let text = "";
  for await (const part of stream) text += String(part);
  return text;
};

test("a reader that has stopped costs bounded memory, is counted, stops no timer, and holds no process", async () => {
  const child = run(`
    let turns = 0;
    const timer = setInterval(() => {
      turns++;
      write(${LINES});
      if (!output.stuck) return;
      process.stderr.write(JSON.stringify({ turns, dropped: output.dropped }));
      leave(0);
    }, 10);`);
  const ended = once(child, "exit");
  const told = JSON.parse(await textOf(child.stderr!)) as { turns: number; dropped: number };
  assert.ok(told.turns > 1);
  // What the system's own buffers hold is far less than a turn's lines.
  assert.ok(told.dropped > (told.turns - 1) * LINES - MOST, JSON.stringify(told));
  assert.deepEqual(await ended, [null, "SIGKILL"]);
  child.stdout?.destroy();
});

test("what waits is written before the process ends, where somebody reads", async () => {
  const child = run("write(900); leave(3);");
  const ended = once(child, "exit");
  const text = await textOf(child.stdout!);
  assert.equal(text.trimEnd().split("\n").length, 900);
  assert.deepEqual(await ended, [3, null]);
});

test("a reader that stopped just before the end is waited for a little, not for ever", async () => {
  // In one turn: nothing has shown yet that nobody reads.
  const child = run(`write(${LINES}); leave(0);`, LINES * 1_000);
  assert.deepEqual(await once(child, "exit"), [null, "SIGKILL"]);
  child.stdout?.destroy();
  child.stderr?.destroy();
});

test("a reader that has gone away ends nothing: lines are counted as dropped", async () => {
  const child = run(`
    const timer = setInterval(() => {
      write(10);
      if (output.dropped < 50) return;
      process.stderr.write("dropped");
      leave(0);
    }, 10);`);
  const ended = once(child, "exit");
  child.stdout?.destroy();
  assert.equal(await textOf(child.stderr!), "dropped");
  assert.deepEqual(await ended, [0, null]);
});

test("a file that cannot be opened, and a pipe that nobody opens to read, end nothing and hold nothing", async () => {
  const folder = mkdtempSync(join(tmpdir(), "sluice-log-"));
  try {
    const fifo = join(folder, "fifo");
    execFileSync("mkfifo", [fifo]);
    const wrong = run('new LogOutput("/dev/null/log", 1000).write("x"); setTimeout(() => leave(0), 50);');
    const unread = run(`new LogOutput(${JSON.stringify(fifo)}, 1000); setTimeout(() => leave(0), 50);`);
    const ends = [wrong, unread].map((child) => once(child, "exit"));
    assert.deepEqual(await Promise.all(ends), [
      [0, null],
      [null, "SIGKILL"],
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
