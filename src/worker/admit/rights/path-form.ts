/**
 * Whether a path has the one plain form in which lists and rights can be trusted to mean what they say.
 * Governed by: RFC 3986 sections 2.1, 3.3 and 6.2.2. Runs: once per distinct path, only for APIs with lists or rights.
 *
 * A service may read `/pkg.Service/%53ayHello` or `/pkg.Service//SayHello` as the method that a list keeps away. No client
 * of gRPC writes these, so they are refused instead of being translated: what is checked is what is forwarded.
 */

import { MAX_PATH } from "../../../shared/model/path-pattern.js";

const SLASH = 0x2f;
const DOT = 0x2e;
const PERCENT = 0x25;
const BACKSLASH = 0x5c;

/** `path` without its query. */
export function isPlainPath(path: string): boolean {
  if (path.length > MAX_PATH || path.charCodeAt(0) !== SLASH) return false;
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at);
    // Controls, spaces and anything beyond ASCII as well: their spelling is up to the reader.
    if (code === PERCENT || code === BACKSLASH || code <= 0x20 || code >= 0x7f) return false;
    if (code !== SLASH) continue;
    const next = path.charCodeAt(at + 1);
    if (next === SLASH) return false;
    if (next === DOT && isDotSegment(path, at + 1)) return false;
  }
  return true;
}

function isDotSegment(path: string, at: number): boolean {
  const second = path.charCodeAt(at + 1);
  if (Number.isNaN(second) || second === SLASH) return true;
  if (second !== DOT) return false;
  const third = path.charCodeAt(at + 2);
  return Number.isNaN(third) || third === SLASH;
}

export function withoutQuery(path: string): string {
  const mark = path.indexOf("?");
  return mark === -1 ? path : path.slice(0, mark);
}
