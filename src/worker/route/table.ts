// Definitions compiled into a table: port, authority, path → route.
// Responsible for the order of routes as in Tyk: domains first, then the longest listen path. Immutable; a reload
// compiles a new one. Must not know: sockets, header fields, where definitions come from.
// Runs: match once per new combination of port, authority and path (decisions are remembered by the caller).

import type { Settings } from "../../shared/config.js";
import type { ApiDefinition, ClosedPath } from "../../shared/model/api-definition.js";
import { cleanPath } from "../../shared/model/path.js";
import { compileHostTemplate, compilePathTemplate, hasVariables } from "../../shared/model/template.js";
import { Hosts, hostOf, lower, type Ranked } from "./hosts.js";
import { PrefixTree } from "./prefix-tree.js";
import { Route } from "./route.js";

interface Entry extends Ranked {
  readonly listenPath: string;
  /** Null for a path that stays closed. */
  readonly route: Route | null;
}

interface Found {
  readonly listenPath: string;
  readonly route: Route | null;
  /** The path goes on behind the listen path without a slash, which strict routes forbid. */
  readonly runsOn: boolean;
}

interface PathPattern {
  readonly pattern: RegExp;
  readonly rank: number;
  readonly hosts: Hosts<Entry>;
}

interface PortTable {
  readonly literal: PrefixTree<Hosts<Entry>>;
  /** By rank. Tried one after the other: cheap for a few, and a reason to prefer literal listen paths. */
  readonly patterns: PathPattern[];
}

type Place = Pick<ApiDefinition, "port" | "domain"> & { readonly listenPath: string; readonly served?: ApiDefinition };

/** A pattern backtracks, so it is not tried on a path longer than any method's name. */
const PATTERN_PATH_MAX = 4_096;

export class RouteTable {
  readonly routes: readonly Route[];
  readonly #ports: ReadonlyMap<number, PortTable>;
  readonly #strict: boolean;
  readonly #clean: boolean;

  constructor(routes: readonly Route[], ports: ReadonlyMap<number, PortTable>, strict: boolean, clean: boolean) {
    this.routes = routes;
    this.#ports = ports;
    this.#strict = strict;
    this.#clean = clean;
  }

  /** As `match`, with the listen path that was found; of one that stays closed the route is null. */
  found(port: number, authority: string, path: string): Found | null {
    const table = this.#ports.get(port);
    if (table === undefined || !path.startsWith("/")) return null;
    const mark = path.indexOf("?");
    const sent = mark === -1 ? path : path.slice(0, mark);
    const asked = this.#clean ? cleanPath(sent) : sent;
    const entry = findEntry(table, hostOf(authority), asked);
    if (entry === null) return null;
    return {
      listenPath: entry.listenPath,
      route: entry.route,
      runsOn: this.#strict && runsOn(entry.listenPath, asked),
    };
  }

  /** `authority` with or without a port, `path` with or without a query. Null where nothing is served. */
  match(port: number, authority: string, path: string): Route | null {
    const found = this.found(port, authority, path);
    return found === null || found.runsOn ? null : found.route;
  }
}

function findEntry(table: PortTable, host: string, path: string): Entry | null {
  let best: Entry | null = null;
  table.literal.walk(path, (hosts) => {
    best = lower(hosts.find(host), best);
  });
  if (path.length > PATTERN_PATH_MAX) return best;
  for (const { pattern, rank, hosts } of table.patterns) {
    const known = best as Entry | null;
    if (known !== null && known.rank < rank) break;
    if (pattern.test(path)) best = lower(hosts.find(host), known);
  }
  return best;
}

// As in Tyk the route is chosen first and refused then: `/applejuice` is not given to `/` when `/apple` exists.
function runsOn(listenPath: string, path: string): boolean {
  if (listenPath.endsWith("/") || hasVariables(listenPath)) return false;
  return path.length > listenPath.length && path[listenPath.length] !== "/";
}

/** `closed` are the paths of definitions that were left out: nothing else answers there. */
export function compileRoutes(
  settings: Settings,
  definitions: readonly ApiDefinition[],
  closed: readonly ClosedPath[],
): RouteTable {
  const clean = !settings.http_server_options.skip_url_cleaning;
  const routes: Route[] = [];
  const ports = new Map<number, PortTable>();
  for (const [rank, place] of inOrder(definitions, closed).entries()) {
    const pattern = pathPattern(place.listenPath);
    let route: Route | null = null;
    if (place.served !== undefined) {
      route = new Route(routes.length, place.served, pattern, clean);
      routes.push(route);
    }
    const hosts = hostsAt(ports, place, pattern, rank);
    addHost(hosts, place.domain === "" ? settings.hostname : place.domain, {
      rank,
      listenPath: place.listenPath,
      route,
    });
  }
  return new RouteTable(routes, ports, settings.http_server_options.enable_strict_routes, clean);
}

/** What wins comes first. Of two equal ones the closed. */
function inOrder(definitions: readonly ApiDefinition[], closed: readonly ClosedPath[]): Place[] {
  const shut: Place[] = closed.map((c) => ({ port: c.port, domain: c.domain, listenPath: c.listen_path }));
  const open: Place[] = definitions.map((d) => ({
    port: d.port,
    domain: d.domain,
    listenPath: d.proxy.listen_path,
    served: d,
  }));
  return [...shut, ...open].sort(
    (a, b) =>
      Number(a.domain === "") - Number(b.domain === "") ||
      b.listenPath.length - a.listenPath.length ||
      domainKind(a.domain) - domainKind(b.domain),
  );
}

function domainKind(domain: string): number {
  if (hasVariables(domain)) return 2;
  return domain.startsWith("*.") ? 1 : 0;
}

function pathPattern(listenPath: string): RegExp | null {
  if (!hasVariables(listenPath)) return null;
  const compiled = compilePathTemplate(listenPath);
  if ("problem" in compiled) throw new Error(`listen path ${JSON.stringify(listenPath)} ${compiled.problem}`);
  return compiled.pattern;
}

function hostsAt(ports: Map<number, PortTable>, place: Place, pattern: RegExp | null, rank: number): Hosts<Entry> {
  let table = ports.get(place.port);
  if (table === undefined) {
    table = { literal: new PrefixTree(), patterns: [] };
    ports.set(place.port, table);
  }
  if (pattern === null) return table.literal.at(place.listenPath, () => new Hosts<Entry>());
  const hosts = new Hosts<Entry>();
  table.patterns.push({ pattern, rank, hosts });
  return hosts;
}

function addHost(hosts: Hosts<Entry>, domain: string, entry: Entry): void {
  if (domain === "") hosts.addAny(entry);
  else if (hasVariables(domain)) hosts.addPattern(domainPattern(domain), entry);
  else if (domain.startsWith("*.")) hosts.addWildcard(domain.slice(2).toLowerCase(), entry);
  else hosts.addExact(hostOf(domain), entry);
}

function domainPattern(domain: string): RegExp {
  const compiled = compileHostTemplate(domain);
  if ("problem" in compiled) throw new Error(`domain ${JSON.stringify(domain)} ${compiled.problem}`);
  return compiled.pattern;
}
