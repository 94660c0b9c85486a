/**
 * Keys that are known to be nobody's, for a while: what a flood of made-up keys fills.
 * Must not know: who asks. What leaves is told so (`leave`), because decisions may hang on it.
 * Bounds: `max` keys in two generations; when the young one is full the old one goes as a whole, so that a flood costs no
 * order to be kept. Runs: once or twice per unknown key.
 */

import type { SessionRef } from "./session-ref.js";

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
