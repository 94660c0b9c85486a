/**
 * The arithmetic of merging: which rate is higher, which number wins, how lists of rights unite.
 * Must not know: policies or sessions as a whole. Governed by: Tyk's merge rules. Runs: inside `applyPolicies`.
 */

import type { Access, AllowedUrl, Endpoint } from "../model/session.js";

interface Rate {
  readonly rate?: number | undefined;
  readonly per?: number | undefined;
}

/** Seconds between two requests; 0 for unlimited. */
export function interval({ rate = 0, per = 0 }: Rate): number {
  return rate > 0 && per > 0 ? per / rate : 0;
}

/** Whether `offered` says something and allows more than `held`, or `held` says nothing. */
export function fasterRate(offered: Rate, held: Rate): boolean {
  if (isUnset(offered)) return false;
  return isUnset(held) || interval(held) > interval(offered);
}

function isUnset({ rate = 0, per = 0 }: Rate): boolean {
  // Unlimited is -1; an unlimited rate needs no period.
  return rate === 0 || (per === 0 && rate > 0);
}

/** The larger one; -1 is unlimited and beats every number. */
export function highest(one: number | undefined, other: number | undefined): number {
  const a = one ?? 0;
  const b = other ?? 0;
  return a === -1 || b === -1 ? -1 : Math.max(a, b);
}

/**
 * Versions, urls and methods of both, in the order of the first. A list that is empty ("all") united with one that is not
 * gives the one that is not, as in Tyk: the stricter reading.
 */
export function mergeRights(before: Access, next: Access): Access {
  return {
    ...before,
    versions: united(before.versions, next.versions),
    allowed_urls: mergeUrls(before.allowed_urls, next.allowed_urls),
  };
}

function united(one: readonly string[] = [], other: readonly string[] = []): string[] {
  return [...new Set([...one, ...other])];
}

function mergeUrls(one: readonly AllowedUrl[] = [], other: readonly AllowedUrl[] = []): AllowedUrl[] {
  const merged = new Map<string, AllowedUrl>();
  for (const url of [...one, ...other]) {
    const key = `${url.match ?? ""} ${url.url}`;
    const held = merged.get(key);
    merged.set(key, { ...url, methods: united(held?.methods, url.methods) });
  }
  return [...merged.values()];
}

/** Per path and method the highest rate; what only one of them limits stays limited. */
export function mergeEndpoints(one: readonly Endpoint[] = [], other: readonly Endpoint[] = []): Endpoint[] {
  const paths = new Map<string, Map<string, NonNullable<Endpoint["methods"]>[number]>>();
  for (const endpoint of [...one, ...other]) {
    const methods = paths.get(endpoint.path) ?? new Map();
    paths.set(endpoint.path, methods);
    for (const method of endpoint.methods ?? []) {
      const held = methods.get(method.name);
      if (held === undefined || fasterRate(method.limit ?? {}, held.limit ?? {})) methods.set(method.name, method);
    }
  }
  return [...paths].map(([path, methods]) => ({ path, methods: [...methods.values()] }));
}
