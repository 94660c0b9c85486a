/** The report page: the results as data inside one HTML file that draws them itself. Must not know how they were measured. */
import { readFileSync } from "node:fs";
import type { ResultLine } from "./results.js";

export const DATA_MARK = "/* RESULTS */";

/** The samples stay out: the page needs medians and spreads only. JSON inside a script must not close the script. */
export const reportData = (lines: readonly ResultLine[]): string => {
  const slim = lines.map((line) => ({
    ...line,
    figures: line.figures.map(({ samples, ...figure }) => ({ ...figure, rounds: samples.length })),
  }));
  return JSON.stringify(slim).replaceAll("<", "\\u003c");
};

export const reportPage = (lines: readonly ResultLine[], templateFile: string): string => {
  const template = readFileSync(templateFile, "utf8");
  if (!template.includes(DATA_MARK)) throw new Error(`${templateFile} has no place for the results (${DATA_MARK})`);
  return template.replace(DATA_MARK, () => `const RESULTS = ${reportData(lines)};`);
};
