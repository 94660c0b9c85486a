// How the targets are, as this worker sees them. Bounded: names may stand for many addresses.
// Must not know: how a target is chosen or put out. Runs: per collection.

import type { Sample } from "../../shared/observe/figures.js";
import type { Balancer } from "../balance/balancer.js";
import { LinkState } from "../upstream/link.js";

/** Targets that are shown one by one; beyond these a fleet is looked at elsewhere. */
const MOST_TARGETS = 500;

export function readTargets(balancers: readonly Balancer[], into: Sample[]): void {
  const seen = new Set<string>();
  for (const { api, all } of balancers) {
    for (const { endpoint, outUntil, eligible } of all) {
      const target = endpoint.name;
      if (seen.size >= MOST_TARGETS || seen.has(`${api} ${target}`)) continue;
      seen.add(`${api} ${target}`);
      const labels = { api, target };
      const connected = endpoint.links.filter((link) => link.state === LinkState.READY).length;
      into.push({ name: "sluice_target_connections", labels, value: connected });
      into.push({ name: "sluice_target_calls", labels, value: endpoint.inFlight });
      into.push({ name: "sluice_target_up", labels, value: endpoint.down ? 0 : 1 });
      into.push({ name: "sluice_target_out", labels, value: outUntil > 0 ? 1 : 0 });
      into.push({ name: "sluice_target_serves", labels, value: eligible && endpoint.hopeful ? 1 : 0 });
    }
  }
}
