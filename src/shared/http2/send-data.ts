// DATA out. What fits the windows and the socket leaves at once, in place: the 9 octets before the payload become the
// new frame's header and the same memory is written. Small frames are cheaper copied. What does not fit waits in its
// stream's queue, and streams that have both data and a window take turns, a frame each (engine fairness). Credit goes
// back to the sender when its octets leave here. Governed by RFC 9113 sections 5.2, 6.1 and 6.9. Runs per DATA frame.

import type { ReadBlock } from "../base/read-block.js";
import type { Connection } from "./connection.js";
import { Flag, FRAME_HEADER, FrameType } from "./protocol.js";
import { frameHeader, resetStream, sendWindowUpdate } from "./send-control.js";
import { endLocal } from "./send-headers.js";
import { SendQueue } from "./send-queue.js";
import type { Stream } from "./stream.js";
import { Event, nextState, REFUSED } from "./stream-state.js";

/** Payloads up to this many octets are copied: a slice of their own costs more (bench/micro/output). */
export const COPY_BELOW = 1_024;
/** A window grows to this at the first sign that its receiver keeps up, octets. */
const AMPLE_WINDOW = 262_144;
/** A round trip that is worth a larger window, ms. */
const MOMENT = 2;

/**
 * Sends what another connection received as DATA, see ConnectionEvents.data for the arguments. `from` is the stream it
 * came on, which gets its credit back; null for octets nobody waits for credit on.
 */
export function sendData(
  stream: Stream,
  from: Stream | null,
  block: ReadBlock,
  head: number,
  start: number,
  end: number,
  flags: number,
): void {
  const c = stream.connection;
  const length = end - start;
  const o = c.output;
  if (
    stream.queue !== null ||
    (length > 0 &&
      (length > stream.sendWindow ||
        length > c.sendWindow ||
        length > c.peerMaxFrame ||
        c.ready !== null ||
        o.waiting > c.limits.maxWaitingOutput))
  ) {
    wait(c, stream, from, block, start, end, flags);
    return;
  }
  stream.sendWindow -= length;
  c.sendWindow -= length;
  c.guard.sentData(length);
  if (length < COPY_BELOW || head < 0) {
    o.reserve(FRAME_HEADER + (length < COPY_BELOW ? length : 0));
    frameHeader(o, length, FrameType.DATA, flags, stream.id);
    if (length < COPY_BELOW) o.place(block.buf, start, end);
    else o.slice(block, start, end);
  } else {
    const buf = block.buf;
    const id = stream.id;
    buf[head + 4] = flags;
    buf[head + 5] = id >>> 24;
    buf[head + 6] = id >>> 16;
    buf[head + 7] = id >>> 8;
    buf[head + 8] = id;
    o.slice(block, head, end);
  }
  c.wake();
  stream.lastActive = c.shared.clock.now;
  if (from !== null) giveCredit(from, length, true);
  if ((flags & Flag.END_STREAM) !== 0) endLocal(c, stream);
}

/** Half of the window has left: the sender may send that much again, and more if its receiver kept up. */
export function giveCredit(from: Stream, length: number, keptUp: boolean): void {
  from.credit += length;
  if (from.credit * 2 < from.windowTarget) return;
  if (nextState(from.state, Event.RECEIVE_DATA) === REFUSED) return;
  const c = from.connection;
  const now = c.shared.clock.now;
  let increment = from.credit;
  if (keptUp && growable(from, now) && c.shared.budget.mayGrow) {
    const target = Math.min(Math.max(from.windowTarget * 2, AMPLE_WINDOW), c.limits.maxStreamWindow);
    increment += target - from.windowTarget;
    from.windowTarget = target;
  }
  from.credit = 0;
  from.grantedAt = now;
  from.receiveWindow += increment;
  sendWindowUpdate(c, from.id, increment);
}

/**
 * A sender that uses up half a window within a moment is not held back by it: a larger one would only fill buffers, in
 * which the small calls of the connection then stand behind it.
 */
function growable(from: Stream, now: number): boolean {
  if (from.windowTarget >= from.connection.limits.maxStreamWindow) return false;
  return from.windowTarget < AMPLE_WINDOW || now - from.grantedAt >= MOMENT;
}

function wait(
  c: Connection,
  stream: Stream,
  from: Stream | null,
  block: ReadBlock,
  start: number,
  end: number,
  flags: number,
): void {
  let first = start;
  let last = end;
  if ((flags & Flag.PADDED) !== 0) {
    last -= block.buf[first]!;
    first++;
    if (from !== null) giveCredit(from, end - start - (last - first), false);
  }
  if (stream.queue === null) stream.queue = new SendQueue(c.shared.copies);
  const queue = stream.queue;
  const budget = c.shared.budget;
  budget.held -= queue.pinned;
  if (last > first) queue.push(block, first, last);
  budget.held += queue.pinned;
  if ((flags & Flag.END_STREAM) !== 0) queue.endAfter = true;
  resumeStream(c, stream);
}

/** The stream may be able to go on: a window opened or something was queued. */
export function resumeStream(c: Connection, stream: Stream): void {
  const queue = stream.queue;
  if (queue === null) return;
  if (queue.bytes > 0 && stream.sendWindow <= 0) {
    if (stream.readyNext !== null) c.unready(stream);
    return;
  }
  c.makeReady(stream);
  pump(c);
}

/** Lets streams that have both data and a window send, a frame each in turn, while the socket keeps up. */
export function pump(c: Connection): void {
  while (c.ready !== null && c.output.waiting <= c.limits.maxWaitingOutput) {
    const stream = c.ready;
    const queue = stream.queue!;
    if (queue.bytes > 0) {
      // A window may have become negative meanwhile (RFC 9113 section 6.9.2).
      if (stream.sendWindow <= 0) {
        c.unready(stream);
        continue;
      }
      if (c.sendWindow <= 0) return;
      sendQueued(c, stream, queue);
    }
    if (c.dead) return;
    if (stream.queue !== queue) continue;
    if (queue.bytes === 0) finishQueue(c, stream, queue);
    else if (stream.sendWindow <= 0) c.unready(stream);
    else c.ready = stream.readyNext;
  }
}

function sendQueued(c: Connection, stream: Stream, queue: SendQueue): void {
  const o = c.output;
  const piece = queue.first();
  const n = Math.min(piece.end - piece.start, stream.sendWindow, c.sendWindow, c.peerMaxFrame, c.limits.maxFrameSize);
  const ends = queue.endAfter && n === queue.bytes;
  o.reserve(FRAME_HEADER);
  frameHeader(o, n, FrameType.DATA, ends ? Flag.END_STREAM : 0, stream.id);
  if (piece.block !== null && n >= COPY_BELOW) o.slice(piece.block, piece.start, piece.start + n);
  else o.copy(piece.buf, piece.start, piece.start + n);
  stream.sendWindow -= n;
  c.sendWindow -= n;
  c.guard.sentData(n);
  c.shared.budget.held -= queue.pinned;
  queue.advance(n);
  c.shared.budget.held += queue.pinned;
  c.wake();
  stream.lastActive = c.shared.clock.now;
  if (stream.peer !== null) giveCredit(stream.peer, n, queue.bytes === 0);
  if (ends) {
    queue.endAfter = false;
    const { resetAfter } = queue;
    dropQueue(c, stream);
    endLocal(c, stream);
    if (resetAfter >= 0) resetStream(stream, resetAfter);
  }
}

/** The last octet has left: now the trailers, the empty END_STREAM or the reset that were waiting for it. */
function finishQueue(c: Connection, stream: Stream, queue: SendQueue): void {
  const { trailers, endAfter, resetAfter } = queue;
  dropQueue(c, stream);
  if (trailers !== null) trailers();
  else if (endAfter) sendEnd(stream);
  if (resetAfter >= 0) resetStream(stream, resetAfter);
}

function dropQueue(c: Connection, stream: Stream): void {
  if (stream.readyNext !== null) c.unready(stream);
  stream.queue = null;
}

/** An empty DATA frame with END_STREAM. */
export function sendEnd(stream: Stream): void {
  const c = stream.connection;
  if (stream.queue !== null) {
    stream.queue.endAfter = true;
    return;
  }
  c.output.reserve(FRAME_HEADER);
  frameHeader(c.output, 0, FrameType.DATA, Flag.END_STREAM, stream.id);
  c.wake();
  endLocal(c, stream);
}

/** RST_STREAM after everything that waits for the stream; at once when nothing does. */
export function resetAfterQueue(stream: Stream, code: number): void {
  if (stream.queue === null) resetStream(stream, code);
  else stream.queue.resetAfter = code;
}
