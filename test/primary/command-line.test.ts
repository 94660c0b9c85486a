// The command line: what is understood, and exit codes of the real program.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { readCommandLine } from "../../src/primary/command-line.js";
import { cgroupQuota } from "../../src/primary/cores.js";

const MAIN = fileURLToPath(new URL("../../src/primary/main.js", import.meta.url));

function run(...args: string[]) {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8" });
}

test("commands are read with their options", () => {
  assert.deepEqual(readCommandLine(["start", "--conf", "a.json", "--workers", "3"]), {
    name: "start",
    conf: "a.json",
    workers: 3,
  });
  assert.deepEqual(readCommandLine(["start", "--conf=a.json"]), { name: "start", conf: "a.json", workers: undefined });
  assert.deepEqual(readCommandLine(["lint", "--conf", "b"]), { name: "lint", conf: "b" });
  assert.deepEqual(readCommandLine(["keys", "export", "--conf", "b", "--file", "c"]), {
    name: "keys",
    action: "export",
    conf: "b",
    file: "c",
  });
  const explain = [
    "explain",
    "--path",
    "/a.B/C",
    "--port",
    "80",
    "--header",
    "a: b",
    "--header",
    "c:d",
    "--peer",
    "::1",
  ];
  assert.deepEqual(readCommandLine([...explain, "--json", "--conf", "b"]), {
    name: "explain",
    conf: "b",
    question: { path: "/a.B/C", port: 80, headers: ["a: b", "c:d"], peer: "::1" },
    json: true,
  });
  assert.deepEqual(readCommandLine(["version"]), { name: "version" });
  assert.deepEqual(readCommandLine(["--help"]), { name: "help" });
});

test("wrong use is told with what was found", () => {
  const problem = (...args: string[]) => {
    const command = readCommandLine(args);
    return command.name === "wrong" ? command.problem : "";
  };
  assert.equal(problem(), "a command is missing");
  assert.equal(problem("begin"), 'unknown command "begin"');
  assert.equal(problem("start", "more"), 'unexpected argument "more"');
  assert.equal(problem("lint", "--workers", "2"), "--workers belongs to start");
  assert.equal(problem("version", "--conf", "a"), "--conf does not belong to version");
  assert.equal(problem("start", "--conf="), "--conf needs a file");
  for (const workers of ["0", "1025", "two", "1.5", "99999"]) {
    assert.equal(
      problem("start", "--workers", workers),
      `--workers must be a whole number from 1 to 1024, found "${workers}"`,
    );
  }
  assert.match(problem("start", "--port", "1"), /--port belongs to explain/);
  assert.equal(problem("explain"), "explain needs --path");
  assert.equal(problem("explain", "--path", "/x", "--port", "x"), '--port must be a port, found "x"');
  assert.equal(problem("explain", "--path", "/x", "--file", "x"), "--file belongs to keys");
  assert.equal(problem("keys"), "keys needs export or import");
  assert.equal(problem("keys", "import", "more"), 'unexpected argument "more"');
  assert.equal(problem("keys", "import", "--workers", "2"), "--workers belongs to start");
  assert.equal(problem("lint", "--file", "x"), "--file belongs to keys");
});

test("wrong use prints the usage and exits 2; help and version exit 0", () => {
  const wrong = run("begin");
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /unknown command "begin"[\s\S]*usage: sluice start/);
  const help = run("help");
  assert.equal(help.status, 0);
  assert.match(help.stdout, /usage: sluice start/);
  const version = run("version");
  assert.equal(version.status, 0);
  assert.match(version.stdout, /^sluice \d+\.\d+\.\d+\n$/);
});

test("settings that cannot be read are one message and exit code 1, for start and lint", () => {
  for (const command of ["start", "lint"]) {
    const result = run(command, "--conf", "/does/not/exist.json");
    assert.equal(result.status, 1, command);
    assert.match(result.stdout + result.stderr, /\/does\/not\/exist\.json/);
  }
});

test("the CPU quota is the smallest on the way to the root, in either version of cgroups", () => {
  const files: Record<string, string> = {
    "/cpu.max": "max 100000\n",
    "/outer/cpu.max": "250000 100000\n",
    "/outer/inner/cpu.max": "400000 100000\n",
    "cpu,cpuacct/outer/cpu.cfs_quota_us": "150000\n",
    "cpu,cpuacct/outer/cpu.cfs_period_us": "100000\n",
    "cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
    "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
  };
  const read = (path: string) => files[path] ?? "";
  assert.equal(cgroupQuota("0::/outer/inner\n", read), 2.5);
  assert.equal(cgroupQuota("3:cpu,cpuacct:/outer/inner\n4:memory:/\n", read), 1.5);
  assert.equal(cgroupQuota("0::/\n", read), Number.POSITIVE_INFINITY);
  assert.equal(cgroupQuota("", read), Number.POSITIVE_INFINITY);
  assert.equal(
    cgroupQuota("garbage", () => "more garbage"),
    Number.POSITIVE_INFINITY,
  );
});
