/** Where results stay: JSON lines in bench/results, the report page beside them. Must not know how they were measured. Runs once. */
import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { arch, cpus, release, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { usableCores } from "./children.js";
import { isInstalled, PEERS, versionOf } from "./peers/all.js";
import { reportPage } from "./report.js";
import type { ScenarioResult } from "./rounds.js";

/** The checkout: the nearest folder above the compiled code that holds a package.json. */
const findRoot = (folder: string): string => {
  if (existsSync(join(folder, "package.json")) || folder === dirname(folder)) return folder;
  return findRoot(dirname(folder));
};
export const projectRoot = findRoot(dirname(fileURLToPath(import.meta.url)));

export interface ResultLine extends ScenarioResult {
  readonly run: string;
  readonly quick: boolean;
  readonly commit: string;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
}

export const commitOf = (root: string): string => {
  try {
    const git = (...args: string[]): string => execFileSync("git", ["-C", root, ...args], { encoding: "utf8" }).trim();
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "--", "src") === "" ? "" : "+");
  } catch {
    return "unknown";
  }
};

export const machineText = (): string =>
  `${cpus()[0]?.model.trim() || arch()}, ${usableCores().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}`;

export const versions = (): Record<string, string> => ({
  node: process.version,
  ...Object.fromEntries(
    PEERS.filter((peer) => peer.program !== null && isInstalled(peer)).map((peer) => [peer.name, versionOf(peer)]),
  ),
});

export const resultLines = (results: readonly ScenarioResult[], quick: boolean, date = new Date()): ResultLine[] => {
  const about = {
    run: date.toISOString(),
    quick,
    commit: commitOf(projectRoot),
    machine: machineText(),
    versions: versions(),
  };
  return results.map((result) => ({ ...about, ...result }));
};

const resultsFolder = join(projectRoot, "bench", "results");

/** Every line kept so far, oldest first. */
export const readResults = (folder = resultsFolder): ResultLine[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".jsonl"))
    .sort()
    .flatMap((name) =>
      readFileSync(join(folder, name), "utf8")
        .split("\n")
        .filter((line) => line !== ""),
    )
    .map((line) => JSON.parse(line) as ResultLine);

export const keepResults = (lines: readonly ResultLine[]): void => {
  if (lines.length === 0) return;
  mkdirSync(resultsFolder, { recursive: true });
  const file = join(resultsFolder, `${lines[0]!.run.slice(0, 10)}.jsonl`);
  appendFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  writeFileSync(
    join(projectRoot, "bench", "report.html"),
    reportPage(lines, join(projectRoot, "bench", "report-template.html")),
  );
};
