// The access log: one line a call that has ended, for people and for what they search it with.
// Responsible for which calls get a line, for what stands in it, and for bounds: lines a second, octets that wait. Never a
// credential: paths go without their query, keys by alias or hash. Must not know: metrics.
// Governed by Tyk's `access_logs` (enabled, template and the names of fields) and ours beside them. Runs: once per call.

import { type Logger, pino } from "pino";
import type { Clock } from "../../shared/base/clock.js";
import { LOG_FIELDS, type LogField } from "../../shared/config/log-fields.js";
import type { Settings } from "../../shared/config.js";
import { GrpcStatus, grpcStatusName } from "../../shared/grpc/status.js";
import type { Stream } from "../../shared/http2/stream.js";
import { LogOutput } from "../../shared/log-output.js";
import { type Call, messagesIn, messagesOut } from "../call/call.js";
import { type CallWatcher, Origin } from "../call/call-end.js";
import type { Plan } from "../call/plan.js";
import { KeyLabels } from "./key-label.js";

type Options = Settings["access_logs"];
type Line = Partial<Record<LogField, string | number>>;

/** Beyond this lines are dropped: a reader that has stopped must not cost memory. */
const MOST_WAITING = 4 * 1024 * 1024;
const LONGEST_PATH = 256;
/** What the end of the process may wait for the reader. */
const LAST_MS = 500;
/** Of Origin, in its order. */
const BY = ["service", "network", "gateway", "caller"] as const;

export class AccessLog implements CallWatcher {
  /** Beyond what is allowed in a second. */
  private tooMany = 0;
  readonly options: Options;
  private readonly clock: Clock;
  private readonly log: Logger;
  private readonly output: LogOutput;
  private readonly keys: KeyLabels;
  private readonly fields: ReadonlySet<LogField>;
  private share = 0;
  private secondBegan = 0;
  private lines = 0;

  constructor(options: Options, hashedKeys: boolean, clock: Clock) {
    this.options = options;
    this.clock = clock;
    this.keys = new KeyLabels(hashedKeys);
    this.fields = new Set(options.template.length === 0 ? LOG_FIELDS : options.template);
    this.output = new LogOutput(options.file, MOST_WAITING);
    this.log = pino({ name: "access", base: { pid: process.pid } }, this.output);
  }

  ended(call: Call, origin: number, status: number, reason: string): void {
    if (!this.wants(status)) return;
    const { plan, down } = call;
    const line = this.request(plan, down);
    line.status = call.httpStatus === 0 && plan.grpc ? 200 : call.httpStatus;
    line.grpc_status = grpcStatusName(status);
    line.ended_by = BY[origin]!;
    if (reason !== "") line.reason = reason;
    line.api_id = plan.route!.api_id;
    line.api_name = plan.route!.definition.name;
    if (call.decision !== null && call.decision.session !== null) line.api_key = this.keys.of(call.decision.session);
    line.latency_total = this.clock.now - down.born;
    if (call.link !== null) line.upstream_addr = call.link.endpoint.name;
    if (call.up !== null) line.upstream_latency = this.clock.now - call.up.born;
    line.bytes_in = down.received;
    line.bytes_out = call.responseBytes;
    if (plan.grpc) {
      line.messages_in = messagesIn(call);
      line.messages_out = messagesOut(call);
    }
    if (call.attempts > 1 || call.moves > 0) line.attempts = call.attempts + call.moves;
    if (call.id !== "") line.request_id = call.id;
    if (call.trace !== null) line.trace_id = call.trace.traceId;
    this.write(line);
  }

  answered(plan: Plan, down: Stream): void {
    const { answer } = plan;
    // Whoever asks how the gateway is asks every second.
    if (answer === null || !this.wants(answer.grpc)) return;
    const line = this.request(plan, down);
    line.status = plan.grpc ? 200 : answer.http;
    line.grpc_status = grpcStatusName(answer.grpc);
    line.ended_by = BY[Origin.GATEWAY];
    line.reason = answer.id;
    this.write(line);
  }

  /** Lines that were not written because of a bound. */
  get dropped(): number {
    return this.tooMany + this.output.dropped;
  }

  /** What waits to be written is, before the process ends; nobody waits long for who reads nothing. */
  flush(): Promise<void> {
    return this.output.written(LAST_MS);
  }

  /** What waits is still written, when its time comes. Standard output itself stays open. */
  end(): void {
    this.output.end();
  }

  private request({ path, method, origin }: Plan, down: Stream): Line {
    const query = path.indexOf("?");
    const bare = query < 0 ? path : path.slice(0, query);
    return { client_ip: origin.address, port: origin.port, stream: down.id, method, path: bare.slice(0, LONGEST_PATH) };
  }

  private wants(status: number): boolean {
    if (this.options.errors_only && status === GrpcStatus.OK) return false;
    this.share += this.options.share;
    if (this.share < 1) return false;
    this.share -= 1;
    const { now } = this.clock;
    if (now - this.secondBegan >= 1_000) {
      this.secondBegan = now;
      this.lines = 0;
    }
    if (++this.lines <= this.options.max_per_second) return true;
    this.tooMany++;
    return false;
  }

  private write(line: Line): void {
    if (this.fields.size < LOG_FIELDS.length)
      for (const name of Object.keys(line) as LogField[]) if (!this.fields.has(name)) delete line[name];
    this.log.info(line);
  }
}
