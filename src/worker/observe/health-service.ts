// The gateway's own grpc.health.v1.Health on the main port: Check and Watch about "", the gateway as a whole.
// Responsible for the two methods, for telling changes, and for the bound on who is told. Must not know: why the gateway is
// well or not, sockets. Governed by the gRPC health checking protocol. Runs: per question of a probe, and per change.

import { ReadBlock } from "../../shared/base/read-block.js";
import { healthAnswer, LONGEST_HEALTH_REQUEST, readHealthRequest, Serving } from "../../shared/grpc/health.js";
import { GrpcStatus } from "../../shared/grpc/status.js";
import { sendData } from "../../shared/http2/send-data.js";
import { sendHeaderBlock } from "../../shared/http2/send-headers.js";
import type { Stream } from "../../shared/http2/stream.js";
import { State } from "../../shared/http2/stream-state.js";
import { sendStatusTrailers } from "../call/answer.js";
import { ANSWERS, type Answer } from "../call/answers.js";
import type { Call } from "../call/call.js";
import type { LocalExchange, OwnHealth } from "../call/local-exchange.js";
import type { Relay } from "../call/relay.js";

/** In one worker; probes are few. */
const MOST_WATCHERS = 1_000;
/** A watcher that reads nothing need not be told more. */
const MOST_UNREAD = 70;

const row = (grpc: number, message: string): Answer => ({ id: "health", grpc, http: 503, message, plain: false });
const MALFORMED = row(GrpcStatus.INTERNAL, "malformed HealthCheckRequest");
const UNKNOWN = row(GrpcStatus.NOT_FOUND, 'unknown service: the gateway answers for itself, ""');
const FULL = row(GrpcStatus.RESOURCE_EXHAUSTED, "too many watch the gateway's health");
const OK = row(GrpcStatus.OK, "");

export class HealthService implements OwnHealth {
  private readonly relay: Relay;
  /** And what each was told last. */
  private readonly watchers = new Map<Call, number>();
  private draining = false;

  constructor(relay: Relay) {
    this.relay = relay;
  }

  begin(call: Call, watch: boolean): LocalExchange {
    const parts: Buffer[] = [];
    let length = 0;
    return {
      data: (bytes, ends) => {
        length += bytes.length;
        if (call.responded || call.finished) return;
        if (length > LONGEST_HEALTH_REQUEST) return this.relay.fail(call, MALFORMED);
        parts.push(bytes);
        if (ends) this.asked(call, watch, readHealthRequest(Buffer.concat(parts)));
      },
      abort: () => this.watchers.delete(call),
    };
  }

  /** The gateway's state may be another. */
  changed(): void {
    for (const [call, told] of this.watchers) {
      if (call.finished || call.down.state === State.CLOSED) this.watchers.delete(call);
      else if (told !== Serving.SERVICE_UNKNOWN && told !== this.serving) this.tell(call, this.serving);
    }
  }

  /** This worker goes: whoever watches is told, and finds another one. */
  drain(): void {
    this.draining = true;
    this.changed();
    for (const call of this.watchers.keys()) this.relay.fail(call, ANSWERS.shuttingDown);
    this.watchers.clear();
  }

  private get serving(): number {
    return !this.draining && this.relay.health.ready.status === 200 ? Serving.SERVING : Serving.NOT_SERVING;
  }

  private asked(call: Call, watch: boolean, service: string | undefined): void {
    if (service === undefined) this.relay.fail(call, MALFORMED);
    else if (watch) this.watch(call, service === "" ? this.serving : Serving.SERVICE_UNKNOWN);
    else if (service !== "") this.relay.fail(call, UNKNOWN);
    else this.check(call);
  }

  private check(call: Call): void {
    const { down } = call;
    this.relay.finish(call);
    sendResponse(down);
    sendMessage(down, this.serving);
    sendStatusTrailers(down, OK);
  }

  private watch(call: Call, serving: number): void {
    if (this.watchers.size >= MOST_WATCHERS) this.changed();
    if (this.watchers.size >= MOST_WATCHERS) return this.relay.fail(call, FULL);
    call.responded = true;
    sendResponse(call.down);
    this.tell(call, serving);
    // It stays open about services nobody knows, too: the protocol says so.
    if (this.draining) this.relay.fail(call, ANSWERS.shuttingDown);
  }

  private tell(call: Call, serving: number): void {
    if ((call.down.queue?.bytes ?? 0) > MOST_UNREAD) {
      this.watchers.delete(call);
      this.relay.fail(call, FULL);
      return;
    }
    this.watchers.set(call, serving);
    sendMessage(call.down, serving);
  }
}

function sendResponse(down: Stream): void {
  const { encoder, shared } = down.connection;
  const fields = [shared.fields.field(":status", "200"), shared.fields.field("content-type", "application/grpc")];
  sendHeaderBlock(down, encoder.out, encoder.encode(fields, fields.length), false);
}

function sendMessage(down: Stream, serving: number): void {
  const message = healthAnswer(serving);
  sendData(down, null, new ReadBlock(message, null), -1, 0, message.length, 0);
}
