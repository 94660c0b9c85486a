/**
 * `ignored`, `black_list` and `white_list` of an API's version, simple and extended.
 * Responsible for: which of them a method and path meet. Must not know: keys, answers.
 * Governed by: Tyk's order: ignored, then black, then white; with a white list everything else is forbidden.
 * Runs: compiled once per definition, checked once per distinct path.
 */

import { compilePath, type MatchOptions, type PathPattern } from "../../../shared/model/path-pattern.js";
import type { ListEntry, MethodAction, VersionDefinition } from "../gated-definition.js";

export const PASS = 0;
/** No credential is asked for and no limit of a key counts. */
export const IGNORED = 1;
export const FORBIDDEN = 2;
/** The list itself has the answer (`action: reply`). */
export const REPLY = 3;

export interface ListReply {
  readonly code: number;
  readonly data: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface ListOutcome {
  readonly kind: number;
  readonly reply: ListReply | undefined;
}

const OUTCOMES: readonly ListOutcome[] = [PASS, IGNORED, FORBIDDEN].map((kind) => ({ kind, reply: undefined }));

export interface PathLists {
  readonly restricts: boolean;
  readonly problems: readonly string[];
  check(method: string, path: string, below: string): ListOutcome;
  /** The same, as a sentence. */
  tell(method: string, path: string, below: string): string;
}

interface Row {
  /** The list and the place in it, for whoever wants to know. */
  readonly place: string;
  readonly pattern: PathPattern;
  /** Undefined: every method. */
  readonly actions: ReadonlyMap<string, MethodAction> | undefined;
}

export function compileLists(version: VersionDefinition | undefined, options: MatchOptions): PathLists {
  const ignoreCase = options.ignoreCase || version?.ignore_endpoint_case === true;
  const granting = { ...options, ignoreCase };
  // What denies is searched as in Tyk: it denies at least what the same string denies there.
  const denying: MatchOptions = { ...granting, plain: "regex", tooLong: true };
  const ignored = rowsOf(version, "ignored", granting);
  const black = rowsOf(version, "black_list", denying);
  const white = rowsOf(version, "white_list", granting);
  const problems = [ignored, black, white].flatMap((rows) => rows.flatMap(({ pattern }) => pattern.problem ?? []));
  const search = (method: string, path: string, below: string): Found => {
    const free = find(ignored, method, path, below);
    if (free !== undefined) return { row: free, outcome: outcome(IGNORED) };
    const denied = find(black, method, path, below);
    if (denied !== undefined) return { row: denied, outcome: replyOf(denied, method) ?? outcome(FORBIDDEN) };
    if (white.length === 0) return { row: undefined, outcome: outcome(PASS) };
    const allowed = find(white, method, path, below);
    if (allowed === undefined) return { row: undefined, outcome: outcome(FORBIDDEN) };
    return { row: allowed, outcome: replyOf(allowed, method) ?? outcome(PASS) };
  };
  return {
    restricts: ignored.length + black.length + white.length > 0,
    problems,
    check: (method, path, below) => search(method, path, below).outcome,
    tell: (method, path, below) => sentenceOf(search(method, path, below), white.length > 0),
  };
}

interface Found {
  /** Undefined: no entry of any list. */
  readonly row: Row | undefined;
  readonly outcome: ListOutcome;
}

function sentenceOf({ row, outcome: { kind } }: Found, white: boolean): string {
  if (row === undefined) return white ? "no entry of white_list fits, so it is forbidden" : "no list says anything";
  const what = ["it may be called", "no key is asked for", "it is forbidden", "the list answers by itself"];
  return `${row.place}: ${what[kind]}`;
}

type ListName = "ignored" | "black_list" | "white_list";

function rowsOf(version: VersionDefinition | undefined, name: ListName, options: MatchOptions): Row[] {
  if (version?.use_extended_paths !== true) {
    return (version?.paths?.[name] ?? []).map((path, n) => ({
      place: placeOf(name, n, path),
      pattern: compilePath(path, options),
      actions: undefined,
    }));
  }
  const entries = version.extended_paths?.[name] ?? [];
  return entries.flatMap((entry, n) => (entry.disabled === true ? [] : [rowOf(entry, name, n, options)]));
}

function placeOf(name: ListName, n: number, path: string): string {
  return `${name}[${n}] ${JSON.stringify(path)}`;
}

function rowOf(entry: ListEntry, name: ListName, n: number, options: MatchOptions): Row {
  const ignoreCase = options.ignoreCase || entry.ignore_case === true;
  const actions = new Map(Object.entries(entry.method_actions ?? {}));
  if (entry.method && !actions.has(entry.method)) actions.set(entry.method, {});
  return {
    place: placeOf(name, n, entry.path),
    pattern: compilePath(entry.path, { ...options, ignoreCase }),
    actions: actions.size === 0 ? undefined : actions,
  };
}

function find(rows: readonly Row[], method: string, path: string, below: string): Row | undefined {
  return rows.find(
    ({ pattern, actions }) =>
      (actions === undefined || actions.has(method)) && (pattern.matches(below) || pattern.matches(path)),
  );
}

function outcome(kind: number): ListOutcome {
  return OUTCOMES[kind] as ListOutcome;
}

function replyOf(row: Row, method: string): ListOutcome | undefined {
  const action = row.actions?.get(method);
  if (action?.action !== "reply") return undefined;
  return { kind: REPLY, reply: { code: action.code || 200, data: action.data ?? "", headers: action.headers ?? {} } };
}
