// Responsible for: the answering end of raw connections: an upstream that a test leads frame by frame.
// Must not know: who calls. Governed by: RFC 9113, 3.4 and 8.3. How often: tests only.

import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { DEFAULT_FRAME_SIZE, data, Flag, type Frame, headers, PREFACE, settings, Type } from "./frame.js";
import { block, type DecodedField, type Field } from "./hpack.js";
import { Inbox, PATIENCE, type Received } from "./inbox.js";
import { WirePeer } from "./peer.js";

/** A body as DATA frames that every peer must take. */
function pieces(stream: number, body: Buffer, end: boolean): Frame[] {
  const out: Frame[] = [];
  let at = 0;
  do {
    const next = Math.min(body.length, at + DEFAULT_FRAME_SIZE);
    out.push(data(stream, body.subarray(at, next), { end: end && next === body.length }));
    at = next;
  } while (at < body.length);
  return out;
}

export interface Reply {
  status?: string;
  fields?: Field[];
  body?: string | Buffer;
  trailers?: Field[];
}

/** One accepted connection, its preface already read. */
export class WireServerConnection extends WirePeer {
  /** A well-formed reply in one write. */
  reply(stream: number, it: Reply = {}): this {
    const head = headers(stream, block([":status", it.status ?? "200"], ...(it.fields ?? [])), {
      end: it.body === undefined && !it.trailers,
    });
    const rest: Frame[] = [];
    if (it.body !== undefined) rest.push(...pieces(stream, Buffer.from(it.body), !it.trailers));
    if (it.trailers) rest.push(headers(stream, block(...it.trailers), { end: true }));
    return this.send(head, ...rest);
  }

  /** A unary gRPC reply with an empty message. */
  replyGrpc(stream: number, body: string | Buffer = Buffer.alloc(5)): this {
    return this.reply(stream, {
      fields: [["content-type", "application/grpc"]],
      body,
      trailers: [["grpc-status", "0"]],
    });
  }
}

/** Tells its server about requests as they open and as they end. */
class ObservedConnection extends WireServerConnection {
  private highest = 0;
  private readonly unended = new Map<number, Received>();

  constructor(
    socket: Socket,
    private readonly onRequest: (it: Received) => void,
    private readonly onEnd: ((it: Received) => void) | undefined,
  ) {
    super(socket);
    const put = this.inbox.put.bind(this.inbox);
    this.inbox.put = (it) => {
      const opens = it.type === Type.HEADERS && it.stream > this.highest;
      if (opens) this.opened(it);
      else if (!this.onEnd) put(it);
      this.watch(it);
    };
  }

  private opened(it: Received): void {
    this.highest = it.stream;
    if (this.onEnd) this.unended.set(it.stream, it);
    else this.onRequest(it);
  }

  private watch(it: Received): void {
    const request = this.unended.get(it.stream);
    if (!request) return;
    const ends = it.type <= Type.HEADERS && (it.flags & Flag.END_STREAM) !== 0;
    if (ends || it.type === Type.RST_STREAM) this.unended.delete(it.stream);
    if (ends) this.onEnd?.(request);
  }
}

export interface WireRequest {
  connection: WireServerConnection;
  stream: number;
  fields: DecodedField[];
  frame: Received;
}

const requestOf = (connection: WireServerConnection, frame: Received): WireRequest => ({
  connection,
  stream: frame.stream,
  fields: frame.fields ?? [],
  frame,
});

export interface ServerOptions {
  /** What each connection is greeted with once its preface is read; SETTINGS without values by default. */
  greeting?: Frame[];
  /** Called for each request once it has ended, instead of leaving it to `request()`. */
  answer?: (request: WireRequest) => void;
}

export class WireServer {
  readonly connections: WireServerConnection[] = [];
  private readonly requests: WireRequest[] = [];
  private readonly news = new Inbox();
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly listener: Server,
    private readonly options: ServerOptions,
  ) {
    listener.on("connection", (socket) => this.greet(socket));
  }

  static async listen(options: ServerOptions = {}): Promise<WireServer> {
    const listener = createServer({ allowHalfOpen: true });
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    return new WireServer(listener, options);
  }

  get port(): number {
    return (this.listener.address() as AddressInfo).port;
  }

  get target(): string {
    return `h2c://127.0.0.1:${this.port}`;
  }

  /** The next request of any connection. */
  async request(patience = PATIENCE): Promise<WireRequest> {
    // News of requests that were taken without waiting are still there.
    for (let late = false; this.requests.length === 0 && !late; )
      late = (await this.news.take(() => true, patience)) === "silence";
    const it = this.requests.shift();
    if (!it) throw new Error(`no request came; ${this.connections.length} connections: ${this.transcript()}`);
    return it;
  }

  get untaken(): number {
    return this.requests.length;
  }

  transcript(): string {
    return this.connections.map((it) => it.transcript.join("\n")).join("\n--\n");
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.listener.close(resolve));
  }

  private greet(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    let seen = Buffer.alloc(0);
    const preface = (bytes: Buffer) => {
      seen = Buffer.concat([seen, bytes]);
      if (seen.length < PREFACE.length) return;
      socket.off("data", preface);
      if (!seen.subarray(0, PREFACE.length).equals(PREFACE)) return void socket.destroy();
      this.adopt(socket, seen.subarray(PREFACE.length));
    };
    socket.on("data", preface);
  }

  private adopt(socket: Socket, rest: Buffer): void {
    const { answer } = this.options;
    const answerOne = answer && ((frame: Received) => answer(requestOf(connection, frame)));
    const connection = new ObservedConnection(socket, (it) => this.take(connection, it), answerOne);
    this.connections.push(connection);
    connection.send(...(this.options.greeting ?? [settings()]));
    if (rest.length > 0) socket.emit("data", rest);
  }

  private take(connection: WireServerConnection, frame: Received): void {
    this.requests.push(requestOf(connection, frame));
    this.news.put(frame);
  }
}
