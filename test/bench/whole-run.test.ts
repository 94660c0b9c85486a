/** The bench as a command: what it says, what it returns, and that nothing of it stays. Real processes, short rounds. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { processTree } from "../../bench/cpu.js";
import { sluiceMain } from "../../bench/peers/sluice.js";
import { projectRoot } from "../../bench/results.js";
import { gone, until } from "../support/waiting.js";

const BENCH = fileURLToPath(new URL("../../bench/run.js", import.meta.url));
const SHORT = ["--rounds", "1", "--seconds", "0.1", "--no-keep"];
const built = existsSync(sluiceMain(projectRoot));
const skip = built || process.env.CI === "true" ? false : "the gateway is not built into dist";

let folder = "";
const running = new Set<ChildProcess>();
before(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-whole-run-"));
  mkdirSync(join(folder, "empty"));
});
after(() => {
  for (const child of running) child.kill("SIGTERM");
  rmSync(folder, { recursive: true, force: true });
});

interface Run {
  readonly child: ChildProcess;
  readonly printed: { out: string; err: string };
  readonly code: Promise<number | null>;
}

const bench = (args: readonly string[], path: string): Run => {
  const env = { ...process.env, PATH: path, TMPDIR: folder };
  const child = spawn(process.execPath, [BENCH, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  const printed = { out: "", err: "" };
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    printed.out += text;
  });
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    printed.err += text;
  });
  const code = new Promise<number | null>((resolve) =>
    child.once("close", (ended) => {
      running.delete(child);
      resolve(ended);
    }),
  );
  return { child, printed, code };
};

const leftovers = (): string[] => readdirSync(folder).filter((name) => name.startsWith("sluice-bench-"));

test("without any peer, load tool or other program on the PATH the bench still runs", { skip }, async () => {
  // Of the quick run, which takes longer: many calls at a time, calls that differ, and large ones.
  const names = ["unary-10x100", "deadline-10x100", "reply-1mb"];
  const chosen = names.flatMap((name) => ["--scenario", name]);
  const { printed, code } = bench([...chosen, ...SHORT, "--json"], join(folder, "empty"));
  assert.equal(await code, 0, printed.err);
  const results = printed.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { scenario: string; client: string; service: string; figures: Figure[] });
  assert.equal(results.length, names.length);
  for (const { scenario, client, service, figures } of results) {
    assert.deepEqual([client, service], ["own", "echo"], scenario);
    assert.deepEqual(
      figures.map((figure) => figure.peer),
      ["sluice", "node-http2"],
    );
    for (const figure of figures) assert.ok(figure.failed === null && figure.cpuPerUnit! > 0, scenario);
  }
  for (const missing of ["nghttpx", "HAProxy", "nginx", "Caddy", "Envoy"])
    assert.match(printed.err, new RegExp(`left out: ${missing}`));
  assert.deepEqual(leftovers(), []);
});

interface Figure {
  readonly peer: string;
  readonly cpuPerUnit: number | null;
  readonly failed: string | null;
}

/** Something that is called nghttpx, listens where it is told, and ends every connection at once: nothing answers more quickly. */
const brokenPeer = (): string => {
  const bin = join(folder, "broken");
  mkdirSync(bin);
  const program = `#!${process.execPath}
const port = process.argv.find((word) => word.startsWith("--frontend="))?.match(/,(\\d+)/)?.[1];
if (port === undefined) console.log("nghttpx nghttp2/0.0.1");
else require("node:net").createServer((socket) => socket.on("error", () => {}).end()).listen(Number(port), "127.0.0.1");
`;
  writeFileSync(join(bin, "nghttpx"), program, { mode: 0o755 });
  return bin;
};

test("a proxy that answers wrongly has failed with a reason, has no figure, and makes the exit code 1", {
  skip,
}, async () => {
  const args = ["--scenario", "unary-1x1", "--peer", "nghttpx", ...SHORT, "--json"];
  const { printed, code } = bench(args, brokenPeer());
  assert.equal(await code, 1, printed.err);
  assert.match(printed.err, /FAILED unary-1x1 through nghttpx: .*(closed|connect|reset)/i);
  const { figures } = JSON.parse(printed.out) as { figures: Figure[] };
  const [ours, broken] = ["sluice", "nghttpx"].map((name) => figures.find((figure) => figure.peer === name)!);
  assert.equal(broken!.cpuPerUnit, null);
  assert.ok(ours!.failed === null && ours!.cpuPerUnit! > 0);
});

test("Ctrl-C ends everything the bench started, and leaves no file", { skip }, async () => {
  const args = ["--scenario", "unary-1x1", "--peer", "node-http2", "--rounds", "9", "--seconds", "100", "--no-keep"];
  const { child, printed, code } = bench(args, process.env.PATH ?? "");
  // Bench, service, primary, worker, the other proxy and a client.
  let tree: number[] = [];
  await until("the bench runs all its processes", () => {
    tree = processTree(child.pid!);
    return tree.length >= 6 || child.exitCode !== null;
  });
  assert.equal(child.exitCode, null, printed.err);
  // As often as a terminal, npm and an impatient hand send it.
  while (child.exitCode === null && child.signalCode === null && child.kill("SIGINT")) await setImmediate();
  assert.equal(await code, 130);
  await gone(tree);
  assert.deepEqual(leftovers(), []);
});

test("--help is an answer, a revision that git does not know is wrong use", async () => {
  const help = bench(["--help"], process.env.PATH ?? "");
  assert.equal(await help.code, 0);
  assert.match(help.printed.out, /^usage:/);
  const base = bench(["--base", "no-such-revision", "--scenario", "unary-1x1"], process.env.PATH ?? "");
  assert.equal(await base.code, 2);
  assert.match(base.printed.err, /git knows no revision "no-such-revision" here\n\nusage:/);
});

test("wrong words on the command line get the usage and exit code 2", async () => {
  const { printed, code } = bench(["--scenario", "nope"], `${join(folder, "empty")}${delimiter}`);
  assert.equal(await code, 2);
  assert.match(printed.err, /unknown scenario "nope"[\s\S]*usage:/);
});
