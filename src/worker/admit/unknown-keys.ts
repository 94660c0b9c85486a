/**
 * Keys that are known to be nobody's, for a while: what a flood of made-up keys fills.
 * Must not know: who asks. What leaves is told so (`leave`), because decisions may hang on it.
 * Bounds: `max` keys in two generations; when the young one is full the old one goes as a whole, so that a flood costs no
 * order to be kept; a name of more octets than a hashed key has is kept as its digest, so that a flood of long ones takes no more
 * memory than one of short ones. Runs: once or twice per unknown key.
 */

import { hash } from "node:crypto";
import type { SessionRef } from "./session-ref.js";

/** SHA-256 in hex: hashed keys, which nearly all are, stay as they are. */
const LONGEST_NAME = 64;

/** Before a digest; no name of a key begins so by chance. */
export const DIGEST = "sha256:";

/** A name as it is kept: itself, or its digest. */
export function keptName(name: string): string {
  return name.length <= LONGEST_NAME ? name : DIGEST + hash("sha256", name, "hex");
}

export class UnknownKeys {
  readonly #max: number;
  #young = new Map<string, SessionRef>();
  #old = new Map<string, SessionRef>();

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string): SessionRef | undefined {
    return this.#young.get(key) ?? this.#old.get(key);
  }

  set(key: string, ref: SessionRef): void {
    this.delete(key);
    if (this.#young.size >= this.#max / 2) {
      for (const gone of this.#old.values()) gone.leave();
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, ref);
  }

  delete(key: string): void {
    const ref = this.get(key);
    if (ref === undefined) return;
    this.#young.delete(key);
    this.#old.delete(key);
    ref.leave();
  }

  clear(): void {
    for (const keys of [this.#young, this.#old]) {
      for (const ref of keys.values()) ref.leave();
      keys.clear();
    }
  }
}
