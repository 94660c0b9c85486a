/**
 * Stored passwords of basic authentication: which function, and how one is checked and made.
 * Must not know: where the slow function runs (`PasswordCheck` is handed in; bcrypt belongs off the event loop).
 * Governed by: Tyk's `basic_auth_data.hash_type`: "" is the plain text, bcrypt, sha256, murmur32/64/128.
 * Runs: per password that is not remembered.
 */

import { algorithmOf, hashText, isAlgorithm } from "./hash.js";
import { equalSecrets } from "./secret.js";

/** The slow functions, run where they hold nobody up. */
export interface PasswordCheck {
  /** Never rejects for a malformed hash: that is `false`. A check that is aborted before it was begun never is; it rejects. */
  verifyBcrypt(password: string, hash: string, signal?: AbortSignal): Promise<boolean>;
}

export interface StoredPassword {
  readonly password?: string | undefined;
  readonly hash_type?: string | undefined;
}

/** A user without a stored password never passes, whatever is presented. */
export function hasPassword(stored: StoredPassword | undefined): stored is StoredPassword & { password: string } {
  return typeof stored?.password === "string" && stored.password !== "";
}

export function needsSlowCheck(stored: StoredPassword): boolean {
  return stored.hash_type === "bcrypt";
}

/** For every function but bcrypt. */
export function verifyQuickly(password: string, stored: StoredPassword): boolean {
  if (!hasPassword(stored) || password === "") return false;
  const kind = stored.hash_type ?? "";
  if (kind === "") return equalSecrets(password, stored.password);
  // A function we do not know is not "plain": refuse.
  return isAlgorithm(kind) && equalSecrets(hashText(password, kind), stored.password);
}

/** What `basic_auth_hash_key_function` makes of a new password; undefined means bcrypt, which is asynchronous. */
export function hashPassword(password: string, kind: string): { password: string; hash_type: string } | undefined {
  if (!isAlgorithm(kind)) return undefined;
  return { password: hashText(password, algorithmOf(kind)), hash_type: kind };
}
