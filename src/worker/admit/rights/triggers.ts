/**
 * Triggers of a URL rewrite: conditions on headers, query, path parts, meta data and context.
 * Must not know: what the rewrite leads to. Governed by: Tyk's `triggers`, `on` any or all, `reverse`.
 * Runs: once per distinct combination of the fields they read.
 */

import { compileRegex, type Expression } from "../../../shared/model/path-pattern.js";
import { queryValue } from "../credentials/fields.js";
import type { MatchRules, RewriteTrigger } from "../gated-definition.js";
import { type RewriteInput, textOf } from "./rewrite-input.js";

/** What matched, under the names that `rewrite_to` uses (`trigger-0-X-Name-0-1`). */
type Found = Map<string, string>;

export interface Trigger {
  readonly to: string;
  readonly fields: readonly string[];
  /** Undefined when it does not fire. */
  fire(input: RewriteInput): Found | undefined;
}

const NEVER: Expression = { limit: 0, exec: () => null };

interface Condition {
  readonly name: string;
  readonly pattern: Expression;
  readonly reverse: boolean;
  values(input: RewriteInput): readonly string[];
  /** Meta data and context hold one value each and are named without its index. */
  readonly indexed: boolean;
}

export function compileTrigger(trigger: RewriteTrigger, n: number, problems: string[]): Trigger {
  const options = trigger.options ?? {};
  if (options.payload_matches?.match_rx) {
    problems.push("url_rewrites: payload_matches would hold a stream's messages back and is not supported");
  }
  const fields = Object.keys(options.header_matches ?? {}).map((name) => name.toLowerCase());
  const conditions = [
    ...compile(options.header_matches, problems, true, canonical, (input, name) => one(input.get(name.toLowerCase()))),
    ...compile(options.query_val_matches, problems, true, same, (input, name) =>
      one(queryValue(input.path, name) || undefined),
    ),
    ...compile(options.path_part_matches, problems, true, same, (input) => parts(input.path)),
    ...compile(options.session_meta_matches, problems, false, same, (input, name) => one(metaText(input, name))),
    ...compile(options.request_context_matches, problems, false, same, (input, name) => one(input.context[name])),
  ];
  const any = trigger.on !== "all";
  // A condition that could not be compiled must not make the others enough.
  const broken = options.payload_matches?.match_rx !== undefined && options.payload_matches.match_rx !== "";
  return {
    to: trigger.rewrite_to ?? "",
    fields,
    fire: (input) => (broken || conditions.length === 0 ? undefined : fireBy(conditions, any, n, input)),
  };
}

function fireBy(conditions: readonly Condition[], any: boolean, n: number, input: RewriteInput): Found | undefined {
  const found: Found = new Map();
  for (const condition of conditions) {
    const holds = holdsFor(condition, n, input, found);
    if (any && holds) return found;
    if (!any && !holds) return undefined;
  }
  return any ? undefined : found;
}

function holdsFor(condition: Condition, n: number, input: RewriteInput, found: Found): boolean {
  let matched = false;
  let index = 0;
  for (const value of condition.values(input)) {
    const match = condition.pattern.exec(value);
    if (match === null) continue;
    matched = true;
    const key = `trigger-${n}-${condition.name}${condition.indexed ? `-${index}` : ""}`;
    found.set(key, match[0]);
    for (let group = 1; group < match.length; group++) found.set(`${key}-${group - 1}`, match[group] ?? "");
    index++;
  }
  return matched !== condition.reverse;
}

function compile(
  rules: MatchRules,
  problems: string[],
  indexed: boolean,
  naming: (name: string) => string,
  values: (input: RewriteInput, name: string) => readonly string[],
): Condition[] {
  return Object.entries(rules ?? {}).map(([name, rule]) => {
    const pattern = compileRegex(rule.match_rx);
    if (typeof pattern === "string") problems.push(`"${rule.match_rx}": ${pattern}`);
    return {
      name: naming(name),
      pattern: typeof pattern === "string" ? NEVER : pattern,
      reverse: rule.reverse === true && typeof pattern !== "string",
      indexed,
      values: (input) => values(input, name),
    };
  });
}

function one(value: string | undefined): readonly string[] {
  return value === undefined ? [] : [value];
}

function metaText(input: RewriteInput, name: string): string | undefined {
  const value = input.meta[name];
  return value === undefined ? undefined : textOf(value);
}

function parts(path: string): string[] {
  return (path.split("?", 1)[0] ?? "").split("/").filter((part) => part !== "");
}

function same(name: string): string {
  return name;
}

/** `x-test-id` is `X-Test-Id` in the names of variables, however the operator wrote it. */
function canonical(name: string): string {
  return name.toLowerCase().replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());
}
