// The forms in which the control API answers and is asked.
// Responsible for status, JSON, and reading a body without trusting it. Must not know: resources, routes.
// Governed by: Tyk's gateway API: `{"status":"error","message"}` and `{"key","status","action"}`. Runs: per request.

import type { Context } from "hono";
import { LARGEST_BODY } from "../../shared/control-body.js";

/** Nobody nests deeper on purpose; what is nested without end breaks whoever walks it. */
const MOST_LEVELS = 32;
/** Names become parts of files' and records' names. */
export const LONGEST_NAME = 512;

export class BodyTooLarge extends Error {
  override readonly name = "BodyTooLarge";
}

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Response {
  return text(status, JSON.stringify(value), headers);
}

export function text(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(body, { status, headers: { "content-type": "application/json", ...headers } });
}

export function refusal(status: number, message: string, headers: Readonly<Record<string, string>> = {}): Response {
  return json(status, { status: "error", message }, headers);
}

export interface Change {
  readonly key: string;
  readonly action: "added" | "modified" | "deleted" | "updated";
  readonly key_hash?: string | undefined;
  /** Every worker of this host goes by it. */
  readonly applied?: boolean | undefined;
}

/** What was changed; a header says so when some worker has not applied it yet. */
export function changed({ key, action, key_hash, applied = true }: Change): Response {
  const body = key_hash === undefined ? { key, status: "ok", action } : { key, status: "ok", action, key_hash };
  return json(200, body, applied ? {} : { "x-sluice-applied": "pending" });
}

export function methodNotSupported(): Response {
  return refusal(405, "Method not supported");
}

/** Undefined for what is no JSON object, or one that only wants to be a burden. */
export async function readObject(context: Context): Promise<Record<string, unknown> | undefined> {
  const body = await readBody(context);
  if (levelsOf(body) > MOST_LEVELS) return undefined;
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Read here and not by the framework, which would first hold all of it. What is left unread is not cancelled: that ends the
 * connection, and whoever still writes then hears of it before the answer.
 */
export async function readBody(context: Context): Promise<string> {
  if (Number(context.req.header("content-length") ?? 0) > LARGEST_BODY) throw new BodyTooLarge();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of context.req.raw.body?.values({ preventCancel: true }) ?? []) {
    size += chunk.byteLength;
    if (size > LARGEST_BODY) throw new BodyTooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** How deep brackets stand in one another, those in strings left aside. */
function levelsOf(body: string): number {
  let level = 0;
  let most = 0;
  let inString = false;
  for (let at = 0; at < body.length; at += 1) {
    const code = body.charCodeAt(at);
    if (inString) {
      if (code === 0x5c) at += 1;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x7b || code === 0x5b) most = Math.max(most, ++level);
    else if (code === 0x7d || code === 0x5d) level -= 1;
  }
  return most;
}
