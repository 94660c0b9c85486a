// `npm test [-- WORD …]`: every compiled test file, or those whose path holds one of the words, under node's runner.
// Node 20 knows no patterns of files, so they are listed here. Soaks are left out unless named; `--minutes N` says how long
// the long run of soak/ is.

import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const words = process.argv.slice(2);
const long = words.indexOf("--minutes");
if (long >= 0) {
  const [, minutes = ""] = words.splice(long, 2);
  if (!(Number(minutes) > 0)) {
    process.stderr.write(`--minutes needs a number above 0, not "${minutes}"\n`);
    process.exit(2);
  }
  process.env["SLUICE_SOAK_MINUTES"] = minutes;
}

function chosen(file: string): boolean {
  if (!file.endsWith(".test.js")) return false;
  if (words.length === 0) return !file.startsWith("soak/");
  return words.some((word) => file.includes(word));
}

const files = (readdirSync(folder, { recursive: true }) as string[]).filter(chosen).sort();
if (files.length === 0) {
  process.stderr.write(`no test file matches ${words.join(" or ")}\n`);
  process.exit(1);
}
const run = spawnSync(
  process.execPath,
  ["--test", "--test-reporter=spec", "--test-concurrency=2", ...files.map((file) => folder + file)],
  { stdio: "inherit" },
);
process.exit(run.status ?? 1);
