/**
 * URL rewriting of gRPC paths: pattern, groups, triggers, absolute targets.
 * Must not know: routes; an absolute result names another service for the relay to reach.
 * Governed by: Tyk's `url_rewrites`. Payload triggers would hold a stream's first message back, `tyk://` loops back into the
 * gateway: both are refused with a sentence when the definition is compiled.
 * Runs: compiled once per definition; once per distinct combination of the fields it reads.
 */

import {
  compilePath,
  compileRegex,
  type Expression,
  type MatchOptions,
  type PathPattern,
} from "../../../shared/model/path-pattern.js";
import type { RewriteEntry } from "../gated-definition.js";
import { type RewriteInput, textOf } from "./rewrite-input.js";
import { compileTrigger, type Trigger } from "./triggers.js";

export interface Rewrites {
  readonly problems: readonly string[];
  /** Lower-case names of the fields whose values decide; part of the decision's identity. */
  readonly fields: readonly string[];
  /** A longer path cannot be tried by every rule and must not slip by unrewritten. */
  readonly maxPath: number;
  /** Undefined when nothing matched: the path goes on as it came. */
  rewrite(input: RewriteInput): string | undefined;
}

interface Rule {
  readonly path: PathPattern;
  readonly method: string;
  readonly pattern: Expression;
  readonly to: string;
  readonly triggers: readonly Trigger[];
}

/** A result is a path or a URL: what is longer is a mistake that would be sent upstream. */
const MAX_RESULT = 8_192;
const NOTHING_FOUND: ReadonlyMap<string, string> = new Map();

export function compileRewrites(entries: readonly RewriteEntry[] | null | undefined, options: MatchOptions): Rewrites {
  const problems: string[] = [];
  const rules: Rule[] = [];
  for (const entry of entries ?? []) {
    if (entry.disabled === true) continue;
    const rule = compileRule(entry, options, problems);
    if (rule !== undefined) rules.push(rule);
  }
  const fields = [...new Set(rules.flatMap((rule) => rule.triggers.flatMap((trigger) => trigger.fields)))];
  const maxPath = rules.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...rules.map((rule) => rule.pattern.limit));
  return { problems, fields, maxPath, rewrite: (input) => rewriteBy(rules, input) };
}

function compileRule(entry: RewriteEntry, options: MatchOptions, problems: string[]): Rule | undefined {
  // Tyk finds the rule by a search; its pattern decides then.
  const path = compilePath(entry.path, { ...options, plain: "regex" });
  const pattern = compileRegex(entry.match_pattern);
  const triggers = (entry.triggers ?? []).map((trigger, n) => compileTrigger(trigger, n, problems));
  if (path.problem !== undefined) problems.push(path.problem);
  if (typeof pattern === "string") problems.push(`"${entry.match_pattern}": ${pattern}`);
  for (const to of [entry.rewrite_to, ...triggers.map((trigger) => trigger.to)]) {
    if (to.startsWith("tyk://")) problems.push(`"${to}": looping (tyk://) is not supported in url_rewrites`);
  }
  if (path.problem !== undefined || typeof pattern === "string") return undefined;
  return { path, method: entry.method ?? "", pattern, to: entry.rewrite_to, triggers };
}

function rewriteBy(rules: readonly Rule[], input: RewriteInput): string | undefined {
  const bare = input.path.split("?", 1)[0] ?? "";
  for (const rule of rules) {
    if (rule.method !== "" && rule.method !== input.method) continue;
    if (!rule.path.matches(input.below) && !rule.path.matches(bare) && !rule.path.matches(decoded(bare))) continue;
    const result = applyRule(rule, input);
    if (result !== undefined) return result.length <= MAX_RESULT ? result : undefined;
  }
  return undefined;
}

function applyRule(rule: Rule, input: RewriteInput): string | undefined {
  const match = rule.pattern.exec(input.path) ?? rule.pattern.exec(decoded(input.path));
  if (match === null) return undefined;
  for (const trigger of rule.triggers) {
    const found = trigger.fire(input);
    if (found !== undefined) return fill(trigger.to, (text) => replaceVariables(text, input, found));
  }
  // A rule that only has triggers has nothing to say without them.
  if (rule.to === "") return undefined;
  const groups = (text: string): string =>
    text.replace(/\$(\d{1,2})/g, (written, digits: string) => match[Number(digits)] ?? written);
  return fill(rule.to, (text) => replaceVariables(groups(text), input, NOTHING_FOUND));
}

/**
 * Another service is named by the operator, never by a caller: a result is a URL only where the rule is written as one, and
 * what is filled into its authority must be a plain host name's piece. Everything else is a path.
 */
function fill(to: string, filling: (text: string) => string): string | undefined {
  const [head = ""] = /^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i.exec(to) ?? [];
  if (head === "") {
    const path = filling(to);
    return path.startsWith("/") ? path : `/${path}`;
  }
  const authority = filling(head);
  if (authority !== head && !/^[a-z][a-z0-9+.-]*:\/\/[A-Za-z0-9.-]+(:\d+)?$/i.test(authority)) return undefined;
  const rest = filling(to.slice(head.length));
  return rest === "" || rest.startsWith("/") || rest.startsWith("?") ? authority + rest : `${authority}/${rest}`;
}

function replaceVariables(text: string, input: RewriteInput, found: ReadonlyMap<string, string>): string {
  return text
    .replace(/\$tyk_context\.([A-Za-z0-9_\-.]+)/g, (_, name: string) =>
      escapeValue(found.get(name) ?? input.context[name] ?? ""),
    )
    .replace(/\$tyk_meta\.([A-Za-z0-9_\-.]+)/g, (_, name: string) => escapeValue(textOf(input.meta[name])));
}

/** A value of a caller must not add a query, a line or another host to the target. */
function escapeValue(value: string): string {
  return value.replace(/[^A-Za-z0-9\-._~/!$'()*,;=:@]/g, (char) => encodeURIComponent(char));
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
