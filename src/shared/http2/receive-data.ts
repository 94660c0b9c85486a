// DATA frames: both windows, padding, content-length, and on to the stream's owner. A frame that is cut by the end of a
// read is passed on piece by piece, each piece as DATA of its own. Governed by RFC 9113 sections 5.2, 6.1 and 8.1.1.
// Runs once per DATA frame: the most frequent work of all.

import type { ReadBlock } from "../base/read-block.js";
import type { Connection } from "./connection.js";
import { Fault } from "./faults.js";
import { Flag } from "./protocol.js";
import { lateFrame, streamFault } from "./receive-fault.js";
import { sendWindowUpdate } from "./send-control.js";
import { giveCredit } from "./send-data.js";
import { Ended, type Stream } from "./stream.js";
import { Event, nextState, REFUSED, State } from "./stream-state.js";

/** Fewer octets cannot hold a gRPC message prefix: a peer that sends many such frames is not sending messages. */
export const TINY = 5;

/** A whole DATA frame. @returns 0 or a fault of the connection */
export function receiveData(
  c: Connection,
  block: ReadBlock,
  head: number,
  start: number,
  end: number,
  flags: number,
  id: number,
): number {
  const length = end - start;
  const fault = chargeConnection(c, id, length);
  if (fault !== Fault.NONE) return fault;
  let padding = 0;
  if ((flags & Flag.PADDED) !== 0) {
    if (length === 0) return Fault.PADDING;
    padding = block.buf[start]! + 1;
    if (padding > length) return Fault.PADDING;
  }
  const stream = c.streams.get(id);
  if (stream === null) return lateFrame(c, id);
  const broken = chargeStream(stream, length, length - padding, flags);
  if (broken !== Fault.NONE) return streamFault(c, id, stream, broken);
  if (length - padding < TINY && (flags & Flag.END_STREAM) === 0) {
    if (c.server && c.guard.tinyData(c.shared.clock.now)) return Fault.FLOOD_EMPTY_DATA;
    if (length === padding) {
      giveCredit(stream, length, false);
      return Fault.NONE;
    }
  } else c.guard.usefulData();
  deliver(c, stream, block, head, start, end, flags & (Flag.END_STREAM | Flag.PADDED));
  return Fault.NONE;
}

/** The connection's window, charged for every DATA frame whatever becomes of it (RFC 9113 section 5.1). */
function chargeConnection(c: Connection, id: number, length: number): number {
  if (id === 0) return Fault.DATA_ON_ZERO;
  c.receiveWindow -= length;
  if (c.receiveWindow < 0) return Fault.FLOW_CONTROL;
  c.receiveCredit += length;
  if (c.receiveCredit * 2 >= c.limits.connectionWindow) {
    sendWindowUpdate(c, 0, c.receiveCredit);
    c.receiveWindow += c.receiveCredit;
    c.receiveCredit = 0;
  }
  return Fault.NONE;
}

/** The stream's window and rules, for a frame of `length` octets with `data` octets that are not padding. */
function chargeStream(stream: Stream, length: number, data: number, flags: number): number {
  if (nextState(stream.state, Event.RECEIVE_DATA) === REFUSED) return Fault.STREAM_HALF_CLOSED;
  if (!stream.headed) return Fault.DATA_BEFORE_HEADERS;
  stream.receiveWindow -= length;
  if (stream.receiveWindow < 0) return Fault.FLOW_CONTROL_STREAM;
  stream.received += data;
  if (stream.expected >= 0) {
    if (stream.received > stream.expected) return Fault.CONTENT_LENGTH;
    if ((flags & Flag.END_STREAM) !== 0 && stream.received !== stream.expected) return Fault.CONTENT_LENGTH;
  }
  return Fault.NONE;
}

function deliver(
  c: Connection,
  stream: Stream,
  block: ReadBlock,
  head: number,
  start: number,
  end: number,
  flags: number,
): void {
  stream.lastActive = c.shared.clock.now;
  if ((flags & Flag.END_STREAM) === 0) {
    c.events.data(stream, block, head, start, end, flags);
    return;
  }
  stream.state = nextState(stream.state, Event.RECEIVE_END);
  c.events.data(stream, block, head, start, end, flags);
  if (stream.state === State.CLOSED) c.close(stream, Ended.COMPLETE, 0);
}

/** The beginning of a DATA frame of `length` payload octets of which `[start, end)` is here. @returns as receiveData */
export function beginCutData(
  c: Connection,
  block: ReadBlock,
  head: number,
  start: number,
  end: number,
  length: number,
): number {
  const buf = block.buf;
  const flags = buf[head + 4]!;
  const id = ((buf[head + 5]! & 0x7f) << 24) | (buf[head + 6]! << 16) | (buf[head + 7]! << 8) | buf[head + 8]!;
  c.frames++;
  const fault = chargeConnection(c, id, length);
  if (fault !== Fault.NONE) return fault;
  c.cutLeft = length;
  c.cutFlags = flags & (Flag.END_STREAM | Flag.PADDED);
  c.cutPadding = (flags & Flag.PADDED) === 0 ? 0 : -1;
  c.cutStream = null;
  const stream = c.streams.get(id);
  if (stream === null) {
    const late = lateFrame(c, id);
    if (late !== Fault.NONE) return late;
  } else {
    // content-length is checked where the padding is known: when the frame is complete.
    const broken = chargeStream(stream, length, 0, 0);
    if (broken === Fault.NONE) c.cutStream = stream;
    else {
      const flood = streamFault(c, id, stream, broken);
      if (flood !== Fault.NONE) return flood;
    }
  }
  continueCutData(c, block, start, end);
  return Fault.NONE;
}

/** More of a cut frame. @returns where the octets after it begin */
export function continueCutData(c: Connection, block: ReadBlock, start: number, end: number): number {
  const stop = Math.min(end, start + c.cutLeft);
  let at = start;
  if (at === stop) return at;
  c.cutLeft -= stop - at;
  if (c.cutPadding < 0) {
    c.cutPadding = block.buf[at++]!;
    if (c.cutPadding > c.cutLeft + stop - at) {
      c.fail(Fault.PADDING);
      return end;
    }
    if (c.cutStream !== null) giveCredit(c.cutStream, c.cutPadding + 1, false);
  }
  const stream = c.cutStream;
  if (stream === null) return stop;
  const done = c.cutLeft <= c.cutPadding;
  const dataEnd = done ? Math.max(at, stop - (c.cutPadding - c.cutLeft)) : stop;
  passPiece(c, stream, block, at, dataEnd, done);
  return stop;
}

function passPiece(c: Connection, stream: Stream, block: ReadBlock, at: number, dataEnd: number, done: boolean): void {
  const ends = done && (c.cutFlags & Flag.END_STREAM) !== 0;
  if (done) c.cutStream = null;
  stream.received += dataEnd - at;
  const { received, expected } = stream;
  if (expected >= 0 && (received > expected || (ends && received !== expected))) {
    const flood = streamFault(c, stream.id, stream, Fault.CONTENT_LENGTH);
    if (flood !== Fault.NONE) c.fail(flood);
    return;
  }
  if (dataEnd > at || ends) deliver(c, stream, block, -1, at, dataEnd, ends ? Flag.END_STREAM : 0);
  if (dataEnd - at < TINY && !ends && c.server && c.guard.tinyData(c.shared.clock.now)) c.fail(Fault.FLOOD_EMPTY_DATA);
}
