/**
 * The service's side of a connection: three methods that a proxy can be tried with, cheap enough to share a core with the load client.
 *   Echo            every byte of the request comes back as it arrives
 *   Give/N/SIZE     N messages of SIZE bytes, numbered when there is more than one
 *   Take            counts and checks the request, answers with the counts at its end
 * Must not know proxies. Runs per frame.
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
import { SentField } from "./header-encoder.js";
import { Link } from "./link.js";
import { ECHO_PATH, message, PREFIX_BYTES, TAKE_PATH } from "./message.js";
import type { Field } from "./static-table.js";
import { takeReply } from "./take.js";

const STREAM_WINDOW = 1 << 20;
const OUTPUT_LIMIT = 256 * 1024;
const NO_BYTES = Buffer.alloc(0);

interface Reply {
  readonly stream: number;
  readonly method: "echo" | "give" | "take" | "unknown";
  sendWindow: number;
  credit: number;
  /** What is sent, over and over, and how far it has come. */
  body: Buffer;
  count: number;
  done: number;
  offset: number;
  /** Echoed bytes that found no window. */
  waiting: Buffer[];
  requestEnded: boolean;
  taken: number;
  wrong: number;
  check: MessageCheck | null;
}

const GIVE = /^\/bench\.Load\/Give\/(\d+)\/(\d+)$/;

class SteadyBlock {
  readonly #fields: SentField[];
  #bytes: Buffer = NO_BYTES;
  #version = -1;
  constructor(fields: readonly (readonly [string, string])[]) {
    this.#fields = fields.map(([name, value]) => new SentField(name, value));
  }
  bytes(link: Link): Buffer {
    const { version } = link.encoder;
    if (version === this.#version) return this.#bytes;
    const block = Buffer.allocUnsafe(512);
    const bytes = block.subarray(0, link.encoder.encode(this.#fields, block, 0));
    if (link.encoder.version === version) {
      this.#version = version;
      this.#bytes = bytes;
    }
    return bytes;
  }
}

export class ServiceLink extends Link {
  readonly #replies = new Map<number, Reply>();
  readonly #headers = new SteadyBlock([
    [":status", "200"],
    ["content-type", "application/grpc"],
    ["grpc-accept-encoding", "identity"],
  ]);
  readonly #trailers = new SteadyBlock([["grpc-status", "0"]]);
  readonly #unimplemented = new SteadyBlock([
    [":status", "200"],
    ["content-type", "application/grpc"],
    ["grpc-status", "12"],
  ]);
  #prefaceLeft = PREFACE.length;

  constructor(socket: Socket) {
    super(socket, STREAM_WINDOW, "");
    const reader = new FrameReader((type, flags, stream, bytes, start, end) =>
      this.frame(type, flags, stream, bytes, start, end),
    );
    socket.on("data", (chunk: Buffer) => {
      const skipped = Math.min(this.#prefaceLeft, chunk.length);
      this.#prefaceLeft -= skipped;
      this.read(reader, skipped === 0 ? chunk : chunk.subarray(skipped));
    });
    socket.on("drain", () => this.onWindow(0, 0));
  }

  protected onFields(stream: number, fields: Field[], endStream: boolean): void {
    if (this.#replies.has(stream)) return;
    const path = fields.find((field) => field.name === ":path")?.value ?? "";
    const reply = this.#accept(stream, path);
    if (reply.method === "unknown") {
      this.#sendBlock(stream, this.#unimplemented.bytes(this), END_STREAM);
      this.#replies.delete(stream);
      return;
    }
    this.#sendBlock(stream, this.#headers.bytes(this), 0);
    if (endStream) this.#requestEnded(reply);
  }

  #accept(stream: number, path: string): Reply {
    const [, count, size] = GIVE.exec(path) ?? [];
    const method = path === ECHO_PATH ? "echo" : path === TAKE_PATH ? "take" : count === undefined ? "unknown" : "give";
    const reply: Reply = {
      stream,
      method,
      sendWindow: this.peerStreamWindow,
      credit: 0,
      body: method === "give" ? message(Number(size)) : NO_BYTES,
      count: Number(count ?? 0),
      done: 0,
      offset: 0,
      waiting: [],
      requestEnded: false,
      taken: 0,
      wrong: 0,
      check: null,
    };
    this.#replies.set(stream, reply);
    return reply;
  }

  protected onBody(
    stream: number,
    bytes: Buffer,
    start: number,
    end: number,
    endStream: boolean,
    credit: number,
  ): void {
    const reply = this.#replies.get(stream);
    if (reply === undefined) return;
    if (reply.method === "echo") this.#echo(reply, bytes, start, end);
    else if (reply.method === "take") this.#take(reply, bytes, start, end);
    reply.credit += credit;
    if (reply.credit > STREAM_WINDOW >> 1 && !endStream) {
      this.wire.append(windowUpdateFrame(stream, reply.credit));
      reply.credit = 0;
    }
    if (endStream) this.#requestEnded(reply);
  }

  /** The first message tells the size of all: what follows is checked against the pattern and its number. */
  #take(reply: Reply, bytes: Buffer, start: number, end: number): void {
    if (reply.check === null && end - start >= PREFIX_BYTES) {
      const size = PREFIX_BYTES + bytes.readUInt32BE(start + 1);
      reply.check = new MessageCheck();
      reply.check.expect(Buffer.from(message(size)), Number.MAX_SAFE_INTEGER, canStamp(size) ? 0 : -1);
    }
    reply.taken += end - start;
    if (reply.check?.push(bytes, start, end) !== null) reply.wrong++;
  }

  #echo(reply: Reply, bytes: Buffer, start: number, end: number): void {
    const size = end - start;
    if (reply.waiting.length > 0 || size > reply.sendWindow || size > this.sendWindow) {
      reply.waiting.push(Buffer.from(bytes.subarray(start, end)));
      return;
    }
    if (size === 0) return;
    this.#sendData(reply, bytes, start, end);
  }

  #sendData(reply: Reply, bytes: Buffer, start: number, end: number): void {
    const size = end - start;
    this.wire.reserve(FRAME_HEADER + size);
    const at = writeFrameHeader(this.wire.block, this.wire.used, size, DATA, 0, reply.stream);
    this.wire.used = at + bytes.copy(this.wire.block, at, start, end);
    reply.sendWindow -= size;
    this.sendWindow -= size;
  }

  #requestEnded(reply: Reply): void {
    reply.requestEnded = true;
    if (reply.method === "take") {
      reply.body = takeReply(reply.check?.messages ?? 0, reply.taken, reply.wrong);
      reply.count = 1;
    }
    this.#pump(reply);
  }

  #pump(reply: Reply): void {
    while (reply.waiting.length > 0) {
      const next = reply.waiting[0]!;
      if (next.length > reply.sendWindow || next.length > this.sendWindow) return;
      reply.waiting.shift();
      if (next.length > 0) this.#sendData(reply, next, 0, next.length);
    }
    if (!reply.requestEnded) return;
    while (reply.done < reply.count) {
      const size = Math.min(reply.body.length - reply.offset, FRAME_PAYLOAD, reply.sendWindow, this.sendWindow);
      if (size <= 0 || this.wire.waitingBytes > OUTPUT_LIMIT) return;
      this.#sendPart(reply, size);
    }
    this.#sendBlock(reply.stream, this.#trailers.bytes(this), END_STREAM);
    this.#replies.delete(reply.stream);
  }

  #sendPart(reply: Reply, size: number): void {
    const { wire } = this;
    const copied = reply.offset === 0 ? Math.min(size, 256) : 0;
    wire.reserve(FRAME_HEADER + copied);
    const at = writeFrameHeader(wire.block, wire.used, size, DATA, 0, reply.stream);
    if (copied > 0) reply.body.copy(wire.block, at, 0, copied);
    if (reply.count > 1 && copied >= STAMP_AT + 4) wire.block.writeUInt32BE(reply.done, at + STAMP_AT);
    wire.used = at + copied;
    if (size > copied) wire.append(reply.body.subarray(reply.offset + copied, reply.offset + size));
    reply.sendWindow -= size;
    this.sendWindow -= size;
    reply.offset += size;
    if (reply.offset < reply.body.length) return;
    reply.offset = 0;
    reply.done++;
  }

  #sendBlock(stream: number, block: Buffer, flags: number): void {
    this.wire.reserve(FRAME_HEADER + block.length);
    const at = writeFrameHeader(this.wire.block, this.wire.used, block.length, HEADERS, END_HEADERS | flags, stream);
    this.wire.used = at + block.copy(this.wire.block, at);
  }

  protected onReset(stream: number): void {
    this.#replies.delete(stream);
  }

  protected onWindow(stream: number, credit: number): void {
    const one = stream > 0 ? this.#replies.get(stream) : undefined;
    if (one !== undefined) {
      one.sendWindow += credit;
      this.#pump(one);
      return;
    }
    if (stream > 0) return;
    for (const reply of [...this.#replies.values()]) {
      if (stream < 0) reply.sendWindow += credit;
      this.#pump(reply);
    }
  }

  protected onEnd(): void {
    this.#replies.clear();
  }
}
