/**
 * Who ran dry says so, and who holds units of that counter unused gives them back: small leases may then be kept while nobody
 * is short of anything.
 * Must not know: leases, callers. Governed by: the contract at the top of `limit.ts`; `recall` of the counters.
 * Runs: four times a second per worker, however many counters there are.
 */

import type { Counters } from "../../../shared/counters/counters.js";

const EVERY_MS = 250;
/** Somebody waits for these units: asked for at the next tick. */
const DRY_MS = 50;
/** Named at once; what comes on top is named when it is found dry again. */
const KEYS_MAX = 256;

export class Recalls {
  readonly #counters: Counters;
  readonly #heard: (key: string, now: number) => void;
  readonly #dry = new Set<string>();
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking = false;

  constructor(counters: Counters, heard: (key: string, now: number) => void) {
    this.#counters = counters;
    this.#heard = heard;
  }

  add(key: string): void {
    if (this.#dry.size < KEYS_MAX) this.#dry.add(key);
  }

  tick(now: number): void {
    if (this.#asking || now - this.#askedAt < (this.#dry.size > 0 ? DRY_MS : EVERY_MS)) return;
    this.#asking = true;
    this.#askedAt = now;
    const keys = [...this.#dry];
    this.#dry.clear();
    this.#counters.recall(keys).then(
      (dry) => {
        this.#asking = false;
        for (const key of dry) this.#heard(key, now);
      },
      // Whether the store is lost is for the beat to say.
      () => {
        this.#asking = false;
      },
    );
  }
}
