/**
 * `--profile`: a CPU profile of one Sluice worker under a scenario, from V8's own sampler, with the functions that took most printed.
 * Must not know what they do. Runs on demand, aside from the measured rounds: sampling costs time itself.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { chooseClient, drive, driveThrough } from "./drive.js";
import { sluice } from "./peers/sluice.js";
import { projectRoot } from "./results.js";
import type { Scenario } from "./scenarios.js";
import { buildStage } from "./stage.js";

const SECONDS = 4;
const SHOWN = 25;

export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface Share {
  readonly place: string;
  readonly share: number;
}

/** Time spent in each function itself, without what it calls; idle time is left out of the sum. */
export const topFunctions = (profile: CpuProfile): Share[] => {
  const names = new Map(
    profile.nodes.map(({ id, callFrame }) => {
      const file = callFrame.url.replace(/^.*\/dist\//, "").replace(/^file:\/\//, "");
      return [
        id,
        `${callFrame.functionName || "(anonymous)"}${file === "" ? "" : ` ${file}:${callFrame.lineNumber + 1}`}`,
      ];
    }),
  );
  const spent = new Map<string, number>();
  let sum = 0;
  profile.samples.forEach((id, i) => {
    const name = names.get(id) ?? "";
    if (name.startsWith("(idle)")) return;
    const time = profile.timeDeltas[i] ?? 0;
    sum += time;
    spent.set(name, (spent.get(name) ?? 0) + time);
  });
  return [...spent].map(([place, time]) => ({ place, share: time / sum })).sort((a, b) => b.share - a.share);
};

/** Every process of the gateway writes a profile when it ends; the busy worker's has by far the most time outside idle. */
const busiest = (folder: string): CpuProfile | null => {
  let best: CpuProfile | null = null;
  let most = 0;
  for (const name of readdirSync(folder).filter((one) => one.endsWith(".cpuprofile"))) {
    if (statSync(join(folder, name)).size === 0) continue;
    const profile = JSON.parse(readFileSync(join(folder, name), "utf8")) as CpuProfile;
    const idle = new Set(
      profile.nodes.filter((node) => node.callFrame.functionName === "(idle)").map((node) => node.id),
    );
    const busy = profile.samples.reduce((sum, id, i) => sum + (idle.has(id) ? 0 : (profile.timeDeltas[i] ?? 0)), 0);
    if (busy > most) [best, most] = [profile, busy];
  }
  return best;
};

export const profileScenario = async (scenario: Scenario, say: (text: string) => void): Promise<void> => {
  const profiled = sluice(projectRoot, "sluice-profiled", "Sluice, profiled", [
    "--cpu-prof",
    "--cpu-prof-interval=200",
  ]);
  const stage = await buildStage([scenario], [profiled]);
  const contender = stage.contenders[0];
  if (contender === undefined) {
    say(`no profile: ${[...stage.broken.values()][0] ?? "not started"}`);
    return stage.stop();
  }
  const client = chooseClient(scenario, null);
  await drive(driveThrough(stage, contender, { scenario, seconds: SECONDS, client, rate: 0, processes: null }));
  await contender.child.stop();
  const profile = busiest(join(stage.folder, contender.peer.name));
  await stage.stop();
  if (profile === null) return say("no profile was written");
  say(`\nprofile of one worker under ${scenario.name}:`);
  for (const { place, share } of topFunctions(profile).slice(0, SHOWN))
    say(`${(share * 100).toFixed(1).padStart(6)} %  ${place}`);
};
