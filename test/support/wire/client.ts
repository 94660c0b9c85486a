// Responsible for: the calling end of a raw connection: preface, settings, requests as tests write them.
// Must not know: what answers. Governed by: RFC 9113, 3.4 and 8.3. How often: tests only.

import { connect } from "node:net";
import { Flag, type Frame, headers, PREFACE, Setting, settings, Type } from "./frame.js";
import { block, type Field } from "./hpack.js";
import { type Message, WirePeer } from "./peer.js";

export interface Target {
  host: string;
  port: number;
}

/** A GET of `/`, as fields; the last of them can be replaced by name. */
export function request(overrides: Record<string, string> = {}): Field[] {
  const base: Record<string, string> = { ":method": "GET", ":scheme": "http", ":path": "/", ":authority": "localhost" };
  return Object.entries({ ...base, ...overrides });
}

/** A gRPC request to a path. */
export const grpcRequest = (path: string, extra: Record<string, string> = {}): Field[] =>
  request({ ":method": "POST", ":path": path, te: "trailers", "content-type": "application/grpc", ...extra });

export class WireClient extends WirePeer {
  private lastStream = -1;

  /** A TCP connection on which nothing was sent yet. `allowHalfOpen`: a test may go on sending after the other's FIN. */
  static async connect(target: Target | number): Promise<WireClient> {
    const at = typeof target === "number" ? { host: "127.0.0.1", port: target } : target;
    const socket = connect({ ...at, allowHalfOpen: true });
    await new Promise((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", reject);
    });
    return new WireClient(socket);
  }

  /** A connection with its handshake done and both SETTINGS acknowledged. */
  static async ready(target: Target | number, ...own: [id: number, value: number][]): Promise<WireClient> {
    const client = await WireClient.connect(target);
    await client.handshake(settings(...own));
    return client;
  }

  async handshake(own: Frame = settings([Setting.INITIAL_WINDOW_SIZE, 65_535])): Promise<void> {
    this.sendBytes(PREFACE).send(own);
    await this.expect("SETTINGS", (it) => it.type === Type.SETTINGS && !(it.flags & Flag.ACK));
    await this.expect("the ACK of SETTINGS", (it) => it.type === Type.SETTINGS && (it.flags & Flag.ACK) !== 0);
  }

  /** A stream identifier not used by this client before. */
  newStream(): number {
    this.lastStream += 2;
    return this.lastStream;
  }

  /** A whole call without a body, and its answer. */
  async get(fields: Field[] = request()): Promise<Message> {
    const stream = this.newStream();
    this.send(headers(stream, block(...fields), { end: true }));
    return this.message(stream);
  }
}
