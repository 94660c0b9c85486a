/**
 * A session's bytes: msgpack of our own, or the JSON that Tyk reads and writes. Both are always read.
 * Must not know: the store. Governed by: `storage.encoding`.
 * Runs: once per worker and key, and again when the key changed.
 */

import { Packr } from "msgpackr";
import { z } from "zod";
import { type Session, sessionSchema } from "../model/session.js";

export type Encoding = "msgpack" | "json";

/** No records: the bytes stand for themselves, in any process and any later version. */
const packer = new Packr({ useRecords: false, int64AsType: "number", mapsAsObjects: true });
const OPEN_BRACE = 0x7b;
const MAX_SESSION_BYTES = 1_024 * 1_024;

export type Decoded = { readonly session: Session } | { readonly problem: string };

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
  return result.success ? { session: result.data } : { problem: z.prettifyError(result.error) };
}
