/**
 * The HTTP/1.1 side, driven by autocannon. It counts answers that never came as nothing at all when the other side does not speak HTTP/1.1, so
 * an answer is first looked at with another client, and a run without answers is a failure. Must not know gRPC. Runs once per round.
 */
import { join } from "node:path";
import { startChild } from "./children.js";
import { CONTROL_SECRET } from "./peers/sluice.js";
import { projectRoot } from "./results.js";
import type { Sample } from "./rounds.js";
import type { ControlRequest, Scenario } from "./scenarios.js";
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

const SECRET_HEADER = "x-tyk-authorization";

const ask = async (url: string, { method, body }: Pick<ControlRequest, "method" | "body">): Promise<Response> =>
  fetch(url, {
    method,
    headers: { [SECRET_HEADER]: CONTROL_SECRET },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

/** What an answer must hold to be one: a health, an outcome, or a session. */
const WORDS = /"(status|access_rights)"/;

const look = async (url: string, request: ControlRequest): Promise<string | null> => {
  try {
    const answer = await ask(url, request);
    const text = await answer.text();
    return answer.status === 200 && WORDS.test(text) ? null : `${answer.status} ${text.slice(0, 100)}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
};

const countKeys = async (contender: Contender): Promise<number> => {
  const answer = await ask(`http://127.0.0.1:${contender.controlPort}/tyk/keys`, { method: "GET" });
  const { keys } = (await answer.json()) as { keys?: readonly string[] };
  return keys?.length ?? 0;
};

/** An answer that says a key was made is believed when the key is in the list. What was still under way at the end may be there as well. */
export const judgeMade = (request: ControlRequest, report: CannonReport, made: number): string | null =>
  request.method === "POST" && made < report["2xx"] ? `${report["2xx"]} answers, but ${made} keys were made` : null;

export const takeControlSample = async (
  contender: Contender,
  scenario: Scenario,
  control: ControlRequest,
  seconds: number,
): Promise<Sample | string> => {
  const { method, path, body } = control;
  const url = `http://127.0.0.1:${contender.controlPort}${path}`;
  const wrong = await look(url, control);
  if (wrong !== null) return `${method} ${path} answers ${wrong}`;
  const keysBefore = await countKeys(contender);
  const script = join(projectRoot, "node_modules", "autocannon", "autocannon.js");
  const args = [
    script,
    "--json",
    "--connections",
    String(scenario.connections),
    "--duration",
    String(Math.max(1, Math.round(seconds))),
    "--method",
    method,
    "--headers",
    `${SECRET_HEADER}=${CONTROL_SECRET}`,
    ...(body === undefined ? [] : ["--headers", "content-type=application/json", "--body", JSON.stringify(body)]),
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
  const failed = judgeCannon(report) ?? judgeMade(control, report, (await countKeys(contender)) - keysBefore);
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
