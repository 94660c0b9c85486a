/**
 * The HTTP/1.1 side, driven by autocannon. It counts answers that never came as nothing at all when the other side does not speak HTTP/1.1, so
 * an answer is first looked at with another client, and a run without answers is a failure. Must not know gRPC. Runs once per round.
 */
import { get } from "node:http";
import { join } from "node:path";
import { startChild } from "./children.js";
import { projectRoot } from "./results.js";
import type { Sample } from "./rounds.js";
import type { Scenario } from "./scenarios.js";
import { type Contender, placeOnCores } from "./stage.js";

const LATE_MS = 15_000;

/** What autocannon prints, as far as it is used. */
export interface CannonReport {
  readonly "2xx": number;
  readonly non2xx: number;
  readonly errors: number;
  readonly timeouts: number;
  readonly duration: number;
  readonly latency: { readonly p50: number; readonly p99: number; readonly p99_9: number; readonly max: number };
}

/** null = every request got its answer. */
export const judgeCannon = (report: CannonReport): string | null => {
  if (report.errors > 0) return `${report.errors} × autocannon: connection error`;
  if (report.timeouts > 0) return `${report.timeouts} × autocannon: no answer in time`;
  if (report.non2xx > 0) return `${report.non2xx} × autocannon: status is not 2xx`;
  return report["2xx"] > 0 ? null : "autocannon: not one answer";
};

const look = (url: string): Promise<string | null> =>
  new Promise((resolve) => {
    get(url, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.on("end", () =>
        resolve(
          response.statusCode === 200 && body.includes("status")
            ? null
            : `${response.statusCode} ${body.slice(0, 100)}`,
        ),
      );
    }).on("error", (error) => resolve(error.message));
  });

export const takeControlSample = async (
  contender: Contender,
  scenario: Scenario,
  seconds: number,
): Promise<Sample | string> => {
  const url = `http://127.0.0.1:${contender.controlPort}${scenario.control}`;
  const wrong = await look(url);
  if (wrong !== null) return `${scenario.control} answers ${wrong}`;
  const script = join(projectRoot, "node_modules", "autocannon", "autocannon.js");
  const args = [
    script,
    "--json",
    "--connections",
    String(scenario.connections),
    "--duration",
    String(Math.max(1, Math.round(seconds))),
    url,
  ];
  const before = contender.meter.readNs();
  const child = startChild("autocannon", { file: process.execPath, args }, placeOnCores().load, "");
  let printed = "";
  child.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
  });
  const limit = setTimeout(() => void child.stop(), seconds * 1000 + LATE_MS);
  await child.ended;
  clearTimeout(limit);
  const used = contender.meter.readNs() - before;
  let report: CannonReport;
  try {
    report = JSON.parse(printed) as CannonReport;
  } catch {
    return `autocannon printed no report: ${child.output().trim().slice(-200)}`;
  }
  const failed = judgeCannon(report);
  if (failed !== null) return failed;
  const perSecond = report["2xx"] / report.duration;
  const { p50, p99, p99_9, max } = report.latency;
  return {
    cpuPerUnit: used / 1000 / report["2xx"],
    callsPerSecond: perSecond,
    unitsPerSecond: perSecond,
    residentBytes: contender.meter.residentBytes(),
    latency: { p50: p50 * 1000, p99: p99 * 1000, p999: p99_9 * 1000, max: max * 1000 },
  };
};
