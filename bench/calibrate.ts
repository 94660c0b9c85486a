/**
 * Do our own load client and h2load agree? Both drive the same proxy with the same scenario in turns, and the disagreement about the proxy's
 * CPU per call is printed: it is the error that choosing a client brings. Must not know tables. Runs in the full run, where h2load exists.
 */
import { chooseClient, driveThrough } from "./drive.js";
import { type RoundsPlan, takeSample } from "./rounds.js";
import type { Scenario } from "./scenarios.js";
import type { Contender, Stage } from "./stage.js";
import { median, spread } from "./statistics.js";

export interface Calibration {
  readonly scenario: string;
  readonly proxy: string;
  readonly own: readonly number[];
  readonly h2load: readonly number[];
}

export const calibrationText = ({ scenario, proxy, own, h2load }: Calibration): string => {
  const say = (values: readonly number[]): string =>
    `${median(values).toFixed(2)} µs ± ${(spread(values) * 100).toFixed(0)} %`;
  const apart = (median(own) / median(h2load) - 1) * 100;
  return `calibration, ${scenario} through ${proxy}: own client ${say(own)}, h2load ${say(h2load)}, disagreement ${apart >= 0 ? "+" : ""}${apart.toFixed(1)} %`;
};

const calibrateWith = async (
  stage: Stage,
  contender: Contender,
  scenario: Scenario,
  plan: RoundsPlan,
): Promise<Calibration | string> => {
  const found = { own: [] as number[], h2load: [] as number[] };
  for (let round = 0; round < plan.rounds; round++) {
    for (const client of ["own", "h2load"] as const) {
      plan.progress(`calibrating ${scenario.name}: round ${round + 1}/${plan.rounds} ${client}`);
      const { seconds, processes } = plan;
      const run = driveThrough(stage, contender, { scenario, seconds, client, rate: 0, processes });
      const sample = await takeSample(contender, run);
      if (typeof sample === "string") return `calibration of ${scenario.name} failed: ${sample}`;
      found[client].push(sample.cpuPerUnit);
    }
  }
  return { scenario: scenario.name, proxy: contender.peer.title, ...found };
};

/** Nothing where h2load cannot do the scenario. */
export const calibrate = async (stage: Stage, scenario: Scenario, plan: RoundsPlan): Promise<string[]> => {
  if (chooseClient(scenario, "h2load") !== "h2load" || plan.client !== null) return [];
  const lines: string[] = [];
  for (const contender of stage.contenders.filter((one) => one.peer.name === "sluice" || one.peer.name === "nghttpx")) {
    const found = await calibrateWith(stage, contender, scenario, plan);
    lines.push(typeof found === "string" ? found : calibrationText(found));
  }
  return lines;
};
