// What the primary knows of the gateway by itself. Responsible for counting what happens in the primary, and for reading how
// it stands. Must not know: workers' figures, text formats. Runs: per event of an operator, and per collection.

import type { Sample } from "../../shared/observe/figures.js";
import type { CertificateExpiry } from "../expiry.js";

export interface Standing {
  readonly version: string;
  readonly workers: number;
  readonly apis: number;
  readonly leftOut: number;
  readonly ready: boolean;
  readonly reloadRefused: boolean;
  /** Undefined while nobody needed the store. */
  readonly storeUp: boolean | undefined;
  readonly certificates: readonly CertificateExpiry[];
}

/** Of a thousand certificates the soonest are those that matter. */
const MOST_CERTIFICATES = 500;

export class OwnFigures {
  deaths = 0;
  readonly reloads = { done: 0, refused: 0 };
  readonly restarts = { done: 0, refused: 0 };
  readonly #began = Date.now() / 1_000;

  read(standing: Standing): Sample[] {
    const samples: Sample[] = [];
    const tell = (name: string, value: number, labels: Record<string, string> = {}): void => {
      samples.push({ name, labels, value });
    };
    tell("sluice_info", 1, { version: standing.version, node: process.version });
    tell("sluice_start_time_seconds", this.#began);
    tell("sluice_ready", standing.ready ? 1 : 0);
    tell("sluice_workers", standing.workers);
    tell("sluice_worker_deaths_total", this.deaths);
    for (const [outcome, count] of Object.entries(this.restarts)) tell("sluice_restarts_total", count, { outcome });
    for (const [outcome, count] of Object.entries(this.reloads)) tell("sluice_reloads_total", count, { outcome });
    tell("sluice_reload_refused", standing.reloadRefused ? 1 : 0);
    tell("sluice_apis", standing.apis);
    tell("sluice_apis_left_out", standing.leftOut);
    if (standing.storeUp !== undefined) tell("sluice_store_up", standing.storeUp ? 1 : 0);
    for (const { fingerprint, id, subject, notAfter } of standing.certificates.slice(0, MOST_CERTIFICATES))
      tell("sluice_certificate_expiry_timestamp_seconds", notAfter / 1_000, {
        certificate: id,
        fingerprint,
        subject,
      });
    tell("sluice_primary_memory_bytes", process.memoryUsage.rss());
    const { user, system } = process.cpuUsage();
    tell("sluice_primary_cpu_seconds_total", (user + system) / 1e6);
    return samples;
  }
}
