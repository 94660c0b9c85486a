/**
 * `--base REV`: is the working tree faster than another revision? Both are built, run in the same rounds, and compared with a rank test over the pairs,
 * not by eye. Must not know how a round is measured. The revision is checked out and built in a scratch folder that is removed after.
 */
import { spawnSync } from "node:child_process";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "./options.js";
import { sluice } from "./peers/sluice.js";
import { projectRoot } from "./results.js";
import { type Figure, type RoundsPlan, runRounds, type ScenarioResult } from "./rounds.js";
import type { Scenario } from "./scenarios.js";
import { buildStage, scratchFolder, stageKey } from "./stage.js";
import { difference, pairedRatio, signedRank } from "./statistics.js";
import { digits, failureLines, unitText } from "./table.js";

const run = (folder: string, program: string, ...args: string[]): string => {
  const done = spawnSync(program, args, { cwd: folder, encoding: "utf8" });
  if (done.status !== 0)
    throw new Error(`${program} ${args.join(" ")} failed: ${(done.stderr || done.stdout).trim().slice(-600)}`);
  return done.stdout.trim();
};

/** Modules are shared with the checkout: the bench compares our code, not versions of others'. */
const checkOut = (revision: string, folder: string): string => {
  run(projectRoot, "git", "worktree", "add", "--detach", "--force", folder, revision);
  symlinkSync(join(projectRoot, "node_modules"), join(folder, "node_modules"));
  run(folder, process.execPath, join(projectRoot, "node_modules", "typescript", "bin", "tsc"), "-p", "tsconfig.json");
  return folder;
};

const removeWorktree = (folder: string): void => {
  spawnSync("git", ["worktree", "remove", "--force", folder], { cwd: projectRoot });
  spawnSync("git", ["worktree", "prune"], { cwd: projectRoot });
};

/** What the rounds can measure by themselves, at a rate of its own. */
const isCalls = (scenario: Scenario): boolean =>
  scenario.rateShare === 0 && scenario.idle === 0 && scenario.control === null;

const WORDS = { lower: "cheaper", higher: "DEARER", "no difference": "no difference" } as const;

export const compareFigures = (
  result: Pick<ScenarioResult, "scenario" | "unit" | "measure">,
  base: Figure,
  change: Figure,
): string => {
  const [before, after] = [base, change].map((figure) => figure.samples.map((sample) => sample.cpuPerUnit)) as [
    number[],
    number[],
  ];
  const ratio = pairedRatio(after, before);
  const verdict = WORDS[difference(before, after, signedRank)];
  return `${result.scenario}: ${verdict}; ${digits(base.cpuPerUnit)} → ${digits(change.cpuPerUnit)} ${unitText(result)}, ${ratio.toFixed(3)}×, p = ${signedRank(before, after).toFixed(3)}, ${after.length} rounds`;
};

export const compareWithBase = async (
  revision: string,
  scenarios: readonly Scenario[],
  plan: RoundsPlan,
): Promise<number> => {
  if (spawnSync("git", ["rev-parse", "--verify", "--quiet", `${revision}^{commit}`], { cwd: projectRoot }).status !== 0)
    throw new UsageError(`--base: git knows no revision "${revision}" here`);
  const folder = join(scratchFolder(), "base");
  process.once("exit", () => removeWorktree(folder));
  plan.progress(`building ${revision}`);
  const peers = [sluice(checkOut(revision, folder), "base", `Sluice at ${revision}`), sluice(projectRoot)];
  let failed = false;
  for (const key of new Set(scenarios.map(stageKey))) {
    const group = scenarios.filter((scenario) => stageKey(scenario) === key && isCalls(scenario));
    if (group.length === 0) continue;
    const stage = await buildStage(group, peers);
    for (const scenario of group) {
      const result = await runRounds(stage, scenario, 0, plan);
      const [base, change] = ["base", "sluice"].map((name) => result.figures.find((figure) => figure.peer === name));
      const lines = failureLines([result]);
      if (lines.length > 0 || base === undefined || change === undefined) {
        failed = true;
        for (const line of lines) process.stdout.write(`\r${line}\n`);
      } else process.stdout.write(`${process.stdout.isTTY ? "\r\x1b[K" : ""}${compareFigures(result, base, change)}\n`);
    }
    await stage.stop();
  }
  removeWorktree(folder);
  return failed ? 1 : 0;
};
