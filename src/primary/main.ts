#!/usr/bin/env node
// The entry point: `sluice start | lint | keys | explain | version | help`.
// Responsible for turning a command into its effect and its exit code. Must not know: how anything is done.
// Exit codes: 0 done, 1 refused (settings, ports, problems found), 2 wrong use. Runs: once.

import { fileURLToPath } from "node:url";
import { closedBecause } from "../shared/config/gate-settings.js";
import type { Settings } from "../shared/config.js";
import { explanationText } from "../shared/explanation.js";
import { prettify } from "../shared/model/problem.js";
import { type Command, readCommandLine, USAGE } from "./command-line.js";
import { readQuestion } from "./control/explain.js";
import { usableCores } from "./cores.js";
import { explainOnce } from "./explain.js";
import { lint } from "./lint.js";
import { loadSet, tellProblems } from "./loaded-set.js";
import { load } from "./loader.js";
import { exit, log } from "./log.js";
import { serve } from "./serve.js";
import { packageVersion } from "./version.js";

const WORKER_FILE = fileURLToPath(new URL("../worker/main.js", import.meta.url));

async function start(conf: string | undefined, workers: number | undefined): Promise<void> {
  const loaded = loadSet(conf, process.env);
  if (!("set" in loaded)) {
    process.stderr.write(`${prettify(loaded.problems)}\n`);
    process.exitCode = 1;
    return;
  }
  const { set } = loaded;
  const { settings } = set.served;
  log.level = settings.log_level;
  tellProblems(log, set.problems);
  sayWhyClosed(settings);
  await serve(
    {
      config: set.served,
      leftOut: set.leftOut,
      set,
      load: () => loadSet(conf, process.env),
      file: set.file,
      version: packageVersion(),
      workers: workers ?? (settings.workers || usableCores()),
      workerFile: WORKER_FILE,
      log,
    },
    exit,
  );
}

function sayWhyClosed(settings: Settings): void {
  const why = closedBecause(settings.secret);
  if (why !== "") log.warn(`the control API answers nothing but health: ${why}`);
}

function check(conf: string | undefined): void {
  const { problems, exitCode } = lint(conf, process.env);
  process.stdout.write(problems.length === 0 ? "no problems\n" : `${prettify(problems)}\n`);
  process.exitCode = exitCode;
}

async function transfer(action: "export" | "import", conf: string | undefined, file: string): Promise<void> {
  const { read, configuration } = load(conf, process.env);
  const settings = read?.settings;
  if (settings === undefined) {
    process.stderr.write(`${prettify(configuration.problems)}\n`);
    process.exitCode = 1;
    return;
  }
  const { exportKeys, importKeys } = await import("./key-transfer.js");
  try {
    const done = await (action === "export" ? exportKeys : importKeys)(settings, file);
    for (const problem of done.problems) process.stderr.write(`sluice: ${problem}\n`);
    // On standard error: the keys themselves may be on the other one.
    process.stderr.write(`${action}ed ${done.keys} keys and ${done.organisations} organisations\n`);
    if (done.problems.length > 0) process.exitCode = 1;
  } catch (error) {
    process.stderr.write(`sluice: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

async function explain(command: Extract<Command, { name: "explain" }>): Promise<void> {
  const loaded = loadSet(command.conf, process.env);
  if (!("set" in loaded)) {
    process.stderr.write(`${prettify(loaded.problems)}\n`);
    process.exitCode = 1;
    return;
  }
  const question = readQuestion(command.question, loaded.set.served.settings.listen_port);
  if (typeof question === "string") {
    process.stderr.write(`sluice: ${question}\n`);
    process.exitCode = 2;
    return;
  }
  try {
    const explanation = await explainOnce(loaded.set, question, WORKER_FILE);
    process.stdout.write(command.json ? `${JSON.stringify(explanation, null, 2)}\n` : explanationText(explanation));
    process.exitCode = explanation.outcome.forwarded ? 0 : 1;
  } catch (error) {
    process.stderr.write(`sluice: ${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

async function main(): Promise<void> {
  const command = readCommandLine(process.argv.slice(2));
  switch (command.name) {
    case "start":
      return start(command.conf, command.workers);
    case "lint":
      return check(command.conf);
    case "keys":
      return transfer(command.action, command.conf, command.file);
    case "explain":
      return explain(command);
    case "version":
      process.stdout.write(`sluice ${packageVersion()}\n`);
      return;
    case "help":
      process.stdout.write(USAGE);
      return;
    case "wrong":
      process.stderr.write(`sluice: ${command.problem}\n\n${USAGE}`);
      process.exitCode = 2;
      return;
  }
}

await main();
