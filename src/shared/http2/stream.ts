// One stream of one connection, and the record of those that ended. Holds numbers and links only; what they mean is
// decided in receive-*.ts and send-*.ts. Windows (RFC 9113 section 5.2) have two views: `sendWindow` is what the peer
// granted us, `receiveWindow` is what we granted the peer and it has not used. Made twice per call: keep it flat.

import type { Connection } from "./connection.js";
import type { SendQueue } from "./send-queue.js";
import { State } from "./stream-state.js";

/** What the layer above hangs on a stream; the engine only carries it. */
export type StreamOwner = object;

export class Stream {
  readonly id: number;
  readonly connection: Connection;
  state: number = State.OPEN;
  /** The stream on the other side that takes what this one receives, once there is one. */
  peer: Stream | null = null;
  owner: StreamOwner | null = null;
  /** Octets the peer lets us send. */
  sendWindow: number;
  /** Octets the peer may still send us. */
  receiveWindow: number;
  /** The size the receive window is refilled to. */
  windowTarget: number;
  /** Octets that have left on the other side and were not yet granted again. */
  credit = 0;
  /** When credit was last granted, on the coarse clock. */
  grantedAt: number;
  /** DATA octets (without padding) received, for content-length. */
  received = 0;
  /** What content-length announced, -1 if it did not. */
  expected = -1;
  /** The initial header block arrived (server side) or the final response header block did (client side). */
  headed = false;
  /** The request was HEAD: content-length of the response announces nothing (RFC 9113 section 8.1.1). */
  bodyless = false;
  /** DATA octets that waited when the stream was closed, whose sender got no credit for them. */
  dropped = 0;
  /** Bytes that wait for windows or for the socket. */
  queue: SendQueue | null = null;
  /** Links of the ring of streams that have something to send and a window for it. */
  readyNext: Stream | null = null;
  readyPrevious: Stream | null = null;
  /** Turn of the coarse clock in which the stream was opened. */
  readonly born: number;
  /** Turn of the coarse clock in which a frame of it last passed, either direction. */
  lastActive: number;
  /** Number of the flight that carries its HEADERS (see Connection.flights). */
  headersFlight = 0;

  constructor(id: number, connection: Connection, sendWindow: number, receiveWindow: number, now: number) {
    this.id = id;
    this.connection = connection;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
    this.windowTarget = receiveWindow;
    this.born = now;
    this.grantedAt = now;
    this.lastActive = now;
  }
}

/** Why a stream is no longer in the table. */
export const Ended = { UNKNOWN: 0, COMPLETE: 1, RESET_RECEIVED: 2, RESET_SENT: 3 } as const;

const FEWEST_REMEMBERED = 64;
const MOST_REMEMBERED = 1_024;

/**
 * The last ended streams of a connection, so that late frames get the answer RFC 9113 section 5.1 asks for. Grows when
 * streams we reset would be forgotten while the peer may still be sending on them; takes no memory before the first.
 */
export class EndedStreams {
  private ids: Int32Array | null = null;
  private how: Uint8Array | null = null;

  remember(id: number, how: number): void {
    if (this.ids === null) this.resize(FEWEST_REMEMBERED);
    let slot = (id >>> 1) & (this.ids!.length - 1);
    if (this.how![slot] === Ended.RESET_SENT && this.ids!.length < MOST_REMEMBERED) {
      this.resize(this.ids!.length * 2);
      slot = (id >>> 1) & (this.ids!.length - 1);
    }
    this.ids![slot] = id;
    this.how![slot] = how;
  }

  recall(id: number): number {
    if (this.ids === null) return Ended.UNKNOWN;
    const slot = (id >>> 1) & (this.ids.length - 1);
    return this.ids[slot] === id ? this.how![slot]! : Ended.UNKNOWN;
  }

  private resize(size: number): void {
    const ids = this.ids;
    const how = this.how;
    this.ids = new Int32Array(size);
    this.how = new Uint8Array(size);
    if (ids === null || how === null) return;
    for (let i = 0; i < ids.length; i++) {
      const slot = (ids[i]! >>> 1) & (size - 1);
      this.ids[slot] = ids[i]!;
      this.how[slot] = how[i]!;
    }
  }
}
