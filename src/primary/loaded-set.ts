// Everything an operator's files say, read and checked together: settings, definitions, policies.
// Responsible for what belongs to one set and for what keeps it from replacing another.
// Must not know: processes, ports. Runs: at start and at a reload.

import { readFileSync } from "node:fs";
import type { Logger } from "pino";
import type { Settings } from "../shared/config.js";
import { matchingOf } from "../shared/model/path-rules.js";
import type { Policies } from "../shared/model/policy.js";
import { type Problem, printProblem } from "../shared/model/problem.js";
import { isObject } from "../shared/model/survey.js";
import { loadPolicies } from "../shared/store/policy-files.js";
import type { ApiDocument } from "./control/context.js";
import type { ServedConfig } from "./gateway.js";
import type { LeftOut } from "./health.js";
import { load } from "./loader.js";

export interface LoadedSet {
  readonly served: ServedConfig;
  readonly leftOut: readonly LeftOut[];
  readonly policies: Policies;
  /** The served definitions as they stand in their files, by api_id. */
  readonly documents: ReadonlyMap<string, ApiDocument>;
  readonly problems: readonly Problem[];
  /** The settings file; undefined where there is none. */
  readonly file?: string | undefined;
}

export type Loaded = { readonly set: LoadedSet } | { readonly problems: readonly Problem[] };

type Environment = Readonly<Record<string, string | undefined>>;

/** Without a set when there is nothing to start with. */
export function loadSet(confPath: string | undefined, env: Environment): Loaded {
  const { configuration, file, provisional } = load(confPath, env);
  const { settings, definitions, closed, left_out, ports, certificates, problems, fatal } = configuration;
  if (provisional === undefined) return { problems };
  const { policies, problems: found } = loadPolicies({
    ...provisional.policies,
    allowUnsafeIds: provisional.security.allow_unsafe_policy_ids,
    matching: matchingOf(provisional),
  });
  if (fatal || settings === undefined) return { problems: [...problems, ...found] };
  const served = { settings, definitions, closed, ports, certificates, policies: [...policies.values()] };
  const documents = new Map<string, ApiDocument>();
  for (const { api_id, file } of definitions) documents.set(api_id, { file, document: documentOf(file) });
  return {
    set: {
      served,
      leftOut: left_out,
      policies,
      documents,
      problems: [...problems, ...found],
      file: file === "environment" ? undefined : file,
    },
  };
}

/**
 * What is wrong with the new set and was not with the old: a definition, a policy or a file that broke. Something that
 * was left out before may stay so.
 */
export function newErrors(old: LoadedSet, next: readonly Problem[]): readonly Problem[] {
  return errorsOf(newProblems(old, next));
}

/** What the new set would be told of and the old was not: a restart is not the first to tell of a typing error. */
export function newProblems(old: LoadedSet, next: readonly Problem[]): readonly Problem[] {
  const known = new Set(old.problems.map(printProblem));
  return next.filter((problem) => !known.has(printProblem(problem)));
}

export function tellProblems(log: Logger, problems: readonly Problem[]): void {
  for (const { level, message, ...where } of problems) log[level === "error" ? "error" : "warn"](where, message);
}

function errorsOf(problems: readonly Problem[]): readonly Problem[] {
  return problems.filter((problem) => problem.level === "error");
}

/** Settings that are in force until the process is started again: sockets, stores and workers were made with them. */
const FIXED = [
  "workers",
  "accept",
  "listen_address",
  "storage",
  "node_secret",
  "allow_insecure_configs",
  "hash_keys",
  "hash_key_function",
  "hash_key_function_fallback",
  "max_buffered_bytes",
] as const satisfies readonly (keyof Settings)[];

/** The next set with what stays as it is, and the names of what the operator wanted to change of that. */
export function keepFixed(
  old: Settings,
  next: LoadedSet,
): { readonly set: LoadedSet; readonly kept: readonly string[] } {
  const asked = next.served.settings;
  const kept = FIXED.flatMap((name) => differing(name, old[name], asked[name]));
  const before = Object.fromEntries(FIXED.map((name) => [name, old[name]]));
  const settings: Settings = { ...asked, ...before };
  const ports = next.served.ports.map((port) => ({ ...port, address: settings.listen_address }));
  return { set: { ...next, served: { ...next.served, settings, ports } }, kept };
}

/** The settings that are not the same, down to where the operator wrote them; never their values. */
function differing(path: string, old: unknown, asked: unknown): string[] {
  if (JSON.stringify(old) === JSON.stringify(asked)) return [];
  if (!isObject(old) || !isObject(asked)) return [path];
  const names = new Set([...Object.keys(old), ...Object.keys(asked)]);
  return [...names].flatMap((name) => differing(`${path}.${name}`, old[name], asked[name]));
}

// Read once more beside the loader: what it keeps is what is served, not what is shown.
function documentOf(file: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(readFileSync(file, "utf8"));
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
}
