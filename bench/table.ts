/** Results as text: a Markdown table for the README and the terminal. Must not know how they came about. Runs once per run. */
import type { Figure, ScenarioResult } from "./rounds.js";

export const digits = (value: number): string => {
  if (!Number.isFinite(value)) return "–";
  if (value >= 100) return value.toFixed(0);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
};

export const unitText = (result: Pick<ScenarioResult, "unit" | "measure">): string =>
  `${result.measure === "memory" ? "KiB" : "µs"}/${result.unit}`;

const cell = (figure: Figure | undefined): string => {
  if (figure === undefined) return "–";
  if (figure.failed !== null) return "failed";
  const ratio = figure.ratio === null ? "" : ` (${figure.ratio.toFixed(2)}×)`;
  return `${digits(figure.cpuPerUnit)} ± ${(figure.spread * 100).toFixed(0)} %${ratio}`;
};

const peersOf = (results: readonly ScenarioResult[]): Map<string, string> => {
  const names = new Map<string, string>();
  for (const result of results) for (const figure of result.figures) names.set(figure.peer, figure.title);
  return names;
};

/** Rows are scenarios, columns proxies: CPU per unit, spread, and in brackets Sluice's share of it. */
export const markdownTable = (results: readonly ScenarioResult[]): string => {
  const peers = peersOf(results);
  const lines = [
    `| scenario | ${[...peers.values()].join(" | ")} |`,
    `|---|${[...peers].map(() => "---:|").join("")}`,
    ...results.map((result) => {
      const cells = [...peers.keys()].map((name) => cell(result.figures.find((figure) => figure.peer === name)));
      return `| ${result.scenario}, ${unitText(result)} | ${cells.join(" | ")} |`;
    }),
  ];
  return lines.join("\n");
};

const rateCell = (figure: Figure | undefined): string =>
  figure === undefined || figure.failed !== null ? "–" : Math.round(figure.callsPerSecond).toLocaleString("en-US");

export const rateTable = (results: readonly ScenarioResult[]): string => {
  const peers = peersOf(results);
  return [
    `| calls per second | ${[...peers.values()].join(" | ")} |`,
    `|---|${[...peers].map(() => "---:|").join("")}`,
    ...results.map(
      (result) =>
        `| ${result.scenario} | ${[...peers.keys()].map((name) => rateCell(result.figures.find((figure) => figure.peer === name))).join(" | ")} |`,
    ),
  ].join("\n");
};

/** Microseconds as a person would say them. */
export const time = (us: number): string => (us >= 1000 ? `${digits(us / 1000)} ms` : `${digits(us)} µs`);

export const latencyTable = (results: readonly ScenarioResult[]): string => {
  const rows = results.flatMap((result) =>
    result.figures
      .filter((figure) => figure.latency !== null)
      .map((figure) => {
        const latency = figure.latency!;
        const rate = result.rate === 0 ? "closed loop" : `${Math.round(result.rate).toLocaleString("en-US")}/s`;
        return `| ${result.scenario} | ${rate} | ${figure.title} | ${time(latency.p50)} | ${time(latency.p99)} | ${time(latency.p999)} | ${time(latency.max)} |`;
      }),
  );
  return rows.length === 0
    ? ""
    : ["| scenario | load | proxy | p50 | p99 | p99.9 | max |", "|---|---|---|---:|---:|---:|---:|", ...rows].join(
        "\n",
      );
};

export const failureLines = (results: readonly ScenarioResult[]): string[] =>
  results.flatMap((result) =>
    result.figures
      .filter((figure) => figure.failed !== null)
      .map((figure) => `FAILED ${result.scenario} through ${figure.title}: ${figure.failed}`),
  );
