/**
 * A session's bytes: msgpack of our own, or the JSON that Tyk reads and writes. Both are always read.
 * Must not know: the store. Governed by: `storage.encoding`.
 * Runs: once per worker and key, and again when the key changed.
 */

import { Packr } from "msgpackr";
import { z } from "zod";
import { jsonPath } from "../model/problem.js";
import { type Session, sessionSchema } from "../model/session.js";

export type Encoding = "msgpack" | "json";

/** No records: the bytes stand for themselves, in any process and any later version. */
const packer = new Packr({ useRecords: false, int64AsType: "number", mapsAsObjects: true });
const OPEN_BRACE = 0x7b;
const MAX_SESSION_BYTES = 1_024 * 1_024;

/** `place`: the first fault as one line, where it is a member's. */
export type Decoded = { readonly session: Session } | { readonly problem: string; readonly place?: string | undefined };

export function encodeSession(session: Session, encoding: Encoding): Uint8Array {
  if (encoding === "msgpack") return packer.pack(session);
  const { last_updated: updated, ...rest } = session;
  // Tyk reads this one field only as text.
  const form = updated === undefined ? rest : { ...rest, last_updated: String(updated) };
  return Buffer.from(JSON.stringify(form), "utf8");
}

export function decodeSession(bytes: Uint8Array): Decoded {
  if (bytes.length > MAX_SESSION_BYTES) return { problem: "the stored session is larger than 1 MiB" };
  let value: unknown;
  try {
    // No msgpack of an object begins with this byte.
    value = bytes[0] === OPEN_BRACE ? JSON.parse(Buffer.from(bytes).toString("utf8")) : packer.unpack(bytes);
  } catch {
    return { problem: "the stored session is neither JSON nor msgpack" };
  }
  return checkSession(value);
}

export function checkSession(value: unknown): Decoded {
  // Extension types of msgpack decode to objects of classes; a session is never one.
  if (typeof value === "object" && value !== null && Object.getPrototypeOf(value) !== Object.prototype) {
    return { problem: "the stored session is not an object" };
  }
  const result = sessionSchema.safeParse(value);
  // Only paths and kinds, never values: a session holds secrets.
  if (result.success) return { session: result.data };
  return { problem: z.prettifyError(result.error), place: placeOf(result.error) };
}

/** `$.rate must be a number`: the first fault of a document, its place and what is wanted there. */
export function placeOf(error: z.ZodError): string {
  const [issue] = error.issues;
  if (issue === undefined) return "";
  return `${jsonPath(issue.path)} ${issue.code === "invalid_type" ? wanted(issue.expected) : issue.message}`;
}

function wanted(kind: string): string {
  if (kind === "boolean") return "must be true or false";
  if (kind === "array") return "must be a list";
  return `must be ${kind === "object" || kind === "record" ? "an object" : `a ${kind}`}`;
}
