// What a worker can tell of itself, put together. Responsible for one answer per question of the primary, and for what is
// told last, when the worker ends. Must not know: IPC, how figures are shown. Runs: per collection.

import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../shared/base/clock.js";
import type { Settings } from "../../shared/config.js";
import type { Budget } from "../../shared/http2/budget.js";
import type { Figures, Sample } from "../../shared/observe/figures.js";
import type { Call } from "../call/call.js";
import type { Relay } from "../call/relay.js";
import type { Caller } from "../downstream/caller.js";
import type { Gatehouse } from "../gatehouse.js";
import type { Offload } from "../offload/offload.js";
import type { TlsFront } from "../tls/front.js";
import { AccessLog } from "./access-log.js";
import { GateReadings } from "./gate-readings.js";
import { Increments } from "./increments.js";
import { ProcessReadings } from "./process-readings.js";
import { Tally } from "./tally.js";
import { readTargets } from "./target-readings.js";
import { Tracing } from "./tracing.js";
import { together } from "./watchers.js";

/** The parts of the data plane that are looked at. */
export interface Observed {
  readonly clock: Clock;
  readonly relay: Relay;
  readonly tls: TlsFront;
  readonly callers: ReadonlySet<Caller>;
  budget(): Budget | null;
  gatehouse(): Gatehouse | null;
  offload(): Offload | null;
}

export class Observatory {
  private readonly observed: Observed;
  private readonly increments = new Increments();
  private readonly gate = new GateReadings();
  private process: ProcessReadings | null = null;
  private tally: Tally | null = null;
  private log: AccessLog | null = null;
  private tracing: Tracing | null = null;
  private traced: Settings["opentelemetry"] | null = null;
  /** Of logs before this one. */
  private dropped = 0;

  constructor(observed: Observed) {
    this.observed = observed;
  }

  /** Off costs a comparison per call; what was counted until then is still told. */
  async configure(settings: Settings, apis: Iterable<string>): Promise<void> {
    await this.openTraces(settings);
    const { metrics } = settings;
    if (metrics.enabled) {
      this.tally ??= new Tally(this.observed.clock, metrics.methods_per_api);
      this.tally.most = metrics.methods_per_api;
      this.process ??= new ProcessReadings();
    }
    if (this.tally !== null) this.tally.served = new Set(apis);
    this.openLog(settings);
    this.observed.relay.watcher = together([metrics.enabled ? this.tally : null, this.log, this.tracing]);
    this.observed.relay.tracer = this.tracing;
  }

  /** Opened anew with every configuration: a file that was renamed meanwhile is left to whoever did that. */
  private openLog({ access_logs, hash_keys }: Settings): void {
    const before = this.log;
    if (before !== null && before.options.file === "" && isDeepStrictEqual(before.options, access_logs)) return;
    this.dropped += before?.dropped ?? 0;
    before?.end();
    this.log = access_logs.enabled ? new AccessLog(access_logs, hash_keys, this.observed.clock) : null;
  }

  /** What waits of those before is still sent. OpenTelemetry is loaded when it is first needed. */
  private async openTraces({ opentelemetry }: Settings): Promise<void> {
    if (isDeepStrictEqual(opentelemetry, this.traced)) return;
    this.traced = opentelemetry;
    void this.tracing?.spans.end();
    this.tracing = null;
    if (!opentelemetry.enabled) return;
    const { SpanExport } = await import("./span-export.js");
    const { clock, relay } = this.observed;
    this.tracing = new Tracing(opentelemetry, new SpanExport(opentelemetry, relay.log), clock);
  }

  figures(): Figures {
    const samples: Sample[] = [];
    this.process?.read(samples, this.increments);
    this.readOwn(samples);
    const gatehouse = this.observed.gatehouse();
    if (gatehouse !== null) this.gate.read(gatehouse, this.observed.offload(), samples, this.increments);
    readTargets(this.observed.relay.rules?.targets ?? [], samples);
    if (this.tally === null) return { methods: [], ends: [], samples };
    this.countOpen(this.tally);
    const { methods, ends, unrouted } = this.tally.take();
    for (const [reason, value] of unrouted)
      samples.push({ name: "sluice_unrouted_requests_total", labels: { reason }, value });
    return { methods, ends, samples };
  }

  /** Resolves when what waits has been sent, or would take too long. */
  async end(): Promise<void> {
    this.process?.end();
    await Promise.all([this.log?.flush(), this.tracing?.spans.end()]);
  }

  private readOwn(into: Sample[]): void {
    const { relay, tls, callers } = this.observed;
    const gauge = (name: string, value: number): void => {
      into.push({ name, labels: {}, value });
    };
    gauge("sluice_connections", callers.size);
    gauge("sluice_handshakes_pending", tls.pending);
    gauge("sluice_buffered_bytes", this.observed.budget()?.held ?? 0);
    gauge("sluice_replay_bytes", relay.held.pinned);
    gauge("sluice_deadline_lateness_seconds", relay.deadlines.latest / 1_000);
    this.increments.add(into, "sluice_log_lines_dropped_total", this.dropped + (this.log?.dropped ?? 0));
    if (this.tracing !== null) {
      for (const [outcome, value] of Object.entries(this.tracing.spans.counts))
        this.increments.add(into, "sluice_spans_total", value, { outcome });
    }
    const { full, resumed, failed } = tls.counts;
    this.increments.add(into, "sluice_tls_handshakes_total", full, { result: "full" });
    this.increments.add(into, "sluice_tls_handshakes_total", resumed, { result: "resumed" });
    for (const [result, total] of Object.entries(failed))
      this.increments.add(into, "sluice_tls_handshakes_total", total, { result });
  }

  /** Counted when somebody asks: nothing is to be done per call for it. */
  private countOpen(tally: Tally): void {
    for (const caller of this.observed.callers) {
      for (const stream of caller.connection.streams.all()) {
        const call = stream.owner as Call | null;
        if (call !== null && call.control === null && call.plan.route !== null) tally.of(call.plan).open++;
      }
    }
  }
}
