/**
 * `npm run bench`: reads the command line, builds each stage, runs the rounds, prints and keeps the results. The exit code is 1 when any
 * scenario failed, 2 when the command line is wrong. Must not know how anything is measured.
 */

import { join } from "node:path";
import { compareWithBase } from "./base.js";
import { calibrate } from "./calibrate.js";
import { endWithParent, onPath, stopAllChildren, usableCores } from "./children.js";
import { type Options, readOptions, USAGE, UsageError } from "./options.js";
import { isInstalled, PEERS } from "./peers/all.js";
import type { Peer } from "./peers/peer.js";
import { plainSluice, sluice } from "./peers/sluice.js";
import { profileScenario } from "./profile.js";
import { openLoopRate } from "./rates.js";
import { writeReadme } from "./readme.js";
import { keepResults, projectRoot, resultLines } from "./results.js";
import { type RoundsPlan, runRounds, type ScenarioResult } from "./rounds.js";
import { SCENARIOS, type Scenario } from "./scenarios.js";
import { runSpecial } from "./special.js";
import { buildStage, removeScratch, stageKey } from "./stage.js";
import { failureLines, latencyTable, markdownTable, rateTable } from "./table.js";
import { waitingLines } from "./waiting.js";

const say = (text: string): void => {
  process.stderr.write(`${text}\n`);
};

/** One shape with full batches, one with none, one of bulk: between them lies the rest. */
const CALIBRATED = new Set(["unary-10x100", "unary-100x1", "reply-1mb"]);

const chooseScenarios = (options: Options): Scenario[] => {
  const chosen = SCENARIOS.filter((scenario) =>
    options.scenarios.length > 0 ? options.scenarios.includes(scenario.name) : !options.quick || scenario.quick,
  );
  const cores = usableCores().length;
  const reason = (scenario: Scenario): string | null => {
    if (scenario.named && options.scenarios.length === 0) return "takes long to set up; name it with --scenario";
    if (scenario.workers > cores) return `needs ${scenario.workers} cores, ${cores} are usable`;
    return scenario.store === "redis" && onPath("redis-server") === null ? "redis-server is not on the PATH" : null;
  };
  return chosen.filter((scenario) => {
    const why = reason(scenario);
    if (why !== null) say(`left out: ${scenario.name}: ${why}`);
    else if (scenario.workers === cores && cores > 1) say(`${scenario.name}: workers and load share all cores`);
    return why === null;
  });
};

const choosePeers = (options: Options): Peer[] => {
  const wanted = PEERS.filter((peer) => options.peers.length === 0 || options.peers.includes(peer.name));
  for (const peer of wanted) if (!isInstalled(peer)) say(`left out: ${peer.title} is not on the PATH`);
  if (options.peers.length === 0) say("left out: Tyk (it needs a Redis of its own; see bench/README.md)");
  return [sluice(projectRoot), ...wanted.filter(isInstalled)];
};

const groupByStage = (scenarios: readonly Scenario[]): Scenario[][] => {
  const groups = new Map<string, Scenario[]>();
  for (const scenario of scenarios) {
    const key = stageKey(scenario);
    groups.set(key, [...(groups.get(key) ?? []), scenario]);
  }
  return [...groups.values()];
};

const castOf = (scenario: Scenario, peers: readonly Peer[]): readonly Peer[] => {
  if (!scenario.alone) return peers;
  const ours = peers.filter((peer) => peer.role === "sluice");
  return scenario.against === null ? ours : [...ours, plainSluice(projectRoot, scenario.against)];
};

/** On a terminal one line is written over and over; into a file only what changes per scenario. */
const progressTo = (terminal: boolean): ((text: string) => void) => {
  let last = "";
  return (text) => {
    if (terminal) return void process.stderr.write(`\r\x1b[K${text}`);
    const head = text.split(":")[0]!;
    if (head !== last) say(head);
    last = head;
  };
};

const runStages = async (
  scenarios: readonly Scenario[],
  peers: readonly Peer[],
  plan: RoundsPlan,
  options: Options,
): Promise<ScenarioResult[]> => {
  const results: ScenarioResult[] = [];
  for (const group of groupByStage(scenarios)) {
    const first = group[0]!;
    plan.progress(
      `starting ${first.alone ? "Sluice" : "every proxy"} for ${group.map((scenario) => scenario.name).join(", ")}`,
    );
    const stage = await buildStage(group, castOf(first, peers));
    for (const [name, reason] of stage.absent) say(`\rnot running: ${name}: ${reason}`);
    for (const scenario of group) {
      const special = await runSpecial(stage, scenario, plan);
      results.push(special ?? (await runRounds(stage, scenario, await openLoopRate(stage, scenario, plan), plan)));
      if (!options.quick && CALIBRATED.has(scenario.name))
        for (const text of await calibrate(stage, scenario, plan)) say(`\r${text}`);
      if (options.profile && special === null) await profileScenario(scenario, say);
    }
    await stage.stop();
  }
  return results;
};

const main = async (): Promise<number> => {
  const options = readOptions(process.argv.slice(2));
  endWithParent(removeScratch);
  const scenarios = chooseScenarios(options);
  const plan: RoundsPlan = {
    rounds: options.rounds,
    seconds: options.seconds,
    client: options.client,
    processes: options.processes,
    progress: progressTo(process.stderr.isTTY === true),
  };
  if (onPath("h2load") === null) say("h2load is not installed: our own client drives everything");
  const started = Date.now();
  if (options.base !== null) return compareWithBase(options.base, scenarios, plan);
  const results = await runStages(scenarios, choosePeers(options), plan, options);
  await stopAllChildren();
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
  const lines = resultLines(results, options.quick);
  if (options.keep) keepResults(lines);
  if (options.json) for (const result of results) process.stdout.write(`${JSON.stringify(result)}\n`);
  else
    process.stdout.write(
      `\nCPU of the proxy; in brackets Sluice's share of it\n\n${markdownTable(results)}\n\n${rateTable(results)}\n\n${[latencyTable(results), ...waitingLines(results)].join("\n")}\n`,
    );
  const failures = failureLines(results);
  for (const line of failures) say(line);
  if (options.readme && failures.length > 0) say("README.md stays as it is: something failed");
  else if (options.readme) writeReadme(lines, join(projectRoot, "README.md"));
  say(`took ${Math.round((Date.now() - started) / 1000)} s`);
  return failures.length > 0 ? 1 : 0;
};

main()
  .then((code) => process.exit(code))
  .catch(async (error: unknown) => {
    await stopAllChildren();
    if (error instanceof UsageError && error.message === "") process.stdout.write(`${USAGE}\n`);
    else if (error instanceof UsageError) say(`${error.message}\n\n${USAGE}`);
    else say(error instanceof Error ? (error.stack ?? error.message) : String(error));
    process.exit(error instanceof UsageError ? (error.message === "" ? 0 : 2) : 1);
  });
