/**
 * Lines about CPU: Sluice's share of what another proxy uses, in the same rounds. Must not know how a round is measured, nor which bars are
 * acceptance and which are targets.
 */
import { peerNamed } from "../peers/all.js";
import { type Figure, runRounds, type ScenarioResult } from "../rounds.js";
import { type Scenario, scenarioNamed } from "../scenarios.js";
import { buildStage, type Stage, stageKey } from "../stage.js";
import { digits } from "../table.js";
import { type AcceptPlan, type ClaimGroup, failedVerdict, type Verdict } from "./claim.js";

const ROUND_SECONDS = 2;

/** At most `bar` of what `peer` uses in the scenario. */
export interface Bar {
  readonly scenario: string;
  readonly peer: string;
  readonly bar: number;
}

export const acceptRounds = (
  stage: Stage,
  scenario: Scenario,
  rate: number,
  plan: AcceptPlan,
): Promise<ScenarioResult> =>
  runRounds(stage, scenario, rate, {
    rounds: plan.rounds,
    seconds: ROUND_SECONDS,
    client: null,
    processes: null,
    progress: plan.progress,
  });

const about = (figure: Figure): string => `${digits(figure.cpuPerUnit)} µs ± ${(figure.spread * 100).toFixed(0)} %`;

/** Both figures of the pair, or why there are none. */
export const pairOf = (result: ScenarioResult, subject: string, peer: string): [Figure, Figure] | string => {
  const [ours, theirs] = [subject, peer].map((name) => result.figures.find((figure) => figure.peer === name));
  const reason = ours?.failed ?? theirs?.failed ?? null;
  if (reason !== null) return reason;
  if (ours === undefined) return "not measured";
  return theirs?.ratio == null ? `${peer} is not installed` : [ours, theirs];
};

export const shareText = ([ours, theirs]: readonly [Figure, Figure]): string =>
  `${theirs.ratio!.toFixed(2)} (${about(ours)} against ${about(theirs)})`;

const judge = (name: string, { scenario, peer, bar }: Bar, result: ScenarioResult, plan: AcceptPlan): Verdict => {
  const claim = `CPU per ${scenarioNamed(scenario).unit} at most ${bar.toFixed(2)} × ${peerNamed(peer).title}`;
  const pair = pairOf(result, plan.subject.name, peer);
  if (typeof pair === "string") return failedVerdict(name, claim, pair);
  return { name, claim, measured: shareText(pair), holds: pair[1].ratio! <= bar };
};

/** Scenarios with the same stage share it; bars of one scenario share its rounds. */
export const ratioGroup = (bars: ReadonlyMap<string, Bar>): ClaimGroup => ({
  names: [...bars.keys()],
  run: async (wanted, plan) => {
    const asked = [...bars].filter(([name]) => wanted.includes(name));
    const scenarios = [...new Set(asked.map(([, bar]) => bar.scenario))].map(scenarioNamed);
    const verdicts: Verdict[] = [];
    for (const key of new Set(scenarios.map(stageKey))) {
      const group = scenarios.filter((scenario) => stageKey(scenario) === key);
      const here = asked.filter(([, bar]) => group.some((scenario) => scenario.name === bar.scenario));
      const peers = [...new Set(here.map(([, bar]) => bar.peer))].map(peerNamed);
      const stage = await buildStage(group, [plan.subject, ...peers]);
      for (const scenario of group) {
        const result = await acceptRounds(stage, scenario, 0, plan);
        for (const [name, bar] of here)
          if (bar.scenario === scenario.name) verdicts.push(judge(name, bar, result, plan));
      }
      await stage.stop();
    }
    return verdicts;
  },
});

export const ofNghttpx = (scenario: string, bar: number): [string, Bar] => [
  scenario,
  { scenario, peer: "nghttpx", bar },
];

export const ratioClaims = ratioGroup(
  new Map([
    ofNghttpx("unary-10x100", 0.4),
    ofNghttpx("unary-50x10", 0.6),
    ofNghttpx("unary-100x1", 0.9),
    ofNghttpx("deadline-10x100", 0.8),
    ofNghttpx("reply-1mb", 1.3),
  ]),
);
