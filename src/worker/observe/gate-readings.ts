// How the gate is: the store, leases, remembered keys, and the threads beside the loop.
// Responsible for asking the store once per collection how long it takes, which is told with the next one.
// Must not know: decisions, limits' insides. Runs: per collection.

import type { Sample } from "../../shared/observe/figures.js";
import type { Gatehouse } from "../gatehouse.js";
import type { Offload } from "../offload/offload.js";
import type { Increments } from "./increments.js";

/** Nobody's key: what is timed is the way. */
const NOBODY = "sluice-probe";

export class GateReadings {
  private latency = -1;
  private asking = false;

  read(gatehouse: Gatehouse, offload: Offload | null, into: Sample[], increments: Increments): void {
    const gauge = (name: string, value: number, labels: Sample["labels"] = {}): void => {
      into.push({ name, labels, value });
    };
    const { engine, gate, store } = gatehouse;
    gauge("sluice_store_up", store.health().ok ? 1 : 0);
    if (this.latency >= 0) gauge("sluice_store_latency_seconds", this.latency);
    void this.ask(gatehouse);
    gauge("sluice_limits", engine.size);
    gauge("sluice_limits_waiting_calls", engine.waiting);
    gauge("sluice_limits_alone", engine.down ? 1 : 0);
    gauge("sluice_keys_remembered", gate.sessions.size, { kind: "known" });
    gauge("sluice_keys_remembered", gate.sessions.unknownSize, { kind: "unknown" });
    if (offload !== null) readOffload(offload, into, increments);
  }

  private async ask({ store }: Gatehouse): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    const began = performance.now();
    try {
      await store.get(NOBODY);
      this.latency = (performance.now() - began) / 1_000;
    } catch {
      this.latency = -1;
    } finally {
      this.asking = false;
    }
  }
}

function readOffload(offload: Offload, into: Sample[], increments: Increments): void {
  const { counts } = offload;
  into.push({ name: "sluice_pool_waiting", labels: {}, value: offload.waiting });
  into.push({ name: "sluice_pool_running", labels: {}, value: offload.running });
  increments.add(into, "sluice_pool_jobs_total", counts.done, { outcome: "done" });
  increments.add(into, "sluice_pool_jobs_total", counts.inline, { outcome: "inline" });
  for (const [outcome, total] of Object.entries(counts.failed))
    increments.add(into, "sluice_pool_jobs_total", total, { outcome });
  increments.add(into, "sluice_pool_wait_seconds_total", counts.waited / 1e6);
  increments.add(into, "sluice_pool_run_seconds_total", counts.ran / 1e6);
}
