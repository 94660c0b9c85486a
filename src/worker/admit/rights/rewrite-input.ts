/**
 * What a URL rewrite may look at. Must not know: rules. Runs: made once per decision of an API with rewrites.
 */

import type { FieldAccess } from "../credentials/fields.js";

export interface RewriteInput {
  readonly method: string;
  /** With its query, as it came. */
  readonly path: string;
  readonly below: string;
  readonly get: FieldAccess;
  readonly meta: Readonly<Record<string, unknown>>;
  readonly context: Readonly<Record<string, string>>;
}

/** Numbers and lists in meta data are written out, lists with commas. */
export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return value.map(textOf).join(",");
  return "";
}
