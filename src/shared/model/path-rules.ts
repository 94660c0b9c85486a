// Which patterns of a definition, a policy or a key can be used as they are written.
// Responsible for naming the place of each that cannot: a worker would close the API for it, or refuse the key.
// Must not know: how a match is used. Runs: once per file at load, and when a key is written.

import type { Settings } from "../config.js";
import type { GateDocument } from "../keys/gate-schema.js";
import { type MatchOptions, pathProblem, regexProblem } from "./path-pattern.js";
import { jsonPath } from "./problem.js";
import type { Access } from "./session.js";

export type Refuse = (path: readonly PropertyKey[], message: string) => void;

type Version = NonNullable<NonNullable<NonNullable<GateDocument["version_data"]>["versions"]>[string]>;
type Rewrite = NonNullable<NonNullable<Version["extended_paths"]>["url_rewrites"]>[number];
type Path = readonly PropertyKey[];

const LISTS = ["ignored", "black_list", "white_list"] as const;

/** How paths are compared, by the settings. */
export function matchingOf({ http_server_options: front, ...settings }: Settings): MatchOptions {
  return {
    prefix: front.enable_path_prefix_matching,
    suffix: front.enable_path_suffix_matching,
    plain: settings.plain_path_matching,
    ignoreCase: settings.ignore_endpoint_case,
  };
}

export function checkPaths(version: Version, path: Path, matching: MatchOptions, refuse: Refuse): void {
  const searching: MatchOptions = { ...matching, plain: "regex" };
  const check = (source: string, at: Path, options: MatchOptions) => say(pathProblem(source, options), at, refuse);
  if (version.use_extended_paths !== true) {
    for (const name of LISTS)
      for (const [n, source] of (version.paths?.[name] ?? []).entries())
        check(source, [...path, "paths", name, n], name === "black_list" ? searching : matching);
    return;
  }
  const inside = [...path, "extended_paths"];
  for (const name of LISTS)
    (version.extended_paths?.[name] ?? []).forEach((entry, n) => {
      const options = name === "black_list" ? searching : matching;
      if (entry.disabled !== true) check(entry.path, [...inside, name, n, "path"], options);
    });
  (version.extended_paths?.rate_limit ?? []).forEach((entry, n) => {
    if (entry.disabled !== true) check(entry.path, [...inside, "rate_limit", n, "path"], searching);
  });
  (version.extended_paths?.url_rewrites ?? []).forEach((entry, n) => {
    if (entry.disabled !== true) checkRewrite(entry, [...inside, "url_rewrites", n], searching, refuse);
  });
}

function checkRewrite(rewrite: Rewrite, path: Path, searching: MatchOptions, refuse: Refuse): void {
  say(pathProblem(rewrite.path, searching), [...path, "path"], refuse);
  say(regexProblem(rewrite.match_pattern), [...path, "match_pattern"], refuse);
  checkTarget(rewrite.rewrite_to, [...path, "rewrite_to"], refuse);
  (rewrite.triggers ?? []).forEach((trigger, n) => {
    const at = [...path, "triggers", n];
    checkTarget(trigger.rewrite_to ?? "", [...at, "rewrite_to"], refuse);
    const { payload_matches: payload, ...matches } = trigger.options ?? {};
    if (payload?.match_rx)
      refuse(
        [...at, "options", "payload_matches"],
        "would need the whole message, which may be a stream without an end; not supported",
      );
    for (const [kind, rules] of Object.entries(matches))
      for (const [name, { match_rx }] of Object.entries(rules ?? {}))
        say(regexProblem(match_rx), [...at, "options", kind, name, "match_rx"], refuse);
  });
}

function checkTarget(to: string, path: Path, refuse: Refuse): void {
  if (to.startsWith("tyk://")) refuse(path, "loops back into the gateway (tyk://), which is not supported");
}

/** Rights of a key or a policy. */
export function checkRights(
  rights: Readonly<Record<string, Access>> | undefined,
  matching: MatchOptions,
  refuse: Refuse,
): void {
  for (const [api, { allowed_urls, endpoints }] of Object.entries(rights ?? {})) {
    (allowed_urls ?? []).forEach(({ url, match }, n) => {
      const options = match === undefined ? matching : { ...matching, plain: match };
      say(pathProblem(url, options), ["access_rights", api, "allowed_urls", n, "url"], refuse);
    });
    (endpoints ?? []).forEach(({ path }, n) => {
      const problem = pathProblem(path, { ...matching, plain: "regex" });
      say(problem, ["access_rights", api, "endpoints", n, "path"], refuse);
    });
  }
}

/** The first of what `checkRights` refuses, with its place; empty when there is nothing. */
export function flawOfRights(rights: Readonly<Record<string, Access>> | undefined, matching: MatchOptions): string {
  let flaw = "";
  checkRights(rights, matching, (path, message) => {
    flaw ||= `${jsonPath(path)} ${message}`;
  });
  return flaw;
}

function say(problem: string, path: Path, refuse: Refuse): void {
  if (problem !== "") refuse(path, `cannot be used as a pattern: ${problem}`);
}
