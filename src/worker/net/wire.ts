// One socket ↔ one HTTP/2 connection: bytes read go to the engine, the engine's output is written once per turn. Owns
// the read block, what a halted connection has not taken of it yet, and the socket's end. Must not know frames, routes, calls. Runs once per read and once per flush.

import { writeSync } from "node:fs";
import type { Socket } from "node:net";
import type { ReadBlock, ReadBlockPool } from "../../shared/base/read-block.js";
import type { Connection } from "../../shared/http2/connection.js";
import type { Flight } from "../../shared/http2/output.js";
import { receive } from "../../shared/http2/receive.js";
import { pump } from "../../shared/http2/send-data.js";
import type { Turn } from "./turn.js";

/** Consecutive small reads after which a smaller block will do. */
const SMALL_READS = 64;
/** A caller that filled so many frames into one turn lets the others go first. */
const FRAMES_PER_TURN = 4_000;
/** So does any connection that delivered so many octets: the system would let it go on thirty-two times as long. */
const OCTETS_PER_TURN = 524_288;

/**
 * Up to this many octets that lie in one output block go to the kernel from where they lie, without the runtime's stream machinery, which
 * costs more than the write itself (bench/LOG.md). More may meet a full socket, and asking twice costs more than it saves.
 */
const DIRECT_BELOW = 16_385;

interface SocketHandle {
  readonly fd?: number;
}

/** What was read and may not be looked at yet, with a hold on its block. */
interface Held {
  readonly block: ReadBlock;
  readonly start: number;
  readonly end: number;
}

export interface WireOwner {
  /** The socket is gone; called once. `error` says why, if the system said. */
  wireClosed(wire: Wire, error: Error | null): void;
}

export class Wire {
  connection!: Connection;
  socket!: Socket;
  readonly owner: WireOwner;
  /** When something was last read, on the coarse clock. */
  lastRead: number;
  /** When output last made progress, or began to wait. */
  lastWrite: number;
  closed = false;
  /** The socket is a connected TCP socket without TLS: its descriptor may be written to. */
  direct = false;
  private readonly turn: Turn;
  private readonly pools: readonly ReadBlockPool[];
  private block: ReadBlock;
  private at = 0;
  private sizeClass = 0;
  private smallReads = 0;
  private framesAtTurn = 0;
  private octetsInTurn = 0;
  private turnSeen = -1;
  private given: Buffer | null = null;
  private paused = false;
  /** Behind what halted the connection; nothing more is read meanwhile, but a TLS record that was begun is delivered. */
  private held: Held[] | null = null;
  private keeping = false;
  private begun = 0;
  private confirmed = 0;
  private landedAt = 0;
  private ending = false;
  private error: Error | null = null;
  /** The socket's handle as it was seen last, and the descriptor it has: asking the runtime for it is a call into native code. */
  private handle: SocketHandle | null = null;
  private descriptor = -1;
  private readonly written: () => void;

  constructor(turn: Turn, pools: readonly ReadBlockPool[], owner: WireOwner) {
    this.turn = turn;
    this.pools = pools;
    this.owner = owner;
    this.lastRead = turn.clock.now;
    this.lastWrite = turn.clock.now;
    this.block = pools[0]!.take();
    this.written = () => this.onWritten();
  }

  /** As `nextBuffer` for the runtime's own sockets, which keep the buffer they have when they are given none. */
  changedBuffer(): Buffer {
    const next = this.nextBuffer();
    if (next === this.given) return undefined as unknown as Buffer;
    this.given = next;
    return next;
  }

  /** Where the next read goes. */
  nextBuffer(): Buffer {
    const block = this.block;
    if (this.keeping) {
      this.keeping = false;
      return block.buf.subarray(this.at);
    }
    const size = block.buf.length;
    if (block.holds === 1 && size === this.pools[this.sizeClass]!.size) {
      this.at = 0;
      return block.buf;
    }
    if (size === this.pools[this.sizeClass]!.size && (size - this.at) * 4 >= size) return block.buf.subarray(this.at);
    block.release();
    this.block = this.pools[this.sizeClass]!.take();
    this.at = 0;
    return this.block.buf;
  }

  /**
   * For the socket's `onread`: `n` octets were read to where `nextBuffer` pointed; `kept` before them belong to them.
   * @returns false to read no more
   */
  onRead(n: number, kept = 0): boolean {
    const start = this.at - kept;
    const end = this.at + n;
    this.at = end;
    this.turn.begin();
    this.lastRead = this.turn.clock.now;
    this.adapt(n, end);
    if (this.held !== null) {
      this.hold(this.block, start, end);
      return false;
    }
    return this.take(this.block, start, end) && this.mayReadOn(n);
  }

  /** @returns false when a defect has ended the connection */
  private take(block: ReadBlock, start: number, end: number): boolean {
    try {
      const at = receive(this.connection, block, start, end);
      if (at < end) this.hold(block, at, end);
      return true;
    } catch (error) {
      this.turn.onDefect(error);
      this.destroy();
      return false;
    }
  }

  private hold(block: ReadBlock, start: number, end: number): void {
    block.holds++;
    this.held ??= [];
    this.held.push({ block, start, end });
  }

  /** The connection was halted and goes on: with what is held of it, and when nothing is left with the socket. */
  readOn(): void {
    const c = this.connection;
    if (this.closed || !c.halted) return;
    c.halted = false;
    this.turn.begin();
    const held = this.held;
    this.held = null;
    let sound = true;
    for (let i = 0; held !== null && i < held.length; i++) {
      const { block, start, end } = held[i]!;
      if (c.halted) this.hold(block, start, end);
      else if (sound) sound = this.take(block, start, end);
      block.release();
    }
    // The end of the turn lets the socket be read again.
    if (!c.halted && this.paused) c.wake();
  }

  /** The last `n` octets read, `kept` of which were kept from before. */
  peek(n: number, kept: number): Buffer {
    return this.block.buf.subarray(this.at - kept, this.at - kept + n);
  }

  /** Keeps what was just read where it is: the next read goes behind it. For a few first octets only. */
  keep(n: number): void {
    this.at += n;
    this.keeping = true;
  }

  /** Takes what was just read away from the block. */
  consume(n: number): Buffer {
    this.keeping = false;
    return this.block.buf.subarray(this.at, this.at + n);
  }

  private adapt(n: number, end: number): void {
    if (end === this.block.buf.length && n * 2 >= this.block.buf.length) {
      this.smallReads = 0;
      if (this.sizeClass < this.pools.length - 1) this.sizeClass++;
    } else if (this.sizeClass > 0 && n * 8 < this.pools[this.sizeClass - 1]!.size) {
      if (++this.smallReads > SMALL_READS) {
        this.smallReads = 0;
        this.sizeClass--;
      }
    } else this.smallReads = 0;
  }

  /**
   * Frames are counted for callers only: an upstream connection carries everybody's calls. A pause ends with the turn.
   */
  private mayReadOn(n: number): boolean {
    const c = this.connection;
    if (c.halted) {
      this.paused = true;
      return false;
    }
    if (this.turnSeen !== this.turn.number) {
      this.turnSeen = this.turn.number;
      this.octetsInTurn = 0;
      this.framesAtTurn = c.frames;
    }
    this.octetsInTurn += n;
    if (this.octetsInTurn < OCTETS_PER_TURN && (!c.server || c.frames - this.framesAtTurn < FRAMES_PER_TURN))
      return true;
    this.paused = true;
    c.wake();
    return false;
  }

  flush(): void {
    const c = this.connection;
    c.dirty = false;
    if (this.paused && !this.closed && !c.halted) {
      this.paused = false;
      this.socket.resume();
    }
    const output = c.output;
    if (output.inFlight) return;
    if (this.closed) return output.discard();
    if (this.direct) this.writeInPlace();
    while (!output.empty) {
      this.write(output.takeFlight());
      if (output.inFlight) return;
      if (c.ready !== null) pump(c);
    }
    if (this.ending) this.endSocket();
  }

  /** What can be written at once without a flight. What the kernel does not take now goes the usual way. */
  private writeInPlace(): void {
    const c = this.connection;
    const output = c.output;
    for (let n = output.sole; n > 0 && n < DIRECT_BELOW; n = output.sole) {
      const taken = this.writeDirectly(output.block, output.base, n);
      if (taken === 0) return;
      c.flights++;
      this.lastWrite = this.turn.clock.now;
      output.took(taken);
      if (taken < n) return;
      if (c.ready !== null) pump(c);
    }
  }

  private write(flight: Flight): void {
    const socket = this.socket;
    const parts = flight.parts;
    const last = parts.length - 1;
    this.connection.flights++;
    this.begun++;
    this.lastWrite = this.turn.clock.now;
    if (last === 0) socket.write(parts[0]!, this.written);
    else {
      socket.cork();
      for (let i = 0; i < last; i++) socket.write(parts[i]!);
      socket.write(parts[last]!, this.written);
      socket.uncork();
    }
    // Mostly the kernel takes everything at once; then the blocks are free before the callback comes.
    if (socket.writableLength === 0) {
      this.landedAt = this.begun;
      this.connection.output.landed();
    }
  }

  /** @returns how many octets the kernel took; the runtime's own way takes the rest and reports what is wrong */
  private writeDirectly(block: Buffer, start: number, length: number): number {
    // Gone as soon as the socket closes: from then on the descriptor's number may be another's.
    const handle = (this.socket as unknown as { _handle?: SocketHandle | null })._handle ?? null;
    if (handle !== this.handle) {
      this.handle = handle;
      this.descriptor = handle?.fd ?? -1;
    }
    if (handle === null || this.descriptor < 0) return 0;
    try {
      return writeSync(this.descriptor, block, start, length);
    } catch {
      return 0;
    }
  }

  private onWritten(): void {
    this.confirmed++;
    if (this.confirmed <= this.landedAt) return;
    this.landedAt = this.confirmed;
    const c = this.connection;
    c.output.landed();
    this.lastWrite = this.turn.clock.now;
    if (this.closed) return c.output.discard();
    if (c.ready !== null) pump(c);
    if (!c.output.empty || this.ending) c.wake();
  }

  /** Closes the socket once everything is written; nothing more is sent after it. */
  endAfterFlush(): void {
    if (this.ending || this.closed) return;
    this.ending = true;
    this.connection.wake();
  }

  private endSocket(): void {
    if (!this.socket.writableEnded) this.socket.end();
  }

  destroy(): void {
    if (!this.closed) this.socket.destroy();
  }

  /** Octets the system has not taken yet, where the runtime tells. */
  get queued(): number {
    return (this.socket as unknown as { _handle?: { writeQueueSize?: number } })._handle?.writeQueueSize ?? 0;
  }

  get isEnding(): boolean {
    return this.ending;
  }

  onError(error: Error): void {
    this.error = error;
  }

  /** The socket has closed: lets all memory go. */
  onClose(): void {
    if (this.closed) return;
    this.closed = true;
    this.block.release();
    for (const { block } of this.held ?? []) block.release();
    this.held = null;
    this.connection.die();
    const output = this.connection.output;
    // A flight that was under way will never be confirmed.
    if (output.inFlight) output.landed();
    output.discard();
    this.landedAt = this.begun;
    this.owner.wireClosed(this, this.error);
  }
}
