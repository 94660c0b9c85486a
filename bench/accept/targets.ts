/**
 * The targets: what the work on the path of a call aims at, stricter than the acceptance lines and run only when asked for (`targets`, or by
 * name). Must not know how anything is measured.
 */
import { usableCores } from "../children.js";
import { isInstalled, PEERS, peerNamed } from "../peers/all.js";
import type { Peer } from "../peers/peer.js";
import { plainSluice } from "../peers/sluice.js";
import { openLoopRate } from "../rates.js";
import { projectRoot } from "../results.js";
import type { RoundsPlan } from "../rounds.js";
import { SCENARIOS, scenarioNamed } from "../scenarios.js";
import { runSpecial } from "../special.js";
import { buildStage, type Stage } from "../stage.js";
import { judgeWaiting } from "../waiting.js";
import { type AcceptPlan, type ClaimGroup, failedVerdict, type Verdict } from "./claim.js";
import { acceptRounds, type Bar, pairOf, ratioGroup, shareText } from "./ratios.js";

const PREFIX = "target-";
const target = (scenario: string, bar: number, peer = "nghttpx", name = scenario): [string, Bar] => [
  PREFIX + name,
  { scenario, peer, bar },
];

const costs = ratioGroup(
  new Map([
    target("unary-10x100", 0.25),
    target("unary-50x10", 0.45),
    target("unary-100x1", 0.75),
    target("unary-100x1", 1, "haproxy-tcp", "unary-100x1-floor"),
    target("deadline-10x100", 0.5),
    target("reply-1mb", 1),
    target("tls-10x100", 0.45),
    target("tls-reply-1mb", 1.2),
  ]),
);

const roundsPlan = (plan: AcceptPlan): RoundsPlan => ({ ...plan, seconds: 2, client: null, processes: null });

/** Runs `judge` on a stage with the subject and `peers`; a subject that does not start is a failed line. */
const onStage = async (
  line: { readonly name: string; readonly claim: string },
  scenario: string,
  peers: readonly Peer[],
  plan: AcceptPlan,
  judge: (stage: Stage) => Promise<Pick<Verdict, "measured" | "holds"> | string>,
): Promise<Verdict> => {
  const stage = await buildStage([scenarioNamed(scenario)], [plan.subject, ...peers]);
  try {
    const broken = [...stage.broken].find(([peer]) => peer === plan.subject)?.[1];
    const found = broken ?? (await judge(stage));
    return typeof found === "string" ? failedVerdict(line.name, line.claim, found) : { ...line, ...found };
  } finally {
    await stage.stop();
  }
};

const WAITING = {
  name: `${PREFIX}p99`,
  claim: "p99 at 60 % of what the dearest proxy carries not worse than the best proxy's, by rank test",
};

const waiting: ClaimGroup = {
  names: [WAITING.name],
  run: async (_wanted, plan) => [
    await onStage(WAITING, "open-60", PEERS.filter(isInstalled), plan, async (stage) => {
      const scenario = scenarioNamed("open-60");
      const rate = await openLoopRate(stage, scenario, roundsPlan(plan));
      const result = await acceptRounds(stage, scenario, rate, plan);
      const failed = result.figures.find((figure) => figure.role === "sluice")?.failed;
      if (failed != null) return failed;
      const verdict = judgeWaiting(result);
      if (verdict === null) return "no proxy to compare with";
      return { measured: `${verdict.text}, at ${Math.round(rate)} calls/s`, holds: verdict.holds };
    }),
  ],
};

const IDLE_KIB = 4;
const IDLE = {
  name: `${PREFIX}idle`,
  claim: `memory per idle h2c connection at most nghttpx's and ${IDLE_KIB} KiB`,
};

const idle: ClaimGroup = {
  names: [IDLE.name],
  run: async (_wanted, plan) => [
    await onStage(IDLE, "idle-10000", [peerNamed("nghttpx")].filter(isInstalled), plan, async (stage) => {
      const result = await runSpecial(stage, scenarioNamed("idle-10000"), roundsPlan(plan));
      const pair = result === null ? "not measured" : pairOf(result, plan.subject.name, "nghttpx");
      if (typeof pair === "string") return pair;
      const [ours, theirs] = pair.map((figure) => figure.cpuPerUnit) as [number, number];
      return {
        measured: `${ours.toFixed(1)} KiB against ${theirs.toFixed(1)} KiB`,
        holds: ours <= theirs + IDLE_KIB,
      };
    }),
  ],
};

/** What the same build differs from itself by is nobody's fault. */
const FLAT = 0.1;
const FLAT_SCENARIOS = SCENARIOS.filter((scenario) => scenario.workers > 1 || scenario.definitions > 1);

const judgeFlat = async (name: string, plan: AcceptPlan): Promise<Verdict> => {
  const scenario = scenarioNamed(name.slice(`${PREFIX}flat-`.length));
  const line = { name, claim: `CPU per call as of plain Sluice, within the larger of ${FLAT * 100} % and the spread` };
  if (scenario.workers > usableCores().length)
    return failedVerdict(name, line.claim, `needs ${scenario.workers} cores, ${usableCores().length} are usable`);
  return onStage(line, scenario.name, [plainSluice(projectRoot, scenario.against!)], plan, async (stage) => {
    const pair = pairOf(await acceptRounds(stage, scenario, 0, plan), plan.subject.name, "plain");
    if (typeof pair === "string") return pair;
    const [, plain] = pair;
    return { measured: shareText(pair), holds: plain.ratio! <= 1 + Math.max(FLAT, plain.spread) };
  });
};

const flat: ClaimGroup = {
  names: FLAT_SCENARIOS.map((scenario) => `${PREFIX}flat-${scenario.name}`),
  run: async (wanted, plan) => {
    const verdicts: Verdict[] = [];
    for (const name of wanted) verdicts.push(await judgeFlat(name, plan));
    return verdicts;
  },
};

export const TARGET_GROUPS: readonly ClaimGroup[] = [costs, waiting, idle, flat];
