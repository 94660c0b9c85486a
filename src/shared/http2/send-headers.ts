// Header blocks out: one HEADERS frame, or HEADERS and CONTINUATION where the peer's frames are smaller. Blocks are
// written at once, in the order they were encoded, because encoding changes the table both sides share (RFC 9113
// section 4.3). Runs two or three times per call.

import type { Connection } from "./connection.js";
import { OUTPUT_BLOCK } from "./output.js";
import { Flag, FRAME_HEADER, FrameType } from "./protocol.js";
import { frameHeader } from "./send-control.js";
import { Ended, type Stream } from "./stream.js";
import { Event, nextState, REFUSED, State } from "./stream-state.js";

/** Sends `block[0, length)` as the stream's next header block. */
export function sendHeaderBlock(stream: Stream, block: Uint8Array, length: number, ends: boolean): void {
  const c = stream.connection;
  const o = c.output;
  const limit = Math.min(c.peerMaxFrame, OUTPUT_BLOCK - FRAME_HEADER);
  const endFlag = ends ? Flag.END_STREAM : 0;
  stream.headersFlight = c.flights;
  if (length <= limit) {
    o.reserve(FRAME_HEADER + length);
    frameHeader(o, length, FrameType.HEADERS, Flag.END_HEADERS | endFlag, stream.id);
    o.place(block, 0, length);
  } else inPieces(c, stream.id, block, length, limit, endFlag);
  c.wake();
  stream.lastActive = c.shared.clock.now;
  if (ends) endLocal(c, stream);
}

let joined: Uint8Array = new Uint8Array(4_096);

/** As `sendHeaderBlock` for a block of two parts, the first `length` octets of `first` and all of `second`, which must not depend on the table. */
export function sendHeaderParts(
  stream: Stream,
  first: Uint8Array,
  length: number,
  second: Uint8Array,
  ends: boolean,
): void {
  const c = stream.connection;
  const o = c.output;
  const all = length + second.length;
  if (all > Math.min(c.peerMaxFrame, OUTPUT_BLOCK - FRAME_HEADER)) {
    if (all > joined.length) joined = new Uint8Array(all * 2);
    joined.set(first.subarray(0, length));
    joined.set(second, length);
    return sendHeaderBlock(stream, joined, all, ends);
  }
  stream.headersFlight = c.flights;
  o.reserve(FRAME_HEADER + all);
  frameHeader(o, all, FrameType.HEADERS, Flag.END_HEADERS | (ends ? Flag.END_STREAM : 0), stream.id);
  o.place(first, 0, length);
  o.place(second, 0, second.length);
  c.wake();
  stream.lastActive = c.shared.clock.now;
  if (ends) endLocal(c, stream);
}

function inPieces(c: Connection, id: number, block: Uint8Array, length: number, limit: number, endFlag: number): void {
  const o = c.output;
  for (let at = 0; at < length; at += limit) {
    const stop = Math.min(length, at + limit);
    const flags = (stop === length ? Flag.END_HEADERS : 0) | (at === 0 ? endFlag : 0);
    o.reserve(FRAME_HEADER + stop - at);
    frameHeader(o, stop - at, at === 0 ? FrameType.HEADERS : FrameType.CONTINUATION, flags, id);
    o.place(block, at, stop);
  }
}

/** Our half of the stream has ended. */
export function endLocal(c: Connection, stream: Stream): void {
  const next = nextState(stream.state, Event.SEND_END);
  if (next === State.CLOSED) c.close(stream, Ended.COMPLETE, 0);
  else if (next !== REFUSED) stream.state = next;
}
