/**
 * Checks of passwords that are remembered, and one check at a time per credential.
 * Must not know: how bcrypt is run (`PasswordCheck`), what a user may do.
 * Governed by: `basic_auth.cache_ttl`. Wrong ones are remembered as well, so that a flood of one wrong password costs one
 * hash; both kinds leave together with the stored hash they were compared to. A check that no call waits for any more is
 * taken back, so that callers who go away fill no queue.
 * Runs: once per distinct credential and cache time.
 */

import { hash, randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import {
  hasPassword,
  needsSlowCheck,
  type PasswordCheck,
  type StoredPassword,
  verifyQuickly,
} from "../../../shared/keys/password.js";

const MAX_REMEMBERED = 10_000;
const MAX_UNDER_WAY = 1_024;
/** bcrypt reads 72 bytes; a longer password would be right by its beginning alone. */
const BCRYPT_BYTES = 72;

/** Whoever waits is asked so often, ms, whether they still do: when the queue is full and when a check is done. */
const SWEEP_MS = 50;

/** Thrown when so many checks are under way that one more would only wait. */
export class TooManyChecks extends Error {
  override readonly name = "TooManyChecks";
}

/** Whether the call that asked is over. */
export type Gone = () => boolean;

interface Check {
  readonly result: Promise<boolean>;
  /** Every call that waits for it. */
  readonly askers: Gone[];
  readonly abort: AbortController;
}

const NEVER: Gone = () => false;

export class Passwords {
  readonly #check: PasswordCheck;
  readonly #remembered = new LRUCache<string, { readonly right: boolean }>({ max: MAX_REMEMBERED });
  readonly #underWay = new Map<string, Check>();
  #sweptAt = Number.NEGATIVE_INFINITY;
  /** Remembered credentials are digests with a salt that dies with the process. */
  readonly #salt = randomBytes(32).toString("base64");

  constructor(check: PasswordCheck) {
    this.#check = check;
  }

  /** The answer if it can be given at once, undefined if `verify` is needed. */
  recall(user: string, password: string, stored: StoredPassword): boolean | undefined {
    if (!hasPassword(stored) || password === "") return false;
    if (!needsSlowCheck(stored)) return verifyQuickly(password, stored);
    if (Buffer.byteLength(password) > BCRYPT_BYTES) return false;
    return this.#remembered.get(this.#key(user, password, stored))?.right;
  }

  /** Whether `verify` would only refuse. Asked before the costs of waiting are made: a surplus comes in thousands. */
  isFull(user: string, password: string, stored: StoredPassword): boolean {
    return this.#hasNoRoom() && !this.#underWay.has(this.#key(user, password, stored));
  }

  /** `ttl` in milliseconds, 0 to remember nothing. `gone` says whether the call that asks is over. */
  verify(user: string, password: string, stored: StoredPassword, ttl: number, gone: Gone = NEVER): Promise<boolean> {
    const known = this.recall(user, password, stored);
    if (known !== undefined) return Promise.resolve(known);
    const key = this.#key(user, password, stored);
    const running = this.#underWay.get(key);
    if (running !== undefined) {
      running.askers.push(gone);
      return running.result;
    }
    if (this.#hasNoRoom()) return Promise.reject(new TooManyChecks());
    return this.#begin(key, password, stored, ttl, gone);
  }

  #begin(key: string, password: string, stored: StoredPassword, ttl: number, gone: Gone): Promise<boolean> {
    const abort = new AbortController();
    const result = this.#check
      .verifyBcrypt(password, stored.password ?? "", abort.signal)
      .then((right) => {
        if (ttl > 0) this.#remembered.set(key, { right }, { ttl });
        return right;
      })
      .finally(() => {
        if (this.#underWay.get(key) === check) this.#underWay.delete(key);
        this.#sweep();
      });
    const check = { result, askers: [gone], abort };
    this.#underWay.set(key, check);
    return result;
  }

  #hasNoRoom(): boolean {
    if (this.#underWay.size < MAX_UNDER_WAY) return false;
    this.#sweep();
    return this.#underWay.size >= MAX_UNDER_WAY;
  }

  /** Takes back what nobody waits for; a check that a thread has is let finish. */
  #sweep(): void {
    const now = performance.now();
    if (now - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = now;
    for (const [key, { askers, abort }] of this.#underWay) {
      if (!askers.every((gone) => gone())) continue;
      // At once: who asks from here on gets a check of their own.
      this.#underWay.delete(key);
      abort.abort();
    }
  }

  /** In one go: an object for the digest would cost several times as much, and a flood asks for every guess. */
  #key(user: string, password: string, stored: StoredPassword): string {
    const known = stored.password ?? "";
    return hash("sha256", `${this.#salt}${user.length} ${user}${known.length} ${known}${password}`, "base64");
  }
}
