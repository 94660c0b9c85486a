// One TLS caller between accept and its first application octet: the hello is read from the bare handle, the context
// chosen, the handshake done and its outcome checked; then the connection is handed on.
// Responsible for the order of these and for the end of whoever does not get through. Must not know: HTTP/2, routes.
// Governed by RFC 8446 sections 4.1.2 and 6.2; RFC 9113 section 3.2. Runs once per connection.

import { type OnReadOpts, Socket } from "node:net";
import type { SecureContext } from "node:tls";
import type { TcpHandle } from "../../shared/messages.js";
import type { Transport } from "../downstream/transport.js";
import { type ClientHello, HelloReader, HelloState } from "./client-hello.js";
import { type PeerCertificate, peerCertificate } from "./peer-certificate.js";
import { ClientAuth, type Reception } from "./reception.js";
import { ServerSocket } from "./server-socket.js";

export const Alert = { DECODE_ERROR: 50, UNRECOGNIZED_NAME: 112 } as const;

/** Why a connection was not taken further, for the log and the counters. */
export type Failure = "not_tls" | "hello" | "name" | "handshake" | "client_certificate" | "timeout" | "overload";

export interface ArrivalHost {
  /** The hello is there: the host begins the handshake now, or later, or not at all. */
  greeted(arrival: Arrival): void;
  secured(arrival: Arrival, transport: Transport): void;
  failed(arrival: Arrival, failure: Failure, reason: string): void;
  /** Gone, however: called once. */
  ended(arrival: Arrival): void;
}

/** The handle as this file reads it; node:net uses the same members. */
interface ReadableHandle extends TcpHandle {
  onread: ((bytes: ArrayBuffer | undefined) => void) | null;
  readStart(): number;
  readStop(): number;
  reading?: boolean;
}

/** A caller has nothing to send behind its hello before it is answered; early data is not asked for. */
const MAX_EARLY = 65_536;
/** h2 first; http/1.1 for health checks. */
const PROTOCOLS = ["h2", "http/1.1"];
/** Where application data goes that comes with the end of a handshake; copied out at once, so all share it. */
const SCRATCH = Buffer.allocUnsafeSlow(16_384);
const PLAIN_HTTP =
  "HTTP/1.0 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nThis port speaks TLS\n";

export class Arrival {
  readonly port: number;
  /** Coarse ms. */
  readonly since: number;
  hello: ClientHello | null = null;
  reception: Reception | null = null;
  resumed = false;
  private readonly host: ArrivalHost;
  private readonly handle: ReadableHandle;
  private first = new HelloReader();
  private socket: ServerSocket | null = null;
  private over = false;
  private reader: OnReadOpts | null = null;

  constructor(handle: TcpHandle, port: number, now: number, host: ArrivalHost) {
    this.port = port;
    this.since = now;
    this.host = host;
    this.handle = handle as ReadableHandle;
    this.handle.onread = (bytes) => this.read(bytes);
    // It goes on reading until the socket takes over, which then need not ask the system to watch the descriptor anew.
    this.handle.reading = true;
    if (this.handle.readStart() !== 0) this.drop();
  }

  private read(bytes: ArrayBuffer | undefined): void {
    if (this.over || this.socket !== null) return;
    if (bytes === undefined) return this.drop();
    this.first.keep(Buffer.from(bytes));
    if (this.hello !== null) {
      if (this.first.seen.length > MAX_EARLY) this.drop();
      return;
    }
    const { state, hello } = this.first.look();
    if (state === HelloState.MORE) return;
    if (state === HelloState.HELLO) {
      this.hello = hello;
      this.host.greeted(this);
    } else if (state === HelloState.NOT_TLS) this.refusePlain();
    else this.refuse("hello", Alert.DECODE_ERROR, "the ClientHello is broken or too long");
  }

  /** Says which alert ends it; only before the handshake has begun. */
  refuse(failure: Failure, alert: number, reason: string): void {
    this.leave(failure, reason, Buffer.of(21, 3, 1, 0, 2, 2, alert));
  }

  private refusePlain(): void {
    const http = /^(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|TRACE|CONNECT) /.test(
      this.first.seen.toString("latin1", 0, 8),
    );
    this.leave("not_tls", "what came first is not TLS", http ? Buffer.from(PLAIN_HTTP) : EMPTY);
  }

  private leave(failure: Failure, reason: string, last: Buffer): void {
    if (this.over) return;
    this.host.failed(this, failure, reason);
    this.over = true;
    this.handle.readStop();
    this.handle.reading = false;
    const socket = new Socket({ handle: this.handle } as object);
    socket.on("error", () => socket.destroy());
    socket.end(last, () => socket.destroy());
    this.host.ended(this);
  }

  /** Begins the handshake; what follows comes back through the host. */
  shake(context: SecureContext, clientAuth: number): void {
    if (this.over) return;
    const socket = new ServerSocket({
      handle: this.handle,
      context,
      requestCert: clientAuth !== ClientAuth.NONE,
      requireCert: clientAuth === ClientAuth.REQUIRE,
      protocols: PROTOCOLS,
      onread: { buffer: (() => this.nextBuffer()) as never, callback: (n, bytes) => this.deliver(n, bytes as Buffer) },
    });
    this.socket = socket;
    let reason = "";
    socket.on("error", (error) => {
      reason = error.message;
    });
    socket.on("_tlsError", (error: Error) => {
      reason = error.message;
    });
    socket.on("close", () => {
      if (this.over) return;
      this.host.failed(this, "handshake", reason || "the caller went away");
      this.over = true;
      this.host.ended(this);
    });
    socket.once("secure", () => this.secured(socket));
    const { seen } = this.first;
    this.first = new HelloReader();
    socket.receive(seen);
  }

  private secured(socket: ServerSocket): void {
    if (this.over) return;
    const asked = this.reception!.clientAuth !== ClientAuth.NONE;
    const leaf = asked ? socket.getPeerX509Certificate() : undefined;
    const peer = leaf === undefined ? null : peerCertificate(leaf);
    const refusal = this.refusal(peer);
    if (refusal !== "") {
      this.host.failed(this, "client_certificate", refusal);
      this.drop();
      return;
    }
    this.resumed = socket.isSessionReused();
    socket.release();
    this.over = true;
    this.host.secured(this, this.transport(socket, peer));
    this.host.ended(this);
  }

  /** On every connection, resumed or not: a ticket says nothing about whoever is allowed now. */
  private refusal(peer: PeerCertificate | null): string {
    const { clientAuth, allowed } = this.reception!;
    return clientAuth === ClientAuth.REQUIRE ? allowed.refusal(peer, Date.now()) : "";
  }

  private transport(socket: ServerSocket, peer: PeerCertificate | null): Transport {
    return {
      protocol: socket.alpnProtocol === "h2" ? "h2" : "http/1.1",
      secure: true,
      peer,
      open: (buffer, callback) => {
        this.reader = { buffer: buffer as never, callback };
        return socket;
      },
    };
  }

  private nextBuffer(): Buffer {
    return this.reader === null ? SCRATCH : (this.reader.buffer as unknown as () => Buffer)();
  }

  private deliver(n: number, bytes: Buffer): boolean {
    const { reader } = this;
    if (reader === null) return false;
    if (bytes !== SCRATCH) return reader.callback(n, bytes);
    let goOn = true;
    for (let at = 0; at < n; ) {
      const into = this.nextBuffer();
      const copied = SCRATCH.copy(into, 0, at, Math.min(n, at + into.length));
      goOn = reader.callback(copied, into);
      at += copied;
    }
    return goOn;
  }

  /** Ends it at once, without a word. */
  drop(): void {
    if (this.over) return;
    this.over = true;
    if (this.socket !== null) this.socket.destroy();
    else this.handle.close();
    this.host.ended(this);
  }
}

const EMPTY = Buffer.alloc(0);
