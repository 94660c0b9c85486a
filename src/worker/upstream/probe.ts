// One question to a service whether it is well: `grpc.health.v1.Health/Check` on a connection that carries its calls, or
// whether its port can be connected to.
// Responsible for asking and for reading the answer. Must not know: how often, what follows. Governed by the gRPC health
// checking protocol. Runs: once per target and interval, in one worker.

import { connect, type Socket } from "node:net";
import { ReadBlock } from "../../shared/base/read-block.js";
import { GrpcStatus, grpcStatusName, parseGrpcStatus } from "../../shared/grpc/status.js";
import type { FieldList } from "../../shared/http2/hpack/field-list.js";
import { openStream } from "../../shared/http2/open-stream.js";
import { ErrorCode, Flag } from "../../shared/http2/protocol.js";
import { resetStream } from "../../shared/http2/send-control.js";
import { sendData } from "../../shared/http2/send-data.js";
import { sendHeaderBlock } from "../../shared/http2/send-headers.js";
import { Ended, type Stream } from "../../shared/http2/stream.js";
import { State } from "../../shared/http2/stream-state.js";
import type { Endpoint } from "./endpoint.js";
import type { Link } from "./link.js";

/** `reason` is empty when the service is well, and null when the question says nothing: it was not asked to the end. */
export type Answered = (reason: string | null) => void;

export interface Probe {
  /** Nobody waits for the answer any more. */
  abandon(): void;
}

/** A prefix of five octets and a status of two; more than this is no answer. */
const LONGEST_ANSWER = 64;
const PREFIX = 5;
const SERVING = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/**
 * Stands where a call would on the service's stream. To the relay it is a call of which nothing more is expected, so
 * calls pay nothing for it.
 */
export class HealthCall implements Probe {
  readonly finished = true;
  readonly up: Stream | null = null;
  unprocessed = false;
  private readonly answered: Answered;
  private readonly stream: Stream;
  private answer = Buffer.alloc(0);
  private done = false;

  constructor(link: Link, authority: string, service: string, answered: Answered) {
    const c = link.connection;
    const store = c.shared.fields;
    this.answered = answered;
    this.stream = openStream(c);
    this.stream.owner = this;
    const fields = [
      store.field(":method", "POST"),
      store.field(
        ":scheme",
        link.endpoint.security?.tls === undefined || link.endpoint.security.tls === null ? "http" : "https",
      ),
      store.field(":path", "/grpc.health.v1.Health/Check"),
      store.field(":authority", authority),
      store.field("te", "trailers"),
      store.field("content-type", "application/grpc"),
    ];
    // What calls have put into the table stays there.
    const length = c.encoder.encode(fields, fields.length, false);
    sendHeaderBlock(this.stream, c.encoder.out, length, false);
    const body = question(service);
    sendData(this.stream, null, new ReadBlock(body, null), -1, 0, body.length, Flag.END_STREAM);
  }

  headers(list: FieldList, ends: boolean): void {
    if (list.statusCode >= 200 && list.statusCode !== 200) this.tell(`HTTP status ${list.statusCode}`);
    else if (ends) this.judge(list);
  }

  /** @param payload with its padding, where it has some (RFC 9113 section 6.1) */
  data(payload: Buffer, padded: boolean): void {
    if (this.done) return;
    const bytes = padded ? payload.subarray(1, payload.length - payload[0]!) : payload;
    if (this.answer.length + bytes.length > LONGEST_ANSWER) this.tell("its answer is no HealthCheckResponse");
    else this.answer = Buffer.concat([this.answer, bytes]);
  }

  judge(list: FieldList): void {
    const status = list.grpcStatus === null ? GrpcStatus.UNKNOWN : parseGrpcStatus(list.grpcStatus.value);
    if (status === GrpcStatus.UNIMPLEMENTED) this.tell("it has no service grpc.health.v1.Health");
    else if (status === GrpcStatus.NOT_FOUND) this.tell("it knows no health of the service asked for");
    else if (status !== GrpcStatus.OK) this.tell(`the health check ended with ${grpcStatusName(status)}`);
    else {
      const serving = servingStatus(this.answer);
      this.tell(serving === 1 ? "" : `it says ${SERVING[serving] ?? "nothing readable"}`);
    }
  }

  closed(how: number, code: number): void {
    // A stream that the service did not take was not answered.
    const untaken = how === Ended.UNKNOWN || code === ErrorCode.REFUSED_STREAM;
    if (untaken) this.tell(null);
    else this.tell("the health check was cut off");
  }

  abandon(): void {
    this.tell(null);
  }

  private tell(reason: string | null): void {
    if (this.done) return;
    this.done = true;
    if (this.stream.state !== State.CLOSED) resetStream(this.stream, ErrorCode.CANCEL);
    this.answered(reason);
  }
}

/** HealthCheckRequest: the service's name is field 1. */
function question(service: string): Buffer {
  const name = Buffer.from(service, "utf8");
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a]), varint(name.length), name]);
  const prefix = Buffer.alloc(PREFIX);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function varint(value: number): Buffer {
  return value < 0x80 ? Buffer.from([value]) : Buffer.from([(value & 0x7f) | 0x80, value >>> 7]);
}

/** HealthCheckResponse: the status is field 1, and 0 where it is left out; -1 for anything else. */
function servingStatus(answer: Buffer): number {
  if (answer.length < PREFIX || answer[0] !== 0 || answer.readUInt32BE(1) !== answer.length - PREFIX) return -1;
  if (answer.length === PREFIX) return 0;
  return answer.length === PREFIX + 2 && answer[PREFIX] === 0x08 ? answer[PREFIX + 1]! : -1;
}

/** A connection that is closed as soon as it is there; on a way through a forward proxy it says nothing of the service. */
export class ConnectProbe implements Probe {
  private readonly socket: Socket;
  private done = false;

  constructor({ address, port }: Pick<Endpoint, "address" | "port">, answered: Answered) {
    const tell = (reason: string): void => {
      if (this.done) return;
      this.abandon();
      answered(reason);
    };
    this.socket = connect({ host: address, port });
    this.socket.once("connect", () => tell(""));
    this.socket.on("error", (error) => tell(error.message));
    this.socket.once("close", () => tell("closed before it was connected"));
  }

  abandon(): void {
    this.done = true;
    this.socket.destroy();
  }
}
