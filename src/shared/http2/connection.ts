// One HTTP/2 connection, either side, without I/O: its state and the few things that both directions share. Bytes come
// in through `receive` (receive.ts and receive-*.ts), frames go out through send-*.ts into `output`; whoever owns the
// socket flushes `output` when `events.wake` was called. Governed by RFC 9113. Must not know sockets, timers, routes.

import type { Clock } from "../base/clock.js";
import type { ReadBlock, ReadBlockPool } from "../base/read-block.js";
import type { Budget } from "./budget.js";
import { FAULTS, Fault } from "./faults.js";
import { FloodGuard } from "./flood-guard.js";
import type { HeaderMemo, MemoTable } from "./header-memo.js";
import { HpackDecoder } from "./hpack/decoder.js";
import { HpackEncoder } from "./hpack/encoder.js";
import type { FieldStore } from "./hpack/field.js";
import type { FieldList } from "./hpack/field-list.js";
import type { EngineLimits } from "./limits.js";
import { Output, type OutputBlocks } from "./output.js";
import { DEFAULT_FRAME_SIZE, DEFAULT_TABLE_SIZE, DEFAULT_WINDOW, MAX_STREAM_ID } from "./protocol.js";
import { sendGoaway } from "./send-control.js";
import { Ended, EndedStreams, type Stream } from "./stream.js";
import { State } from "./stream-state.js";
import { StreamTable } from "./stream-table.js";

/** What the engine tells the layer above. None of these may throw. */
export interface ConnectionEvents {
  /** A request's, or a (final or informational) response's header block. `memo` is set when the block may come again. */
  headers(stream: Stream, list: FieldList, memo: HeaderMemo | null, end: boolean): void;
  trailers(stream: Stream, list: FieldList, memo: HeaderMemo | null): void;
  /**
   * DATA. `frameStart` is where the 9 header octets stand directly before the payload, or -1 when they do not; `flags`
   * holds END_STREAM, and PADDED only when the payload is the whole frame with its padding.
   */
  data(stream: Stream, block: ReadBlock, frameStart: number, start: number, end: number, flags: number): void;
  /** The stream left the table, once, for the reason `how` (see Ended) with the RST_STREAM code if one travelled. */
  closed(stream: Stream, how: number, code: number): void;
  /** The peer's SETTINGS changed something. */
  settings(connection: Connection): void;
  goaway(connection: Connection, lastStream: number, code: number): void;
  pong(connection: Connection): void;
  /** Output waits; flush at the end of the turn. Called once until `dirty` is cleared. */
  wake(connection: Connection): void;
  /** Nothing more will be received; close the socket once the output is written. */
  failed(connection: Connection, fault: number): void;
}

/** What all connections of a worker share. */
export interface EngineShared {
  readonly clock: Clock;
  readonly fields: FieldStore;
  readonly blocks: OutputBlocks;
  readonly budget: Budget;
  /** For DATA that must wait, in blocks of the size of a frame. */
  readonly copies: ReadBlockPool;
  /** For header blocks of peers whose table is empty: the same octets mean the same to all of them. */
  readonly statelessMemo: MemoTable;
  /** Reused for every header block that is not remembered; valid until the next one is decoded. */
  readonly scratch: FieldList;
}

export class Connection {
  readonly server: boolean;
  readonly limits: EngineLimits;
  readonly shared: EngineShared;
  readonly events: ConnectionEvents;
  readonly output: Output;
  readonly streams = new StreamTable();
  readonly ended = new EndedStreams();
  readonly decoder: HpackDecoder;
  readonly encoder: HpackEncoder;
  readonly guard: FloodGuard;
  memo: MemoTable | null = null;
  /** Whatever the layer above hangs on the connection. */
  owner: object | null = null;

  // Receiving: where the parser stands (receive.ts).
  prefaceAt = 0;
  settingsSeen = false;
  carry: Buffer | null = null;
  carried = 0;
  cutStream: Stream | null = null;
  cutLeft = 0;
  cutPadding = 0;
  cutFlags = 0;
  /** Open header block (RFC 9113 section 4.3), 0 for none. */
  blockStream = 0;
  blockFlags = 0;
  blockSelfDependent = false;
  blockBytes: Buffer | null = null;
  blockLength = 0;
  continuations = 0;
  /** Frames received, for the fairness of turns. */
  frames = 0;
  /** Set by the layer above, within an event: nothing behind this frame is looked at before it goes on (see receive). */
  halted = false;
  haltedAt = 0;

  // Streams.
  /** Highest stream number the peer opened. */
  lastPeerStream = 0;
  /** Next stream number we open (client side). */
  nextStream = 1;
  /** The last stream we promised to process in a GOAWAY, MAX_STREAM_ID while none. */
  goawayLast = MAX_STREAM_ID;
  goawaySent = false;
  /** What the peer's GOAWAY said, -1 while none. */
  peerGoaway = -1;

  // Windows: granted by the peer, granted to the peer.
  sendWindow = DEFAULT_WINDOW;
  receiveWindow = DEFAULT_WINDOW;
  receiveCredit = 0;

  // The peer's SETTINGS.
  peerMaxStreams = MAX_STREAM_ID;
  peerStreamWindow = DEFAULT_WINDOW;
  peerMaxFrame = DEFAULT_FRAME_SIZE;
  peerMaxHeaderList = MAX_STREAM_ID;
  /** SETTINGS we sent that are not acknowledged. */
  settingsUnacked = 0;

  // Sending.
  dirty = false;
  ready: Stream | null = null;
  /** Flights begun; see Stream.headersFlight. */
  flights = 0;
  /** The fault that ended the connection, 0 while it lives. */
  fault = 0;
  dead = false;

  constructor(server: boolean, limits: EngineLimits, shared: EngineShared, events: ConnectionEvents) {
    this.server = server;
    this.limits = limits;
    this.shared = shared;
    this.events = events;
    this.output = new Output(shared.blocks);
    this.guard = new FloodGuard(limits);
    this.decoder = new HpackDecoder(shared.fields, DEFAULT_TABLE_SIZE, {
      maxFields: limits.maxFields,
      maxListSize: limits.maxHeaderListSize,
    });
    this.encoder = new HpackEncoder(limits.encoderTableSize);
  }

  /** There is output: ask for a flush at the end of the turn. */
  wake(): void {
    if (this.dirty) return;
    this.dirty = true;
    this.events.wake(this);
  }

  /** The peer broke the protocol beyond repair, or we give up on it: GOAWAY, then every stream ends. */
  fail(fault: number, code = FAULTS[fault]!.code, text = FAULTS[fault]!.text): void {
    if (this.dead) return;
    this.fault = fault;
    sendGoaway(this, Math.min(this.lastPeerStream, this.goawayLast), code, text);
    this.die();
    this.events.failed(this, fault);
  }

  /** The connection is over, cleanly or not: nothing is received or sent on any stream from here on. */
  die(): void {
    if (this.dead) return;
    this.dead = true;
    this.carry = null;
    this.blockBytes = null;
    this.cutStream = null;
    for (const stream of this.streams.all()) this.close(stream, Ended.UNKNOWN, 0);
  }

  /** Takes the stream out of the table and tells the layer above why. */
  close(stream: Stream, how: number, code: number): void {
    if (this.streams.get(stream.id) !== stream) return;
    stream.state = State.CLOSED;
    this.streams.remove(stream);
    this.ended.remember(stream.id, how);
    if (stream.readyNext !== null) this.unready(stream);
    const queue = stream.queue;
    if (queue !== null) {
      this.shared.budget.held -= queue.pinned;
      stream.dropped = queue.clear();
      stream.queue = null;
    }
    if (this.cutStream === stream) this.cutStream = null;
    if (how === Ended.COMPLETE) this.guard.finishedCall();
    this.events.closed(stream, how, code);
  }

  /** Puts a stream that has something to send, and a window for it, at the end of the ring. */
  makeReady(stream: Stream): void {
    if (stream.readyNext !== null) return;
    const head = this.ready;
    if (head === null) {
      this.ready = stream;
      stream.readyNext = stream.readyPrevious = stream;
      return;
    }
    const tail = head.readyPrevious!;
    tail.readyNext = stream;
    stream.readyPrevious = tail;
    stream.readyNext = head;
    head.readyPrevious = stream;
  }

  unready(stream: Stream): void {
    const next = stream.readyNext!;
    if (next === stream) this.ready = null;
    else {
      const previous = stream.readyPrevious!;
      previous.readyNext = next;
      next.readyPrevious = previous;
      if (this.ready === stream) this.ready = next;
    }
    stream.readyNext = stream.readyPrevious = null;
  }

  /** True when `fault` ends the connection. */
  static ends(fault: number): boolean {
    return fault !== Fault.NONE && FAULTS[fault]!.scope === 0;
  }
}
