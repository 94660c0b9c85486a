// `sluice lint`: everything that is wrong with the settings and the definitions, and what an operator may misread.
// Responsible for advice; errors are the loader's. Must not know: processes, sockets. Runs: on demand.

import type { Settings } from "../shared/config.js";
import type { Judgement } from "../shared/model/definition.js";
import { valueAt } from "../shared/model/document.js";
import { jsonPath, type Problem, showFound } from "../shared/model/problem.js";
import { doesSomething } from "../shared/model/survey.js";
import { hasVariables } from "../shared/model/template.js";
import { type Load, load } from "./loader.js";

export interface LintResult {
  readonly problems: readonly Problem[];
  /** 1 when a problem is an error or a definition is left out. */
  readonly exitCode: number;
}

export function lint(confPath: string | undefined, env: Readonly<Record<string, string | undefined>>): LintResult {
  const loaded = load(confPath, env);
  const { settings, left_out, problems: found } = loaded.configuration;
  const problems = [...found, ...explanations(loaded)];
  if (settings !== undefined) problems.push(...runningOn(settings, loaded.judgements));
  const wrong = left_out.length > 0 || problems.some((problem) => problem.level === "error");
  return { problems, exitCode: wrong ? 1 : 0 };
}

/** Settings that mean something else here than their name or Tyk's use of them suggests. */
const MEANINGS: readonly { readonly path: readonly string[]; readonly meaning: string }[] = [
  {
    path: ["http_server_options", "read_timeout"],
    meaning: "bounds only how long a caller may take to finish a header block; it never ends a call",
  },
  {
    path: ["http_server_options", "write_timeout"],
    meaning: "bounds only how long a write may stand without progress; it never ends a call",
  },
  {
    path: ["http_server_options", "flush_interval"],
    meaning: "has no effect: every frame leaves in the turn it came",
  },
  {
    path: ["proxy_default_timeout"],
    meaning: "bounds only connecting to a service; a service may take as long as it likes to answer",
  },
];

function explanations({ read, file }: Load): Problem[] {
  if (read === undefined) return [];
  const problems: Problem[] = [];
  for (const { path, meaning } of MEANINGS) {
    const value = valueAt(read.document, path);
    if (!doesSomething(value)) continue;
    const set = read.overrides.find((override) => override.path.join() === path.join());
    const where = set === undefined ? { file, path: jsonPath(path) } : { file: "environment", path: set.variable };
    problems.push({ level: "warning", ...where, found: showFound(value), message: meaning, api: "" });
  }
  // Tyk serves no HTTP/2 over TLS without it; here there is nothing else.
  if (valueAt(read.document, ["http_server_options", "enable_http2"]) === false) {
    const path = "$.http_server_options.enable_http2";
    const message = "has no effect: callers always speak HTTP/2";
    problems.push({ level: "warning", file, path, found: "false", message, api: "" });
  }
  return problems;
}

/** With loose routes `/pkg.Service` also answers for `/pkg.ServiceTwo`, as in Tyk. */
function runningOn(settings: Settings, judgements: readonly Judgement[]): Problem[] {
  if (settings.http_server_options.enable_strict_routes) return [];
  const problems: Problem[] = [];
  for (const short of judgements) {
    for (const long of judgements) {
      if (short.place === undefined || long.place === undefined || !runsOnInto(short.place, long.place)) continue;
      const message = `runs on into ${long.place.listen_path} of ${long.file}: it answers every name that begins with it and has no route of its own; set http_server_options.enable_strict_routes`;
      const found = showFound(short.place.listen_path);
      problems.push({
        level: "warning",
        file: short.file,
        path: "$.proxy.listen_path",
        found,
        message,
        api: short.api,
      });
    }
  }
  return problems;
}

interface Place {
  readonly port: number;
  readonly domain: string;
  readonly listen_path: string;
}

function runsOnInto(short: Place, long: Place): boolean {
  const path = short.listen_path;
  if (short.port !== long.port || short.domain !== long.domain || hasVariables(path) || path.endsWith("/"))
    return false;
  return (
    long.listen_path.length > path.length && long.listen_path.startsWith(path) && long.listen_path[path.length] !== "/"
  );
}
