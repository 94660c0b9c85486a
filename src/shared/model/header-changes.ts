// What a definition changes in header lists: of requests on their way to the service, and of responses on theirs back.
// Responsible for reading Tyk's `global_headers`, `global_headers_remove`, `transform_headers` and their counterparts
// for responses, and for naming the place of each that cannot be used.
// Must not know: calls, how fields are sent. Governed by: spec 2.3; RFC 9110 section 7.6.1; gRPC protocol document
// (reserved names). Runs: once per file at load; the result travels to workers as plain data.

import { z } from "zod";
import { valueParts, valueProblem } from "./header-value.js";
import { type MatchOptions, pathProblem } from "./path-pattern.js";

export interface HeaderSetting {
  /** Lower case. */
  readonly name: string;
  /** With its variables, as written. */
  readonly value: string;
}

/** Fields go first, then they are set: a field that is set replaces all of its name. */
export interface HeaderChange {
  readonly remove: readonly string[];
  readonly set: readonly HeaderSetting[];
}

export interface PathChange extends HeaderChange {
  readonly path: string;
  /** Empty: every method. */
  readonly method: string;
}

export interface DirectionChanges {
  readonly everywhere: HeaderChange;
  /** The first that fits counts. */
  readonly paths: readonly PathChange[];
}

export interface HeaderChanges {
  readonly request: DirectionChanges;
  readonly response: DirectionChanges;
  readonly ignoreCase: boolean;
  /** Without it `$tyk_context` is empty, as in Tyk. */
  readonly contextVariables: boolean;
}

export interface ChangeReport {
  error(path: readonly PropertyKey[], message: string): void;
  warn(path: readonly PropertyKey[], message: string): void;
}

type Path = readonly PropertyKey[];

/** Go writes `null` for what is empty. */
const orAbsent = <Schema extends z.ZodType>(schema: Schema) =>
  z.preprocess((value) => (value === null ? undefined : value), schema.optional());
const flag = orAbsent(z.boolean({ error: "must be true or false" }));
const text = orAbsent(z.string({ error: "must be a string" }));
const texts = orAbsent(z.array(z.string({ error: "must be a string" }), { error: "must be a list of strings" }));
const textMap = orAbsent(
  z.record(z.string(), z.string({ error: "must be a string" }), { error: "must be an object of strings" }),
);

const entry = z.object(
  {
    disabled: flag,
    path: z.string({ error: "must be a string" }),
    method: text,
    add_headers: textMap,
    delete_headers: texts,
  },
  { error: "must be an object" },
);
const entries = orAbsent(z.array(entry, { error: "must be a list" }));

const version = z.looseObject({
  ignore_endpoint_case: flag,
  use_extended_paths: flag,
  global_headers: textMap,
  global_headers_remove: texts,
  global_headers_disabled: flag,
  global_response_headers: textMap,
  global_response_headers_remove: texts,
  global_response_headers_disabled: flag,
  extended_paths: orAbsent(z.looseObject({ transform_headers: entries, transform_response_headers: entries })),
});
const versionData = z.looseObject({ default_version: text, versions: orAbsent(z.record(z.string(), z.unknown())) });

/** `header_injector`: the one of Tyk's response processors that has its like here. */
const processor = z.looseObject({
  name: text,
  options: orAbsent(z.looseObject({ add_headers: textMap, remove_headers: texts })),
});
const processors = orAbsent(z.array(processor, { error: "must be a list of objects" }));

/** What a document says; undefined when it says nothing, or nothing that can be used and `report` was told. */
export function readHeaderChanges(
  document: unknown,
  matching: MatchOptions,
  report: ChangeReport,
): HeaderChanges | undefined {
  const source = (typeof document === "object" && document !== null ? document : {}) as Record<string, unknown>;
  const reader = new Reader(source["enable_context_vars"] === true, matching, report);
  const changes = reader.read(source);
  return saysNothing(changes.request) && saysNothing(changes.response) ? undefined : changes;
}

class Reader {
  readonly #context: boolean;
  readonly #matching: MatchOptions;
  readonly #report: ChangeReport;

  constructor(context: boolean, matching: MatchOptions, report: ChangeReport) {
    this.#context = context;
    this.#matching = matching;
    this.#report = report;
  }

  read(source: Record<string, unknown>): HeaderChanges {
    const data = versionData.safeParse(source["version_data"] ?? {});
    const [found, name] = data.success ? served(data.data) : [undefined, ""];
    const at: Path = ["version_data", "versions", name];
    const rules = this.#parsed(version, found ?? {}, at) ?? {};
    const extended = rules.use_extended_paths === true ? rules.extended_paths : undefined;
    const paths = (key: "transform_headers" | "transform_response_headers"): PathChange[] =>
      (extended?.[key] ?? []).flatMap((it, n) =>
        it.disabled === true ? [] : [this.#entry(it, [...at, "extended_paths", key, n])],
      );
    return {
      request: {
        everywhere:
          rules.global_headers_disabled === true
            ? NOTHING
            : this.#change(rules.global_headers_remove, rules.global_headers, at, [
                "global_headers_remove",
                "global_headers",
              ]),
        paths: paths("transform_headers"),
      },
      response: {
        everywhere: this.#injected(
          source["response_processors"],
          rules.global_response_headers_disabled === true
            ? NOTHING
            : this.#change(rules.global_response_headers_remove, rules.global_response_headers, at, [
                "global_response_headers_remove",
                "global_response_headers",
              ]),
        ),
        paths: paths("transform_response_headers"),
      },
      ignoreCase: this.#matching.ignoreCase || rules.ignore_endpoint_case === true,
      contextVariables: this.#context,
    };
  }

  #entry(it: z.output<typeof entry>, at: Path): PathChange {
    // Searched as in Tyk.
    const problem = pathProblem(it.path, { ...this.#matching, plain: "regex" });
    if (problem !== "") this.#report.error([...at, "path"], `cannot be used as a pattern: ${problem}`);
    const change = this.#change(it.delete_headers, it.add_headers, at, ["delete_headers", "add_headers"]);
    return { ...change, path: it.path, method: it.method ?? "" };
  }

  /** Options of `header_injector` come last, as in Tyk. */
  #injected(given: unknown, everywhere: HeaderChange): HeaderChange {
    let change = everywhere;
    (this.#parsed(processors, given, ["response_processors"]) ?? []).forEach(({ name, options }, n) => {
      if (name !== "header_injector" || options === undefined) return;
      const at: Path = ["response_processors", n, "options"];
      const own = this.#change(options.remove_headers, options.add_headers, at, ["remove_headers", "add_headers"]);
      change = joined(change, own);
    });
    return change;
  }

  #change(
    removed: readonly string[] | undefined,
    set: Readonly<Record<string, string>> | undefined,
    at: Path,
    [removes, sets]: readonly [string, string],
  ): HeaderChange {
    (removed ?? []).forEach((name, n) => {
      const problem = nameProblem(name, true);
      if (problem !== "") this.#report.error([...at, removes, n], problem);
    });
    for (const [name, value] of Object.entries(set ?? {})) this.#setting(name, value, [...at, sets, name]);
    return {
      remove: (removed ?? []).map((name) => name.toLowerCase()),
      set: Object.entries(set ?? {}).map(([name, value]) => ({ name: name.toLowerCase(), value })),
    };
  }

  #setting(name: string, value: string, at: Path): void {
    const problem = nameProblem(name, false) || valueProblem(name.toLowerCase(), value);
    if (problem !== "") this.#report.error(at, problem);
    else if (!this.#context && valueParts(value).some((part) => part.kind === "context"))
      this.#report.warn(at, "has $tyk_context variables, which are empty while enable_context_vars is off");
  }

  #parsed<Schema extends z.ZodType>(schema: Schema, value: unknown, at: Path): z.output<Schema> | undefined {
    const read = schema.safeParse(value);
    if (read.success) return read.data;
    for (const issue of read.error.issues) this.#report.error([...at, ...issue.path], issue.message);
    return undefined;
  }
}

const NOTHING: HeaderChange = { remove: [], set: [] };

/** One after the other: what is said last about a name counts. */
export function joined(first: HeaderChange, second: HeaderChange): HeaderChange {
  const gone = new Set([...second.remove, ...second.set.map(({ name }) => name)]);
  return {
    remove: [...first.remove, ...second.remove],
    set: [...first.set.filter(({ name }) => !gone.has(name)), ...second.set],
  };
}

/** As for the gate: a definition that is not versioned has the version called Default. */
function served(data: z.output<typeof versionData>): [unknown, string] {
  const versions = data.versions ?? {};
  const name = [data.default_version, "Default"].find((each) => each && Object.hasOwn(versions, each));
  const chosen = name ?? Object.keys(versions)[0];
  return chosen === undefined ? [undefined, ""] : [versions[chosen], chosen];
}

function saysNothing({ everywhere, paths }: DirectionChanges): boolean {
  return everywhere.remove.length === 0 && everywhere.set.length === 0 && paths.length === 0;
}

/** They speak of one connection and are never passed on: to remove them is to say what is done anyway. */
const HOP_BY_HOP = ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade", "trailer"];
/** What the message itself is told by: another value would be a lie, none a fault. */
const FRAMING = ["te", "content-type", "content-length", "host", "expect"];

/** Why a name can be neither set nor removed; empty when it can. */
export function nameProblem(name: string, removed: boolean): string {
  const lower = name.toLowerCase();
  if (lower.startsWith(":")) return "must not be a pseudo-header field";
  if (!/^[a-z0-9!#$%&'*+\-.^_`|~]+$/.test(lower)) return "must be the name of a header field";
  if (HOP_BY_HOP.includes(lower))
    return removed ? "" : "belongs to one connection: no service and no caller ever gets it";
  if (FRAMING.includes(lower)) return "says how the message is to be read and must stay as it is";
  return lower.startsWith("grpc-") ? "is reserved for gRPC itself" : "";
}
