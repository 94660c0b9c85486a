/**
 * What gateways in their mode for tests wrote about their admissions, counted by window. Must not know who called.
 * Runs once per place.
 */
import { mkdtempSync, readdirSync, readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { scratchFolder } from "../stage.js";

export { STAMPS_VARIABLE } from "../../src/worker/admit/limits/stamps.js";

export const stampFolder = (): string => mkdtempSync(join(scratchFolder(), "stamps-"));

/** Admissions per window of the counters whose name ends so, in order of time, empty windows included; the files are empty then. */
export const takeWindows = (folder: string, suffix: string): number[] => {
  const counts = new Map<number, number>();
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    for (const line of readFileSync(file, "latin1").split("\n")) {
      if (!line.endsWith(suffix)) continue;
      const end = Number.parseFloat(line);
      counts.set(end, (counts.get(end) ?? 0) + 1);
    }
    // Workers of another place may have it open.
    truncateSync(file);
  }
  const ends = [...counts.keys()].sort((a, b) => a - b);
  const windows: number[] = [];
  for (let end = ends[0] ?? 0; end <= (ends.at(-1) ?? -1); end += 1_000) windows.push(counts.get(end) ?? 0);
  return windows;
};
