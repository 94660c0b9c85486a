/**
 * `allowed_urls` of a session's access to one API ("granular access").
 * Must not know: who calls. Governed by: Tyk: no list allows all, otherwise a url and its method must match.
 * Runs: compiled once per session and API, checked once per distinct path.
 */

import { compilePath, type MatchOptions, type PathPattern } from "../../../shared/model/path-pattern.js";
import type { AllowedUrl } from "../../../shared/model/session.js";

export interface AllowedUrls {
  /** True when there is a list at all, so that the path's form matters. */
  readonly restricts: boolean;
  readonly problems: readonly string[];
  /** `below` is the path after the listen path, tried first. */
  check(method: string, path: string, below: string): boolean;
}

const ALL: AllowedUrls = { restricts: false, problems: [], check: () => true };

export function compileAllowedUrls(urls: readonly AllowedUrl[] | undefined, options: MatchOptions): AllowedUrls {
  if (urls === undefined || urls.length === 0) return ALL;
  const rows = urls.map((url) => ({ pattern: compileOne(url, options), methods: new Set(url.methods ?? []) }));
  return {
    restricts: true,
    problems: rows.flatMap(({ pattern }) => pattern.problem ?? []),
    check: (method, path, below) =>
      rows.some(({ pattern, methods }) => methods.has(method) && (pattern.matches(below) || pattern.matches(path))),
  };
}

function compileOne(url: AllowedUrl, options: MatchOptions): PathPattern {
  if (url.match === undefined) return compilePath(url.url, options);
  return compilePath(url.url, { ...options, plain: url.match });
}
