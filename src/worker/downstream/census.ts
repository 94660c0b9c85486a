// How many connections a worker has, in all and per address, against what it may have.
// Must not know: connections. An attacker's cheapest way to memory is to open connections and say nothing.
// Runs: once per connection.

import type { Logger } from "pino";
import { networkOf } from "../../shared/base/network.js";

/** 0 = as many as come. */
export interface CensusLimits {
  readonly perWorker: number;
  readonly perAddress: number;
}

/** A storm is told once in so long, ms. */
const TELL_EVERY_MS = 10_000;

export class Census {
  limits: CensusLimits = { perWorker: 0, perAddress: 0 };
  private readonly byAddress = new Map<string, number>();
  private readonly log: Logger;
  private toldAt = Number.NEGATIVE_INFINITY;
  private refused = 0;

  constructor(log: Logger) {
    this.log = log;
  }

  /** Whether one more may come from there, as things are. */
  admits(address: string, connections: number, now: number): boolean {
    const { perWorker, perAddress } = this.limits;
    let rule = "";
    if (perWorker > 0 && connections >= perWorker) rule = "connections.max_per_worker";
    else if (perAddress > 0 && (this.byAddress.get(networkOf(address)) ?? 0) >= perAddress)
      rule = "connections.max_per_address";
    if (rule === "") return true;
    this.refuse(address, rule, now);
    return false;
  }

  came(address: string): void {
    const network = networkOf(address);
    this.byAddress.set(network, (this.byAddress.get(network) ?? 0) + 1);
  }

  went(address: string): void {
    const network = networkOf(address);
    const left = (this.byAddress.get(network) ?? 0) - 1;
    if (left > 0) this.byAddress.set(network, left);
    else this.byAddress.delete(network);
  }

  private refuse(address: string, rule: string, now: number): void {
    this.refused += 1;
    if (now - this.toldAt < TELL_EVERY_MS) return;
    this.log.warn({ caller: address, rule, refused: this.refused }, "connections refused: there are too many");
    this.toldAt = now;
    this.refused = 0;
  }
}
