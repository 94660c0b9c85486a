/**
 * The client's side of a connection: starts calls, sends their messages, checks everything that comes back, reports each call once.
 * Must not know when calls are due (pace.ts) nor how they are counted. Runs per frame.
 */
import type { Socket } from "node:net";
import { canStamp, MessageCheck, STAMP_AT } from "./check.js";
import {
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  FRAME_PAYLOAD,
  FrameReader,
  HEADERS,
  PREFACE,
  windowUpdateFrame,
  writeFrameHeader,
} from "./frames.js";
import { Link } from "./link.js";
import { ECHO_PATH, message } from "./message.js";
import type { LoadOrder } from "./order.js";
import { RequestHeaders } from "./request.js";
import type { Field } from "./static-table.js";
import { takeReply } from "./take.js";

const STREAM_WINDOW = 1 << 24;
const OUTPUT_LIMIT = 256 * 1024;

export class Call {
  stream = 0;
  serial = 0;
  intended = 0;
  sentMessages = 0;
  sentOffset = 0;
  sendWindow = 0;
  half = false;
  status = "";
  credit = 0;
  readonly check = new MessageCheck();
}

export interface CallEnds {
  /** `reason` null = everything was as it should be. */
  callEnded(link: ClientLink, call: Call, reason: string | null): void;
  linkReady(link: ClientLink): void;
  linkEnded(link: ClientLink, reason: string): void;
}

let nextSerial = 1;

/** For processes that share a load: calls are told apart by their number, and take their key by it. */
export const numberCallsFrom = (serial: number): void => {
  nextSerial = serial;
};

export class ClientLink extends Link {
  readonly order: LoadOrder;
  readonly #ends: CallEnds;
  readonly #calls = new Map<number, Call>();
  readonly #free: Call[] = [];
  readonly #headers: RequestHeaders;
  readonly #request: Buffer;
  readonly #expected: Buffer;
  readonly #stamped: boolean;
  readonly #echoes: boolean;
  #nextStream = 1;

  constructor(socket: Socket, order: LoadOrder, ends: CallEnds) {
    super(socket, STREAM_WINDOW, PREFACE);
    this.order = order;
    this.#ends = ends;
    this.#headers = new RequestHeaders(order, this.encoder);
    this.#request = message(order.requestBytes);
    this.#echoes = order.path === ECHO_PATH;
    this.#stamped = this.#echoes
      ? canStamp(order.requestBytes)
      : order.kind === "server" && order.messages > 1 && canStamp(order.replyBytes);
    this.#expected =
      order.kind === "client"
        ? takeReply(order.messages, order.messages * order.requestBytes, 0)
        : Buffer.from(message(order.replyBytes));
    const reader = new FrameReader((type, flags, stream, bytes, start, end) =>
      this.frame(type, flags, stream, bytes, start, end),
    );
    socket.on("data", (chunk: Buffer) => this.read(reader, chunk));
    socket.on("drain", () => this.onWindow(0, 0));
    ends.linkReady(this);
  }

  get running(): number {
    return this.#calls.size;
  }

  get hasRoom(): boolean {
    return !this.closed && this.#calls.size < Math.min(this.order.streams, this.peerMaxStreams);
  }

  start(intended: number): void {
    const call = this.#free.pop() ?? new Call();
    call.stream = this.#nextStream;
    this.#nextStream += 2;
    call.serial = nextSerial++;
    call.intended = intended;
    call.sentMessages = call.sentOffset = call.credit = 0;
    call.sendWindow = this.peerStreamWindow;
    call.half = false;
    call.status = "";
    const firstStamp = this.#stamped ? (this.#echoes ? call.serial : 0) : -1;
    const replies = this.order.kind === "server" || this.order.kind === "bidi" ? this.order.messages : 1;
    call.check.expect(this.#expected, replies, firstStamp);
    this.#calls.set(call.stream, call);
    const block = this.#headers.block(call.serial);
    this.wire.reserve(FRAME_HEADER + block.length);
    const at = writeFrameHeader(this.wire.block, this.wire.used, block.length, HEADERS, END_HEADERS, call.stream);
    this.wire.used = at + block.copy(this.wire.block, at);
    this.#pump(call);
  }

  /** How many request messages may be on their way: one ahead of the answers in a ping-pong, all otherwise. */
  #mayHaveSent(call: Call): number {
    if (this.order.kind === "bidi") return Math.min(this.order.messages, call.check.messages + 1);
    return this.order.kind === "client" ? this.order.messages : 1;
  }

  #pump(call: Call): void {
    const allowed = this.#mayHaveSent(call);
    const all = this.order.kind === "bidi" || this.order.kind === "client" ? this.order.messages : 1;
    while (call.sentMessages < allowed && this.wire.waitingBytes < OUTPUT_LIMIT) {
      const size = Math.min(this.#request.length - call.sentOffset, FRAME_PAYLOAD, call.sendWindow, this.sendWindow);
      if (size <= 0) return;
      const ends = call.sentOffset + size === this.#request.length;
      call.half = ends && call.sentMessages + 1 === all;
      this.#sendPart(call, size, call.half);
      call.sendWindow -= size;
      this.sendWindow -= size;
      call.sentOffset = ends ? 0 : call.sentOffset + size;
      if (ends) call.sentMessages++;
    }
  }

  /** The head of a message is copied, because it carries the stamp; the rest is the shared pattern and leaves as it lies. */
  #sendPart(call: Call, size: number, last: boolean): void {
    const { wire } = this;
    const copied = call.sentOffset === 0 ? Math.min(size, 256) : 0;
    wire.reserve(FRAME_HEADER + copied);
    const at = writeFrameHeader(wire.block, wire.used, size, DATA, last ? END_STREAM : 0, call.stream);
    if (copied > 0) this.#request.copy(wire.block, at, 0, copied);
    if (copied >= STAMP_AT + 4)
      wire.block.writeUInt32BE(((this.#echoes ? call.serial : 0) + call.sentMessages) >>> 0, at + STAMP_AT);
    wire.used = at + copied;
    if (size > copied) wire.append(this.#request.subarray(call.sentOffset + copied, call.sentOffset + size));
  }

  protected onFields(stream: number, fields: Field[], endStream: boolean): void {
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    const first = call.status === "";
    if (first) {
      const status = fieldOf(fields, ":status");
      // 1xx is not the answer yet.
      if (status.startsWith("1")) return;
      call.status = status;
    }
    if (call.status !== "200") {
      this.#finish(call, `HTTP status ${call.status || "missing"}`);
      return;
    }
    if (!endStream) return;
    const status = fieldOf(fields, "grpc-status");
    if (status === "") {
      this.#finish(call, "trailers without grpc-status");
      return;
    }
    if (status !== "0") {
      this.#finish(call, `grpc-status ${status} ${plainMessage(fieldOf(fields, "grpc-message"))}`.trim());
      return;
    }
    this.#finish(call, call.check.missing() ?? (call.half ? null : "answer before the request was complete"));
  }

  protected onBody(
    stream: number,
    bytes: Buffer,
    start: number,
    end: number,
    endStream: boolean,
    credit: number,
  ): void {
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    const before = call.check.messages;
    const wrong = call.status === "" ? "body before the header fields" : call.check.push(bytes, start, end);
    if (wrong !== null) {
      this.#finish(call, wrong);
      return;
    }
    if (endStream) {
      this.#finish(call, call.check.missing() ?? "end without trailers");
      return;
    }
    call.credit += credit;
    if (call.credit > STREAM_WINDOW >> 1) {
      this.wire.append(windowUpdateFrame(stream, call.credit));
      call.credit = 0;
    }
    if (call.check.messages !== before && !call.half) this.#pump(call);
  }

  protected onReset(stream: number, code: number): void {
    const call = this.#calls.get(stream);
    if (call !== undefined) this.#finish(call, `RST_STREAM with code ${code}`);
  }

  protected onWindow(stream: number, credit: number): void {
    if (stream > 0) {
      const call = this.#calls.get(stream);
      if (call === undefined) return;
      call.sendWindow += credit;
      if (!call.half) this.#pump(call);
      return;
    }
    for (const call of this.#calls.values()) {
      if (stream < 0) call.sendWindow += credit;
      if (!call.half) this.#pump(call);
    }
  }

  protected onEnd(reason: string): void {
    for (const call of [...this.#calls.values()]) this.#finish(call, reason);
    this.#ends.linkEnded(this, reason);
  }

  #finish(call: Call, reason: string | null): void {
    this.#calls.delete(call.stream);
    this.#ends.callEnded(this, call, reason);
    this.#free.push(call);
  }
}

const fieldOf = (fields: readonly Field[], name: string): string => {
  for (const field of fields) if (field.name === name) return field.value;
  return "";
};

/** As the service meant it; as it came where it is not well written. */
const plainMessage = (sent: string): string => {
  try {
    return decodeURIComponent(sent);
  } catch {
    return sent;
  }
};
