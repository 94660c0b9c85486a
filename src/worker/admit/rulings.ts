/**
 * The rulings that hold for whoever calls an API, one for each verdict: thousands of decisions share them.
 * Must not know: keys. Runs: once per decision.
 */

import type { ApiGate } from "./api-gate.js";
import { Ruling } from "./decision.js";

export class Rulings {
  readonly #known = new WeakMap<ApiGate, Map<number, Ruling>>();

  of(api: ApiGate, verdict: number, epoch: number): Ruling {
    let rulings = this.#known.get(api);
    if (rulings === undefined) {
      rulings = new Map();
      this.#known.set(api, rulings);
    }
    const known = rulings.get(verdict);
    if (known !== undefined && known.gateEpoch === epoch) return known;
    const made = new Ruling(verdict, epoch, api.strip);
    rulings.set(verdict, made);
    return made;
  }
}
