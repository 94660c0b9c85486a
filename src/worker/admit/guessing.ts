/**
 * The guard against guessing: how many credentials nobody has may be tried from one address in a second.
 * Beyond it, credentials that this worker does not remember are refused without being looked at: no hash, no question to the
 * store, no signature. Keys in use are remembered, and notice nothing. Without it every made-up key costs more than a
 * served call.
 * Must not know: calls, answers. Governed by: the setting `unknown_keys_per_second`.
 * Runs: once per call whose decision is not remembered.
 *
 * Bounds: ADDRESSES counters in two generations; one that is forgotten begins anew.
 */

import { networkOf } from "../../shared/base/network.js";

const ADDRESSES = 8_192;
const WINDOW_MS = 1_000;

interface Tries {
  window: number;
  count: number;
}

export class Guessing {
  /** 0 = as many as come. */
  limit = 0;
  #young = new Map<string, Tries>();
  #old = new Map<string, Tries>();

  /** Milliseconds until credentials from there are looked at again; 0: they are now. */
  restOf(address: string, now: number): number {
    if (this.limit === 0) return 0;
    const tries = this.#find(networkOf(address));
    if (tries === undefined || tries.count < this.limit || now >= tries.window + WINDOW_MS) return 0;
    return tries.window + WINDOW_MS - now;
  }

  /** A credential from there was nobody's. */
  note(address: string, now: number): void {
    if (this.limit === 0) return;
    const network = networkOf(address);
    const tries = this.#find(network);
    if (tries === undefined) this.#keep(network, { window: now, count: 1 });
    else if (now < tries.window + WINDOW_MS) tries.count += 1;
    else {
      tries.window = now;
      tries.count = 1;
    }
  }

  #find(network: string): Tries | undefined {
    const tries = this.#young.get(network);
    if (tries !== undefined || this.#old.size === 0) return tries;
    const old = this.#old.get(network);
    if (old !== undefined) this.#keep(network, old);
    return old;
  }

  #keep(network: string, tries: Tries): void {
    if (this.#young.size >= ADDRESSES / 2) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(network, tries);
  }
}
