// What one definition changes in header lists, compiled: for a method and a path one record, merged once for each of
// its entries, or null where nothing is changed. Governed by Tyk's order (spec 6.1): on requests the global lists and
// then those of the path, on responses the other way round; of a path's entries the first that fits.
// Must not know: plans, calls, how fields are sent. Compiled once per configuration; `changeFor` runs once per plan.

import type { Settings } from "../../shared/config.js";
import { type AddressList, compileAddresses } from "../../shared/model/address-list.js";
import type { ApiDefinition } from "../../shared/model/api-definition.js";
import {
  type DirectionChanges,
  type HeaderChange,
  type HeaderChanges,
  joined,
  type PathChange,
} from "../../shared/model/header-changes.js";
import { type ValuePart, valueParts } from "../../shared/model/header-value.js";
import { compilePath, type MatchOptions, type PathPattern } from "../../shared/model/path-pattern.js";
import { matchingOf } from "../../shared/model/path-rules.js";

export interface Setting {
  readonly name: string;
  /** As the operator wrote it. */
  readonly written: string;
  readonly parts: readonly ValuePart[];
}

/** The outcome for one direction: whatever else was said about a name. */
export interface Change {
  /** Names whose fields go, those that are set among them. */
  readonly drop: ReadonlySet<string>;
  readonly set: readonly Setting[];
}

/** What applies to the calls of one plan. */
export interface CallChange {
  readonly request: Change | null;
  readonly response: Change | null;
  readonly settings: ChangeSettings;
}

/** What of the gateway's settings the variables hang on. */
export interface ChangeSettings {
  /** Whose X-Forwarded-For is believed. */
  readonly trusted: AddressList;
  readonly xffDepth: number;
  /** Where a call's id stands; empty where none is sent. */
  readonly idHeader: string;
  readonly idTrust: "never" | "proxies" | "always";
}

interface Entry {
  readonly pattern: PathPattern;
  readonly method: string;
  readonly change: Change | null;
}

/** One direction of one definition. */
class Direction {
  private readonly entries: readonly Entry[];
  private readonly everywhere: Change | null;

  constructor(changes: DirectionChanges, compile: (entry: PathChange | null) => Change | null, options: MatchOptions) {
    this.entries = changes.paths.map((entry) => ({
      pattern: compilePath(entry.path, options),
      method: entry.method,
      change: compile(entry),
    }));
    this.everywhere = compile(null);
  }

  find(method: string, path: string, below: string): Change | null {
    for (const entry of this.entries)
      if (
        (entry.method === "" || entry.method === method) &&
        (entry.pattern.matches(below) || entry.pattern.matches(path))
      )
        return entry.change;
    return this.everywhere;
  }
}

const NOTHING: HeaderChange = { remove: [], set: [] };
const UNCHANGED: HeaderChanges = {
  request: { everywhere: NOTHING, paths: [] },
  response: { everywhere: NOTHING, paths: [] },
  ignoreCase: false,
  contextVariables: false,
};

export class RouteChanges {
  private readonly request: Direction;
  private readonly response: Direction;
  private readonly settings: ChangeSettings;
  private readonly listenPath: string;

  constructor(changes: HeaderChanges, listenPath: string, matching: MatchOptions, settings: ChangeSettings) {
    // Searched as in Tyk, and a path too long to be searched counts as one that fits.
    const options: MatchOptions = { ...matching, ignoreCase: changes.ignoreCase, plain: "regex", tooLong: true };
    const context = changes.contextVariables;
    const id: HeaderChange =
      settings.idHeader === ""
        ? NOTHING
        : { remove: [], set: [{ name: settings.idHeader, value: "$tyk_context.request_id" }] };
    const { request, response } = changes;
    this.settings = settings;
    this.request = new Direction(
      request,
      (entry) => {
        const own = compiled(joined(request.everywhere, entry ?? NOTHING), context);
        return merged(compiled(id, true), own);
      },
      options,
    );
    this.response = new Direction(
      response,
      (entry) => compiled(joined(entry ?? NOTHING, response.everywhere), context),
      options,
    );
    this.listenPath = listenPath.includes("{") ? "" : listenPath.replace(/\/$/, "");
  }

  /** `path` as the caller wrote it. */
  changeFor(method: string, path: string): CallChange | null {
    const mark = path.indexOf("?");
    const bare = mark < 0 ? path : path.slice(0, mark);
    const below = this.below(bare);
    const request = this.request.find(method, bare, below);
    const response = this.response.find(method, bare, below);
    return request === null && response === null ? null : { request, response, settings: this.settings };
  }

  private below(path: string): string {
    if (this.listenPath === "" || !path.startsWith(this.listenPath)) return path;
    const rest = path.slice(this.listenPath.length);
    return rest.startsWith("/") ? rest : `/${rest}`;
  }
}

function compiled(change: HeaderChange, context: boolean): Change | null {
  if (change.remove.length === 0 && change.set.length === 0) return null;
  return {
    drop: new Set([...change.remove, ...change.set.map(({ name }) => name)]),
    set: change.set.map(({ name, value }) => ({ name, written: value, parts: partsOf(value, context) })),
  };
}

/** A variable of the context is empty where the definition does not ask for the context. */
function partsOf(value: string, context: boolean): ValuePart[] {
  return valueParts(value).filter((part) => context || part.kind !== "context");
}

/** What the definition says about a name stands over what the gateway would set. */
function merged(ours: Change | null, own: Change | null): Change | null {
  if (ours === null || own === null) return ours ?? own;
  return {
    drop: new Set([...ours.drop, ...own.drop]),
    set: [...ours.set.filter(({ name }) => !own.drop.has(name)), ...own.set],
  };
}

/** One for each definition, in order; null where nothing is changed. */
export function compileChanges(definitions: readonly ApiDefinition[], settings: Settings): (RouteChanges | null)[] {
  const { header, trust } = settings.request_id;
  const shared: ChangeSettings = {
    trusted: compileAddresses(settings.trusted_proxies),
    xffDepth: settings.http_server_options.xff_depth,
    idHeader: header,
    idTrust: trust,
  };
  const matching = matchingOf(settings);
  return definitions.map(({ headers, proxy }) =>
    headers === undefined && header === ""
      ? null
      : new RouteChanges(headers ?? UNCHANGED, proxy.listen_path, matching, shared),
  );
}
