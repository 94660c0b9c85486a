// Every metric beside those of calls: what it means, and how several workers' numbers become one.
// Responsible for names and words; docs/metrics.md has the same list with what to watch. Must not know: how anything is
// measured. Governed by Prometheus' naming rules. Runs: read per collection.

/** `sum` of the states of all workers, the largest or smallest of them; `counter`: increments, added up for ever. */
export type Joining = "counter" | "sum" | "largest" | "smallest";

export interface Meaning {
  readonly joining: Joining;
  readonly help: string;
}

const counter = (help: string): Meaning => ({ joining: "counter", help });
const sum = (help: string): Meaning => ({ joining: "sum", help });
const largest = (help: string): Meaning => ({ joining: "largest", help });
const smallest = (help: string): Meaning => ({ joining: "smallest", help });

export const CATALOGUE: Readonly<Record<string, Meaning>> = {
  sluice_unrouted_requests_total: counter("Requests that no API was asked for, by what they were answered with"),
  sluice_connections: sum("Connections of callers"),
  sluice_handshakes_pending: sum("TLS handshakes under way"),
  sluice_tls_handshakes_total: counter("TLS handshakes by result: full, resumed, or why they failed"),
  sluice_buffered_bytes: sum("Octets held for slow receivers; max_buffered_bytes bounds them per worker"),
  sluice_replay_bytes: sum("Octets of requests held for being sent again"),
  sluice_deadline_lateness_seconds: largest("The most by which a deadline was kept late"),
  sluice_event_loop_delay_seconds: largest("Delay of the event loop since the last collection, of the worst worker"),
  sluice_event_loop_busy_ratio: largest("Share of time in which the busiest worker's loop had something to do"),
  sluice_memory_bytes: sum("Memory of all workers"),
  sluice_cpu_seconds_total: counter("CPU time of all workers"),
  sluice_store_up: smallest("1 while every worker can ask the store"),
  sluice_store_latency_seconds: largest("How long the store took to answer a worker's last probe"),
  sluice_limits: sum("Limits of rates and quotas that workers hold leases of"),
  sluice_limits_waiting_calls: sum("Calls that wait for a unit of a limit"),
  sluice_limits_alone: sum("Workers that count limits by themselves because the store is away"),
  sluice_keys_remembered: sum("Credentials that workers remember"),
  sluice_pool_waiting: sum("Jobs that wait for a pool thread"),
  sluice_pool_running: sum("Jobs that pool threads have"),
  sluice_pool_jobs_total: counter("Jobs of the pool by outcome; inline: too small for a thread"),
  sluice_pool_wait_seconds_total: counter("Time that jobs waited for a pool thread"),
  sluice_pool_run_seconds_total: counter("Time that jobs ran on a pool thread"),
  sluice_target_connections: sum("Connections to a target that calls can begin on"),
  sluice_target_calls: sum("Calls that a target has, or that wait for a connection to it"),
  sluice_target_up: smallest("0 while a target is down by its health checks"),
  sluice_target_out: sum("Workers in which a target is out because its calls fail"),
  sluice_target_serves: sum("Workers in which a target gets calls"),
  sluice_log_lines_dropped_total: counter("Lines of the access log that were not written because writing was too slow"),
  sluice_spans_total: counter("Spans of traces by outcome"),
  sluice_workers: sum("Worker processes that serve"),
  sluice_worker_deaths_total: counter("Workers that ended without being told to"),
  sluice_restarts_total: counter("Rolling restarts by outcome"),
  sluice_reloads_total: counter("Reloads by outcome"),
  sluice_reload_refused: sum("1 while the files say something else than what is in force"),
  sluice_apis: sum("APIs that are served"),
  sluice_apis_left_out: sum("Definitions that are not served because of an error in them"),
  sluice_certificate_expiry_timestamp_seconds: sum("When a certificate in use ends"),
  sluice_primary_memory_bytes: sum("Resident memory of the primary process"),
  sluice_primary_cpu_seconds_total: counter("CPU time of the primary process"),
  sluice_ready: sum("1 while /ready says yes"),
  sluice_start_time_seconds: sum("When the gateway began"),
  sluice_info: sum("Always 1; the labels say which version runs"),
};

export function isSum(name: string): boolean {
  return CATALOGUE[name]?.joining === "counter";
}
