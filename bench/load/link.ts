/**
 * One HTTP/2 connection as the load client and the echo service share it: settings, pings, connection windows, header blocks put
 * together. Must not know calls. Plain rather than complete: whatever a proxy should not do ends the connection with a reason.
 * Governed by RFC 9113. Runs per frame.
 */
import type { Socket } from "node:net";
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FIRST_WINDOW,
  type FrameReader,
  GOAWAY,
  HEADER_TABLE_SIZE,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  MAX_CONCURRENT_STREAMS,
  PADDED,
  PING,
  PRIORITY,
  RST_STREAM,
  SETTINGS,
  settingsFrame,
  WINDOW_UPDATE,
  windowUpdateFrame,
  writeFrameHeader,
} from "./frames.js";
import { HeaderDecoder } from "./header-decoder.js";
import { HeaderEncoder } from "./header-encoder.js";
import type { Field } from "./static-table.js";
import { Wire } from "./wire.js";

const CONNECTION_CREDIT = (1 << 30) - 1 - FIRST_WINDOW;
const MEMO_LIMIT = 512;

export abstract class Link {
  readonly wire: Wire;
  readonly encoder = new HeaderEncoder();
  readonly decoder = new HeaderDecoder();
  sendWindow = FIRST_WINDOW;
  peerStreamWindow = FIRST_WINDOW;
  peerMaxStreams = Number.MAX_SAFE_INTEGER;
  closed = false;
  #received = 0;
  #headerParts: Buffer[] = [];
  #headerEnds = false;
  /** Block bytes → fields, good while the decoder's table stands still. */
  readonly #memo = new Map<string, Field[]>();
  #memoVersion = 0;

  constructor(socket: Socket, streamWindow: number, preface: string) {
    this.wire = new Wire(socket);
    const settings = settingsFrame([
      [MAX_CONCURRENT_STREAMS, 1000],
      [INITIAL_WINDOW_SIZE, streamWindow],
    ]);
    this.wire.append(
      Buffer.concat([Buffer.from(preface, "latin1"), settings, windowUpdateFrame(0, CONNECTION_CREDIT)]),
    );
    socket.on("error", (error: Error) => this.end(error.message));
    socket.on("close", () => this.end("connection closed by the other side"));
  }

  protected abstract onFields(stream: number, fields: Field[], endStream: boolean): void;
  protected abstract onBody(
    stream: number,
    bytes: Buffer,
    start: number,
    end: number,
    endStream: boolean,
    credit: number,
  ): void;
  protected abstract onReset(stream: number, code: number): void;
  protected abstract onWindow(stream: number, credit: number): void;
  protected abstract onEnd(reason: string): void;

  protected read(reader: FrameReader, chunk: Buffer): void {
    try {
      reader.push(chunk);
    } catch (error) {
      this.end(error instanceof Error ? error.message : String(error));
    }
  }

  end(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.wire.socket.destroy();
    this.onEnd(reason);
  }

  protected frame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): void {
    switch (type) {
      case DATA:
        this.#data(flags, stream, bytes, start, end);
        return;
      case HEADERS:
        this.#headers(flags, stream, bytes, start, end);
        return;
      case CONTINUATION:
        this.#continuation(flags, stream, bytes, start, end);
        return;
      case WINDOW_UPDATE:
        this.#window(stream, bytes.readUInt32BE(start) & 0x7fffffff);
        return;
      case SETTINGS:
        this.#settings(flags, bytes, start, end);
        return;
      case PING:
        if ((flags & ACK) === 0) this.#pong(bytes, start);
        return;
      case RST_STREAM:
        this.onReset(stream, bytes.readUInt32BE(start));
        return;
      case GOAWAY:
        this.end(`GOAWAY with code ${bytes.readUInt32BE(start + 4)}`);
        return;
    }
  }

  #data(flags: number, stream: number, bytes: Buffer, start: number, end: number): void {
    const credit = end - start;
    this.#received += credit;
    if (this.#received > CONNECTION_CREDIT >> 1) {
      this.wire.append(windowUpdateFrame(0, this.#received));
      this.#received = 0;
    }
    if (flags & PADDED) end -= bytes[start++]!;
    this.onBody(stream, bytes, start, end, (flags & END_STREAM) !== 0, credit);
  }

  #headers(flags: number, stream: number, bytes: Buffer, start: number, end: number): void {
    if (flags & PADDED) end -= bytes[start++]!;
    if (flags & PRIORITY) start += 5;
    const endStream = (flags & END_STREAM) !== 0;
    if (flags & END_HEADERS) {
      this.onFields(stream, this.#decode(bytes, start, end), endStream);
      return;
    }
    this.#headerParts = [Buffer.from(bytes.subarray(start, end))];
    this.#headerEnds = endStream;
  }

  #continuation(flags: number, stream: number, bytes: Buffer, start: number, end: number): void {
    this.#headerParts.push(Buffer.from(bytes.subarray(start, end)));
    if ((flags & END_HEADERS) === 0) return;
    const block = Buffer.concat(this.#headerParts);
    this.onFields(stream, this.decoder.decode(block, 0, block.length), this.#headerEnds);
  }

  #decode(bytes: Buffer, start: number, end: number): Field[] {
    if (this.#memoVersion !== this.decoder.version || this.#memo.size > MEMO_LIMIT) this.#memo.clear();
    const key = bytes.toString("latin1", start, end);
    const known = this.#memo.get(key);
    if (known !== undefined) return known;
    const before = this.decoder.version;
    const fields = this.decoder.decode(bytes, start, end);
    if (before === this.decoder.version) this.#memo.set(key, fields);
    this.#memoVersion = this.decoder.version;
    return fields;
  }

  #window(stream: number, credit: number): void {
    if (stream === 0) this.sendWindow += credit;
    this.onWindow(stream, credit);
  }

  #settings(flags: number, bytes: Buffer, start: number, end: number): void {
    if (flags & ACK) return;
    for (let at = start; at + 6 <= end; at += 6) this.#setting(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
    this.wire.reserve(9);
    this.wire.used = writeFrameHeader(this.wire.block, this.wire.used, 0, SETTINGS, ACK, 0);
    this.onWindow(0, 0);
  }

  #setting(id: number, value: number): void {
    if (id === HEADER_TABLE_SIZE) this.encoder.allow(value);
    if (id === MAX_CONCURRENT_STREAMS) this.peerMaxStreams = value;
    if (id === INITIAL_WINDOW_SIZE) {
      this.onWindow(-1, value - this.peerStreamWindow);
      this.peerStreamWindow = value;
    }
  }

  #pong(bytes: Buffer, start: number): void {
    this.wire.reserve(17);
    const at = writeFrameHeader(this.wire.block, this.wire.used, 8, PING, ACK, 0);
    bytes.copy(this.wire.block, at, start, start + 8);
    this.wire.used = at + 8;
  }
}
