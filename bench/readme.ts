/**
 * `--readme`: the table of a run into the README, between its two marks, with when, where and with what it was measured. Must not know how.
 * Runs once, on demand.
 */
import { readFileSync, writeFileSync } from "node:fs";
import type { ResultLine } from "./results.js";
import { markdownTable } from "./table.js";

const BEGIN = "<!-- bench:begin -->";
const END = "<!-- bench:end -->";

const about = ({ run, machine, commit, versions }: ResultLine, rounds: number): string => {
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `CPU time of the proxy, the median of ${rounds} interleaved rounds ± half their range; in brackets Sluice's share of it, pair by
pair. Measured ${run.slice(0, 10)} at ${commit} on ${machine}; ${programs.join(", ")}.`;
};

export const readmeText = (lines: readonly ResultLine[]): string => {
  const [first] = lines;
  if (first === undefined) throw new Error("there is no result to write into the README");
  const rounds = Math.max(...lines.flatMap((line) => line.figures.map((figure) => figure.samples.length)));
  return `${markdownTable(lines)}\n\n${about(first, rounds)}`;
};

/** `page` with what stands between the marks replaced. */
export const withTable = (page: string, text: string): string => {
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`the README has no place for the table (${BEGIN} … ${END})`);
  return `${page.slice(0, from + BEGIN.length)}\n${text}\n${page.slice(to)}`;
};

export const writeReadme = (lines: readonly ResultLine[], file: string): void =>
  writeFileSync(file, withTable(readFileSync(file, "utf8"), readmeText(lines)));
