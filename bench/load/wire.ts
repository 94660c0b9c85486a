/**
 * One socket's output: frames are gathered during a turn of the event loop and leave in one write. Must not know what frames mean.
 * The block is used again when the kernel took all of it at once, which is the usual case. Runs once per frame, flushes once per turn.
 */
import type { Socket } from "node:net";

const BLOCK = 65_536;
const waiting: Wire[] = [];
let scheduled = false;

const flushAll = (): void => {
  scheduled = false;
  for (const wire of waiting.splice(0)) wire.flush();
};

export class Wire {
  block = Buffer.allocUnsafeSlow(BLOCK);
  used = 0;
  readonly socket: Socket;
  #sent = 0;
  #queue: Buffer[] = [];
  #waits = false;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Makes room for so many bytes at `used` of `block`; the caller writes there and moves `used`. */
  reserve(bytes: number): void {
    if (this.used + bytes > BLOCK) this.#cut(true);
    this.#schedule();
  }

  /** A payload that is sent as it lies; it must not change until it has left. */
  append(bytes: Buffer): void {
    this.#schedule();
    if (bytes.length < 1024) {
      if (this.used + bytes.length > BLOCK) this.#cut(true);
      this.used += bytes.copy(this.block, this.used);
      return;
    }
    this.#cut(false);
    this.#queue.push(bytes);
  }

  get waitingBytes(): number {
    return this.socket.writableLength;
  }

  flush(): void {
    this.#waits = false;
    if (this.socket.destroyed) {
      this.#forget();
      return;
    }
    this.#cut(false);
    const queue = this.#queue;
    this.#queue = [];
    if (queue.length === 1) this.socket.write(queue[0]!);
    else {
      this.socket.cork();
      for (const bytes of queue) this.socket.write(bytes);
      this.socket.uncork();
    }
    if (this.socket.writableLength === 0) this.#forget();
    else this.#freshBlock();
  }

  #schedule(): void {
    if (this.#waits) return;
    this.#waits = true;
    waiting.push(this);
    if (scheduled) return;
    scheduled = true;
    setImmediate(flushAll);
  }

  #cut(needRoom: boolean): void {
    if (this.used > this.#sent) this.#queue.push(this.block.subarray(this.#sent, this.used));
    this.#sent = this.used;
    if (needRoom) this.#freshBlock();
  }

  #freshBlock(): void {
    this.block = Buffer.allocUnsafeSlow(BLOCK);
    this.#forget();
  }

  #forget(): void {
    this.used = 0;
    this.#sent = 0;
  }
}
