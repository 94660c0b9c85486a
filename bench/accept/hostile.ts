/** The acceptance lines about hostile callers: how long another connection's calls take meanwhile. Must not know the attacks' bytes. */
import { fileURLToPath } from "node:url";
import { pause, startChild } from "../children.js";
import { echoOrder, type LoadOrder } from "../load/order.js";
import { runOwnClient } from "../load/run-client.js";
import { failureText } from "../outcome.js";
import { scenarioNamed } from "../scenarios.js";
import { buildStage, placeOnCores, type Stage } from "../stage.js";
import { median } from "../statistics.js";
import type { AttackReport } from "./attack-process.js";
import { ATTACKS } from "./attacks.js";
import { type AcceptPlan, type ClaimGroup, failedVerdict, type Verdict } from "./claim.js";

const SECONDS = 1.5;
const LEAD_MS = 200;
const FLOOR_US = 20_000;
const TIMES_QUIET = 5;

const honestCalls = (port: number): LoadOrder =>
  echoOrder(port, { connections: 2, streams: 20, seconds: SECONDS, varying: true, rate: 400, tolerant: true });

const p99 = async (stage: Stage): Promise<number | string> => {
  const outcome = await runOwnClient(honestCalls(stage.contenders[0]!.port), placeOnCores().load);
  const failures = failureText(outcome.failures);
  return failures !== "" || outcome.latency === null ? failures || "no calls" : outcome.latency.p99;
};

const startAttack = (name: string, port: number): Promise<AttackReport | string> => {
  const script = fileURLToPath(new URL("./attack-process.js", import.meta.url));
  const args = [script, name, String(port), String(SECONDS + LEAD_MS / 1000 + 0.3)];
  const child = startChild(`attack ${name}`, { file: process.execPath, args }, placeOnCores().load, "");
  let printed = "";
  child.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
  });
  return child.ended.then((code) => {
    if (code !== 0) return `the attacker itself failed with code ${code}: ${child.output().trim().slice(-400)}`;
    return JSON.parse(printed) as AttackReport;
  });
};

const underAttack = async (
  stage: Stage,
  name: string,
): Promise<{ value: number | string; report: AttackReport | string }> => {
  const attack = startAttack(name, stage.contenders[0]!.port);
  await pause(LEAD_MS);
  const value = await p99(stage);
  return { value, report: await attack };
};

const ms = (us: number): string => `${(us / 1000).toFixed(1)} ms`;

const judge = async (stage: Stage, name: string, plan: AcceptPlan): Promise<Verdict> => {
  const attack = ATTACKS.find((one) => one.name === name)!;
  const claim = `${attack.about}: p99 of other calls under max(${TIMES_QUIET} × quiet, ${FLOOR_US / 1000} ms)`;
  const [quiet, loud]: [number[], number[]] = [[], []];
  let last: AttackReport = { opened: 0, ended: 0, codes: {} };
  for (let round = 0; round < plan.rounds; round++) {
    plan.progress(`${name}: round ${round + 1}/${plan.rounds}`);
    const calm = await p99(stage);
    const { value, report } = await underAttack(stage, name);
    if (typeof calm === "string") return failedVerdict(name, claim, `quiet calls: ${calm}`);
    if (typeof report === "string") return failedVerdict(name, claim, report);
    if (typeof value === "string") return failedVerdict(name, claim, `calls during the attack: ${value}`);
    quiet.push(calm);
    loud.push(value);
    last = report;
  }
  const bar = Math.max(TIMES_QUIET * median(quiet), FLOOR_US);
  const codes =
    Object.entries(last.codes)
      .map(([code, count]) => `code ${code} × ${count}`)
      .join(", ") || "none";
  const measured = `${ms(median(loud))} against ${ms(median(quiet))} quiet; last round ended ${last.ended} of ${last.opened} connections, GOAWAY ${codes}`;
  return { name, claim, measured, holds: median(loud) < bar };
};

export const hostileClaims: ClaimGroup = {
  names: ATTACKS.map((attack) => attack.name),
  run: async (wanted, plan) => {
    const stage = await buildStage([scenarioNamed("deadline-10x100")], [plan.subject]);
    const broken = [...stage.broken.values()][0];
    const verdicts: Verdict[] = [];
    for (const name of wanted)
      verdicts.push(broken === undefined ? await judge(stage, name, plan) : failedVerdict(name, "", broken));
    await stage.stop();
    return verdicts;
  },
};
