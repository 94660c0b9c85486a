/**
 * The message form of `tyk.cluster.notifications`: encoding, signing, checking.
 * Must not know: the connection it travels on.
 * Governed by: Tyk's message {command, payload, signature, algorithm}; sha256 over command + payload + node_secret.
 * Runs: on changes of keys, policies and definitions.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { StoreChange } from "./store.js";

export const CHANNEL = "tyk.cluster.notifications";
/** Anything larger is not a notification; it would only cost memory to parse. */
const MAX_MESSAGE = 4 * 1_024 * 1_024;

export interface NotificationRules {
  readonly nodeSecret: string;
  /** Tyk's `allow_insecure_configs`: unsigned messages are believed. */
  readonly allowUnsigned: boolean;
}

export function encodeNotification(change: StoreChange, rules: NotificationRules): string {
  return JSON.stringify({
    command: change.command,
    payload: change.payload,
    signature: sign(change, rules.nodeSecret).toString("hex"),
    algorithm: "sha256",
  });
}

/** Undefined for what is malformed, signed wrongly or signed in a way we cannot check. */
export function decodeNotification(message: string, rules: NotificationRules): StoreChange | undefined {
  if (message.length > MAX_MESSAGE) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(message);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const { command, payload, signature } = parsed as Record<string, unknown>;
  if (typeof command !== "string") return undefined;
  const change = { command, payload: typeof payload === "string" ? payload : "" };
  if (rules.allowUnsigned) return change;
  if (typeof signature !== "string") return undefined;
  const given = Buffer.from(signature, "hex");
  const right = sign(change, rules.nodeSecret);
  return given.length === right.length && timingSafeEqual(given, right) ? change : undefined;
}

function sign(change: StoreChange, secret: string): Buffer {
  return createHash("sha256").update(change.command).update(change.payload).update(secret).digest();
}
