// A caller's connection whose TLS ends on a thread, as the loop sees it: a socket of cleartext octets.
// Responsible for both directions' bounds, and for being enough of a node:net socket for its owners (net/wire.ts,
// downstream/http1-stream.ts). Must not know: TLS, HTTP, how octets cross.
// Runs: once per read and write of a connection.

import { Duplex } from "node:stream";
import { MOST_UNDER_WAY, TOOK_STEP } from "./batch.js";

/** What the connection says to its thread. */
export interface ThreadLink {
  data(connection: number, bytes: Buffer): void;
  took(connection: number, octets: number): void;
  end(connection: number): void;
  /** The socket here is closed; `known` when the thread said so first. */
  closed(connection: number, known: boolean): void;
}

type Done = (error?: Error | null) => void;

interface Reader {
  readonly buffer: () => Buffer;
  readonly callback: (n: number) => boolean;
}

export class ThreadSocket extends Duplex {
  readonly remoteAddress: string;
  /** As node:net shows what the system has not taken yet. */
  readonly _handle: { readonly writeQueueSize: number };
  private readonly link: ThreadLink;
  private readonly connection: number;
  private reader: Reader | null = null;
  private stopped = false;
  private held: Buffer[] = [];
  private taken = 0;
  private underWay = 0;
  private waiting: Done | null = null;
  private gone = false;

  constructor(link: ThreadLink, connection: number, remoteAddress: string) {
    super({ allowHalfOpen: true, autoDestroy: false });
    this.link = link;
    this.connection = connection;
    this.remoteAddress = remoteAddress;
    const queued = () => this.underWay;
    this._handle = {
      get writeQueueSize() {
        return queued();
      },
    };
  }

  open(buffer: () => Buffer, callback: (n: number) => boolean): this {
    this.reader = { buffer, callback };
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  /** What the caller sent. */
  deliver(bytes: Buffer): void {
    if (this.stopped) this.held.push(bytes);
    else this.hand(bytes);
  }

  private hand(bytes: Buffer): void {
    const reader = this.reader!;
    for (let at = 0; at < bytes.length; ) {
      if (this.destroyed) return;
      const n = bytes.copy(reader.buffer(), 0, at);
      at += n;
      this.tookSome(n);
      if (reader.callback(n)) continue;
      this.stopped = true;
      if (at < bytes.length) this.held.push(bytes.subarray(at));
      return;
    }
  }

  private tookSome(n: number): void {
    this.taken += n;
    if (this.taken < TOOK_STEP) return;
    this.link.took(this.connection, this.taken);
    this.taken = 0;
  }

  override resume(): this {
    this.stopped = false;
    const held = this.held;
    this.held = [];
    for (const [at, bytes] of held.entries()) {
      if (!this.stopped) this.hand(bytes);
      else {
        this.held.push(...held.slice(at));
        break;
      }
    }
    return this;
  }

  /** So much of what was written has left. */
  written(octets: number): void {
    this.underWay -= octets;
    const { waiting } = this;
    if (waiting === null || this.underWay >= MOST_UNDER_WAY) return;
    this.waiting = null;
    waiting();
  }

  /** The thread's socket has closed. */
  lost(error?: Error): void {
    this.gone = true;
    this.destroy(error);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.send(chunk);
    this.settle(done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: Done): void {
    for (const { chunk } of chunks) this.send(chunk);
    this.settle(done);
  }

  private send(chunk: Buffer): void {
    this.underWay += chunk.length;
    this.link.data(this.connection, chunk);
  }

  /** The octets are copied: their owner waits only where the caller takes them more slowly than they come. */
  private settle(done: Done): void {
    if (this.underWay < MOST_UNDER_WAY) done();
    else this.waiting = done;
  }

  override _final(done: Done): void {
    this.link.end(this.connection);
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    this.held = [];
    this.link.closed(this.connection, this.gone);
    done(error);
  }
}
