/** The acceptance lines about CPU: Sluice's share of what nghttpx uses, in the same rounds. Must not know how a round is measured. */
import { PEERS } from "../peers/all.js";
import { runRounds } from "../rounds.js";
import { SCENARIOS, type Scenario } from "../scenarios.js";
import { buildStage, stageKey } from "../stage.js";
import { digits } from "../table.js";
import { type AcceptPlan, type ClaimGroup, failedVerdict, type Verdict } from "./claim.js";

const BARS: Readonly<Record<string, number>> = {
  "unary-10x100": 0.4,
  "unary-50x10": 0.6,
  "unary-100x1": 0.9,
  "deadline-10x100": 0.8,
  "reply-1mb": 1.3,
};
const ROUND_SECONDS = 2;

const judge = async (group: readonly Scenario[], plan: AcceptPlan): Promise<Verdict[]> => {
  const nghttpx = PEERS.filter((peer) => peer.name === "nghttpx");
  const stage = await buildStage(group, [plan.subject, ...nghttpx]);
  const verdicts: Verdict[] = [];
  for (const scenario of group) {
    const bar = BARS[scenario.name]!;
    const claim = `CPU per ${scenario.unit} at most ${bar.toFixed(2)} × nghttpx`;
    const result = await runRounds(stage, scenario, 0, {
      rounds: plan.rounds,
      seconds: ROUND_SECONDS,
      client: null,
      progress: plan.progress,
    });
    const [ours, theirs] = [plan.subject.name, "nghttpx"].map((name) =>
      result.figures.find((figure) => figure.peer === name),
    );
    const reason = ours?.failed ?? theirs?.failed ?? (theirs?.ratio == null ? "nghttpx is not installed" : null);
    if (reason !== null || ours === undefined || theirs === undefined) {
      verdicts.push(failedVerdict(scenario.name, claim, reason ?? "not measured"));
      continue;
    }
    const measured = `${theirs.ratio!.toFixed(2)} (${digits(ours.cpuPerUnit)} µs ± ${(ours.spread * 100).toFixed(0)} % against ${digits(theirs.cpuPerUnit)} µs ± ${(theirs.spread * 100).toFixed(0)} %)`;
    verdicts.push({ name: scenario.name, claim, measured, holds: theirs.ratio! <= bar });
  }
  await stage.stop();
  return verdicts;
};

export const ratioClaims: ClaimGroup = {
  names: Object.keys(BARS),
  run: async (wanted, plan) => {
    const groups = new Map<string, Scenario[]>();
    for (const scenario of SCENARIOS.filter((one) => wanted.includes(one.name))) {
      groups.set(stageKey(scenario), [...(groups.get(stageKey(scenario)) ?? []), scenario]);
    }
    const verdicts: Verdict[] = [];
    for (const group of groups.values()) verdicts.push(...(await judge(group, plan)));
    return verdicts;
  },
};
