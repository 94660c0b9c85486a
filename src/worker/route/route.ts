// One route: what a call to a port, an authority and a path is proxied to.
// Responsible for the facts a decision needs and for the path as the service sees it. Immutable.
// Must not know: how it was found, sockets, health of targets. Runs: upstreamPath once per decision, not per call.

import type { ApiDefinition, Target } from "../../shared/model/api-definition.js";
import { cleanPath, joinPath, mergeQuery, needsCleaning } from "../../shared/model/path.js";

export class Route {
  /** Small and dense within one table: an index for counters and decisions. */
  readonly id: number;
  readonly api_id: string;
  readonly definition: ApiDefinition;
  readonly listenPath: string;
  readonly strip: boolean;
  readonly preserveHost: boolean;
  readonly targets: readonly Target[];
  readonly #pattern: RegExp | null;
  readonly #clean: boolean;

  constructor(id: number, definition: ApiDefinition, pattern: RegExp | null, clean: boolean) {
    this.id = id;
    this.api_id = definition.api_id;
    this.definition = definition;
    this.listenPath = definition.proxy.listen_path;
    this.strip = definition.proxy.strip_listen_path;
    this.preserveHost = definition.proxy.preserve_host_header;
    this.targets = definition.proxy.targets;
    this.#pattern = pattern;
    this.#clean = clean;
  }

  /** The `:path` for one of this route's targets, from the caller's `:path`. */
  upstreamPath(path: string, target: Target = this.targets[0]!): string {
    const mark = path.indexOf("?");
    const sent = mark === -1 ? path : path.slice(0, mark);
    const plainTarget = (target.basePath === "" || target.basePath === "/") && target.query === "";
    if (plainTarget && !this.strip && !needsCleaning(sent)) return path;
    const cleaned = this.#clean ? cleanPath(sent) : sent;
    const kept = this.strip ? this.#stripped(cleaned) : cleaned;
    const joined = joinPath(target.basePath, kept, this.definition.proxy.disable_strip_slash);
    const query = mergeQuery(target.query, mark === -1 ? "" : path.slice(mark + 1));
    return query === "" ? joined : `${joined}?${query}`;
  }

  #stripped(path: string): string {
    // A path that a rewrite has replaced may not begin with the listen path: then there is nothing to cut off.
    const starts = path.startsWith(this.listenPath);
    const rest =
      this.#pattern !== null ? path.replace(this.#pattern, "") : starts ? path.slice(this.listenPath.length) : path;
    return rest.startsWith("/") ? rest : `/${rest}`;
  }
}
