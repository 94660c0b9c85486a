// A socket that is read through our own buffers, shown to node:http as a stream. Runs for health checks and for operators whose
// control API is on the main port.

import type { Socket } from "node:net";
import { Duplex } from "node:stream";

export class Http1Stream extends Duplex {
  private readonly socket: Socket;
  private full = false;
  private silence: NodeJS.Timeout | null = null;
  readonly remoteAddress: string | undefined;

  constructor(socket: Socket) {
    super({ allowHalfOpen: true });
    this.socket = socket;
    this.remoteAddress = socket.remoteAddress;
  }

  /** Octets the caller sent; owned by the stream from here. @returns false to read no more until there is room for it */
  feed(bytes: Buffer): boolean {
    this.silence?.refresh();
    this.full = !this.push(bytes);
    return !this.full;
  }

  /** Ends as soon as the answer under way is written. */
  finish(): void {
    if (!this.writableEnded) this.end();
  }

  /** The socket has closed. */
  gone(error: Error | null): void {
    this.destroy(error ?? undefined);
  }

  /**
   * For node:http, which closes what lies idle after an answer; what passes either way begins the time anew. Kept here: not
   * every socket has one (a connection whose TLS ends on a thread).
   */
  setTimeout(ms: number): this {
    if (this.silence !== null) clearTimeout(this.silence);
    this.silence = null;
    if (ms > 0 && !this.destroyed) this.silence = setTimeout(() => this.emit("timeout"), ms).unref();
    return this;
  }

  override _read(): void {
    if (!this.full) return;
    this.full = false;
    this.socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.silence?.refresh();
    this.socket.write(chunk, (error) => {
      this.silence?.refresh();
      done(error);
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    this.socket.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.setTimeout(0);
    this.socket.destroy();
    done(error);
  }
}
