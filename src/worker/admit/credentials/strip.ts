/**
 * What of a call's fields is a credential and does not go on to the service (`strip_auth_data`).
 * Must not know: whether the credential was right.
 * Runs: the plan is made once per definition, `stripPath` and `stripCookie` once per decision.
 */

import type { Place } from "./fields.js";

export interface StripPlan {
  /** Lower-case names of headers that are dropped. */
  readonly headers: readonly string[];
  readonly params: readonly string[];
  readonly cookies: readonly string[];
}

export const STRIP_NOTHING: StripPlan = { headers: [], params: [], cookies: [] };

export function stripPlan(places: readonly Place[]): StripPlan {
  const kept = (names: readonly string[]): string[] => [...new Set(names)].filter((name) => name !== "");
  return {
    headers: kept(places.map((place) => place.header)),
    params: kept(places.map((place) => place.param)),
    cookies: kept(places.map((place) => place.cookie)),
  };
}

/** The other parameters stay as they were written. */
export function stripPath(path: string, params: readonly string[]): string {
  const mark = path.indexOf("?");
  if (mark === -1 || params.length === 0) return path;
  const kept = path
    .slice(mark + 1)
    .split("&")
    .filter((pair) => !params.includes(decodeName(pair)));
  return kept.length === 0 ? path.slice(0, mark) : `${path.slice(0, mark)}?${kept.join("&")}`;
}

/** Undefined when nothing is left of the field. */
export function stripCookie(header: string, cookies: readonly string[]): string | undefined {
  const kept = header.split(";").filter((part) => !cookies.includes((part.split("=", 1)[0] ?? "").trim()));
  const text = kept.join(";").trim();
  return text === "" ? undefined : text;
}

function decodeName(pair: string): string {
  for (const [name] of new URLSearchParams(pair)) return name;
  return "";
}
