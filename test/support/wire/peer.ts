// Responsible for: one end of a raw HTTP/2 connection that does only what a test tells it to (and what `habits` say).
// Must not know: which end it is, the engine under test. Governed by: RFC 9113. How often: tests only.

import type { Socket } from "node:net";
import {
  codeName,
  codeOf,
  describe,
  encode,
  Flag,
  type Frame,
  FrameReader,
  ping,
  Setting,
  settingsAck,
  Type,
  windowUpdate,
} from "./frame.js";
import { type DecodedField, Decoder, type Field, IndexingEncoder, tableSize } from "./hpack.js";
import { type Ending, Inbox, type Received } from "./inbox.js";

export interface Habits {
  /** Answer SETTINGS and PING. On by default. */
  answers: boolean;
  /** Give credit back for every DATA frame. Off by default. */
  credits: boolean;
  /** Begin the first block after a smaller table was acknowledged with its size (RFC 9113, 4.3.1). On by default. */
  resizes: boolean;
}

export interface Message {
  fields: DecodedField[];
  body: Buffer;
  trailers: DecodedField[];
  /** Code of the RST_STREAM that ended it, if one did. */
  reset: number | undefined;
}

let opaque = 0;

/** Payload of a DATA frame without its padding. */
export function contentOf(it: Frame): Buffer {
  return it.flags & Flag.PADDED ? it.payload.subarray(1, it.payload.length - it.payload[0]!) : it.payload;
}

export class WirePeer {
  readonly habits: Habits = { answers: true, credits: false, resizes: true };
  readonly encoder = new IndexingEncoder();
  readonly peerSettings = new Map<number, number>();
  /** What was sent (>) and received (<), one line each. */
  readonly transcript: string[] = [];
  protected readonly inbox = new Inbox();
  private readonly reader = new FrameReader();
  private readonly decoder = new Decoder();
  private open: Received | undefined;
  private held: Frame[] | undefined;
  /** The peer's table size if our next block has to tell that we obey it. */
  private tableLimit = 4096;

  constructor(readonly socket: Socket) {
    socket.setNoDelay(true);
    socket.on("data", (bytes) => this.receive(bytes));
    socket.on("end", () => this.finish(this.reader.leftover.length > 0 ? "torn" : "end"));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.transcript.push(`! ${error.message}`);
      this.finish(error.code === "EPIPE" ? "cut" : "torn");
    });
    socket.on("close", () => this.finish("torn"));
  }

  get ending(): Ending | undefined {
    return this.inbox.ending;
  }

  /** Sends frames in one write. */
  send(...frames: Frame[]): this {
    const out = frames.map((it) => this.resized(it));
    for (const it of out) this.transcript.push(`> ${describe(it)}`);
    this.socket.write(Buffer.concat(out.map((it) => encode(it))));
    return this;
  }

  sendBytes(bytes: Uint8Array): this {
    this.transcript.push(`> ${bytes.length} raw bytes`);
    this.socket.write(bytes);
    return this;
  }

  /**
   * Sends pieces, each as a write of its own turn, so that the other side tends to read them apart. Answers by habit
   * wait until the last piece: they would fall into the middle of a frame.
   */
  async sendPieces(pieces: Uint8Array[]): Promise<void> {
    const held: Frame[] = [];
    this.held = held;
    for (const piece of pieces) {
      this.socket.write(piece);
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.held = undefined;
    if (held.length > 0) this.send(...held);
  }

  /** A block in the manner of common clients: indexing literals and Huffman. */
  indexedBlock(...fields: Field[]): Buffer {
    return this.encoder.block(...fields);
  }

  /** Next frame in order, or how the connection ended. */
  next(patience?: number): Promise<Received | Ending | "silence"> {
    return this.inbox.take(() => true, patience);
  }

  async expect(what: string, fits: (it: Received) => boolean): Promise<Received> {
    const it = await this.inbox.take(fits);
    if (typeof it === "string") throw this.failure(`expected ${what}, met ${it}`);
    return it;
  }

  expectFrame(type: number, stream: number, what: string): Promise<Received> {
    return this.expect(`${what} on stream ${stream}`, (it) => it.type === type && it.stream === stream);
  }

  /** A field section on this stream; fails at once when the stream is reset instead. */
  async expectHeaders(stream: number): Promise<Received & { fields: DecodedField[] }> {
    const either = (it: Received) => it.stream === stream && (it.type === Type.HEADERS || it.type === Type.RST_STREAM);
    const it = await this.expect(`HEADERS on stream ${stream}`, either);
    if (!it.fields) throw this.failure(`expected HEADERS on stream ${stream}, met ${describe(it)}`);
    return { ...it, fields: it.fields };
  }

  expectData(stream: number): Promise<Received> {
    return this.expectFrame(Type.DATA, stream, "DATA");
  }

  async expectReset(stream: number, code: number): Promise<void> {
    const it = await this.expectFrame(Type.RST_STREAM, stream, `RST_STREAM(${codeName(code)})`);
    if (codeOf(it) !== code) throw this.failure(`expected RST_STREAM(${codeName(code)}), met ${codeName(codeOf(it))}`);
  }

  async expectGoaway(code: number): Promise<Received> {
    const it = await this.expect(`GOAWAY(${codeName(code)})`, (frame) => frame.type === Type.GOAWAY);
    if (codeOf(it) !== code) throw this.failure(`expected GOAWAY(${codeName(code)}), met ${codeName(codeOf(it))}`);
    return it;
  }

  /** FIN after everything before it was delivered: a torn connection may have lost the GOAWAY that explains it. */
  async expectEnd(): Promise<void> {
    const it = await this.inbox.take(() => false);
    if (it !== "end") throw this.failure(`expected the connection to end, met ${String(it)}`);
  }

  /** GOAWAY with this code, then the end: a connection error as RFC 9113, 5.4.1 wants it. */
  async expectConnectionError(code: number): Promise<void> {
    await this.expectGoaway(code);
    await this.expectEnd();
  }

  async expectPingAck(payload: string): Promise<void> {
    const it = await this.expect(
      "PING with ACK",
      (frame) => frame.type === Type.PING && (frame.flags & Flag.ACK) !== 0,
    );
    if (it.payload.toString("latin1") !== payload)
      throw this.failure(`PING came back as ${it.payload.toString("hex")}`);
  }

  /** A round trip: all that was sent before has been read. Returns what came meanwhile; fails if the connection ended. */
  async barrier(): Promise<Received[]> {
    const mark = `b${String(++opaque).padStart(7, "0")}`;
    this.send(ping(mark));
    const isAck = (it: Received) => it.type === Type.PING && it.payload.toString("latin1") === mark;
    const ack = await this.expect("the PING's ACK", isAck);
    const before = this.inbox.drain();
    return ack ? before : [];
  }

  /** A whole message on a stream, until END_STREAM or RST_STREAM; 1xx sections are passed over. */
  async message(stream: number): Promise<Message> {
    const out: Message = { fields: [], body: Buffer.alloc(0), trailers: [], reset: undefined };
    for (let sections = 0; ; ) {
      const it = await this.expect(`more on stream ${stream}`, (frame) => frame.stream === stream && frame.type < 4);
      if (it.type === Type.RST_STREAM) out.reset = codeOf(it);
      if (it.type === Type.DATA) out.body = Buffer.concat([out.body, contentOf(it)]);
      if (it.fields) {
        const interim = it.fields.some(({ name, value }) => name === ":status" && value.startsWith("1"));
        if (!interim) out[sections++ === 0 ? "fields" : "trailers"] = it.fields;
      }
      if (out.reset !== undefined || (it.type < 2 && it.flags & Flag.END_STREAM)) return out;
    }
  }

  failure(reason: string): Error {
    return new Error(`${reason}\n${this.transcript.slice(-40).join("\n")}`);
  }

  close(): void {
    this.socket.destroy();
  }

  private resized(it: Frame): Frame {
    const plain = it.type === Type.HEADERS && (it.flags & (Flag.PADDED | Flag.PRIORITY)) === 0;
    if (!plain || !this.habits.resizes || this.tableLimit >= 4096) return it;
    const limit = this.tableLimit;
    this.tableLimit = 4096;
    return { ...it, payload: Buffer.concat([tableSize(limit), it.payload]) };
  }

  private receive(bytes: Buffer): void {
    try {
      for (const it of this.reader.push(bytes)) this.take(it);
    } catch (error) {
      this.transcript.push(`! ${String(error)}`);
      this.finish("torn");
      this.socket.destroy();
    }
  }

  private take(it: Frame): void {
    this.transcript.push(`< ${describe(it)}`);
    if (it.type === Type.HEADERS || it.type === Type.CONTINUATION) {
      this.takeBlock(it);
      return;
    }
    if (it.type === Type.SETTINGS && !(it.flags & Flag.ACK)) this.noteSettings(it);
    this.inbox.put(it);
    if (this.habits.answers) this.answer(it);
    if (this.habits.credits && it.type === Type.DATA && it.payload.length > 0) {
      this.sendByHabit(windowUpdate(0, it.payload.length), windowUpdate(it.stream, it.payload.length));
    }
  }

  private sendByHabit(...frames: Frame[]): void {
    if (this.held) this.held.push(...frames);
    else this.send(...frames);
  }

  /** Blocks are decoded as they end, even if nobody looks, or the decoder would lose its table. */
  private takeBlock(it: Frame): void {
    const whole = this.open ? { ...this.open, payload: Buffer.concat([this.open.payload, it.payload]) } : it;
    if (it.flags & Flag.END_HEADERS) {
      this.open = undefined;
      this.inbox.put({ ...whole, fields: this.decoder.decode(whole.payload) });
    } else {
      this.open = whole;
    }
  }

  private noteSettings(it: Frame): void {
    for (let at = 0; at + 6 <= it.payload.length; at += 6) {
      this.peerSettings.set(it.payload.readUInt16BE(at), it.payload.readUInt32BE(at + 2));
    }
    this.tableLimit = this.peerSettings.get(Setting.HEADER_TABLE_SIZE) ?? 4096;
  }

  private answer(it: Frame): void {
    if (it.flags & Flag.ACK) return;
    if (it.type === Type.SETTINGS) this.sendByHabit(settingsAck());
    if (it.type === Type.PING) this.sendByHabit(ping(it.payload, true));
  }

  private finish(how: Ending): void {
    if (!this.inbox.ending) this.transcript.push(`< ${how}`);
    this.inbox.end(how);
  }
}
