// The small frames we send about streams and the connection. Each is written into the output block; nothing here looks
// at windows. Governed by RFC 9113 sections 6.4, 6.5, 6.7, 6.8 and 6.9.

import type { Connection } from "./connection.js";
import type { Output } from "./output.js";
import {
  DEFAULT_WINDOW,
  ErrorCode,
  Flag,
  FRAME_HEADER,
  FrameType,
  MAX_STREAM_ID,
  PREFACE,
  Setting,
} from "./protocol.js";
import { Ended, type Stream } from "./stream.js";

/** Writes a frame header into room already reserved. */
export function frameHeader(o: Output, length: number, type: number, flags: number, id: number): void {
  const block = o.block;
  const at = o.at;
  block[at] = length >>> 16;
  block[at + 1] = length >>> 8;
  block[at + 2] = length;
  block[at + 3] = type;
  block[at + 4] = flags;
  block[at + 5] = id >>> 24;
  block[at + 6] = id >>> 16;
  block[at + 7] = id >>> 8;
  block[at + 8] = id;
  o.at = at + FRAME_HEADER;
}

function word(o: Output, value: number): void {
  o.at = o.block.writeUInt32BE(value >>> 0, o.at);
}

/** What each side says first: the client's preface, our SETTINGS, and the connection's window. */
export function sendOpening(c: Connection): void {
  const { limits, output } = c;
  const settings: [number, number][] = [
    [Setting.INITIAL_WINDOW_SIZE, limits.streamWindow],
    [Setting.MAX_HEADER_LIST_SIZE, limits.maxHeaderListSize],
    [Setting.HEADER_TABLE_SIZE, limits.headerTableSize],
  ];
  if (c.server) settings.push([Setting.MAX_CONCURRENT_STREAMS, limits.maxConcurrentStreams]);
  else settings.push([Setting.ENABLE_PUSH, 0]);
  if (limits.maxFrameSize !== 16_384) settings.push([Setting.MAX_FRAME_SIZE, limits.maxFrameSize]);
  output.reserve(PREFACE.length + 4 * FRAME_HEADER + settings.length * 6);
  if (!c.server) output.place(PREFACE, 0, PREFACE.length);
  frameHeader(output, settings.length * 6, FrameType.SETTINGS, 0, 0);
  for (const [name, value] of settings) {
    output.at = output.block.writeUInt16BE(name, output.at);
    word(output, value);
  }
  c.settingsUnacked++;
  const more = limits.connectionWindow - DEFAULT_WINDOW;
  if (more > 0) {
    sendWindowUpdate(c, 0, more);
    c.receiveWindow += more;
  }
  c.wake();
}

export function sendSettingsAck(c: Connection): void {
  c.output.reserve(FRAME_HEADER);
  frameHeader(c.output, 0, FrameType.SETTINGS, Flag.ACK, 0);
  c.wake();
}

export function sendWindowUpdate(c: Connection, id: number, increment: number): void {
  c.output.reserve(FRAME_HEADER + 4);
  frameHeader(c.output, 4, FrameType.WINDOW_UPDATE, 0, id);
  word(c.output, increment);
  c.wake();
}

export function sendReset(c: Connection, id: number, code: number): void {
  c.output.reserve(FRAME_HEADER + 4);
  frameHeader(c.output, 4, FrameType.RST_STREAM, 0, id);
  word(c.output, code);
  c.wake();
}

/** Our own PING; the first octet says what it is for. */
export const PingPurpose = { ALIVE: 1, DRAIN: 2, DRAIN_AGAIN: 3 } as const;

export function sendPing(c: Connection, purpose: number): void {
  const o = c.output;
  o.reserve(FRAME_HEADER + 8);
  frameHeader(o, 8, FrameType.PING, 0, 0);
  o.block.fill(0, o.at, o.at + 8);
  o.block[o.at] = purpose;
  o.at += 8;
  c.wake();
}

export function sendPong(c: Connection, buf: Buffer, start: number): void {
  c.output.reserve(FRAME_HEADER + 8);
  frameHeader(c.output, 8, FrameType.PING, Flag.ACK, 0);
  c.output.place(buf, start, start + 8);
  c.wake();
}

export function sendGoaway(c: Connection, last: number, code: number, text: string): void {
  const debug = Buffer.from(text, "latin1");
  c.output.reserve(FRAME_HEADER + 8 + debug.length);
  frameHeader(c.output, 8 + debug.length, FrameType.GOAWAY, 0, 0);
  word(c.output, last);
  word(c.output, code);
  c.output.place(debug, 0, debug.length);
  c.goawaySent = true;
  c.wake();
}

/**
 * RFC 9113 section 6.8: the first GOAWAY names no stream, so that streams under way to us are still served; the second
 * names the last one when nothing older can arrive. That is after two round trips of a PING, not one: many peers answer a
 * PING before they write the requests that they began earlier (nghttp2 does, and all that stand on it). Between the
 * rounds everything begun before the first GOAWAY was read has been written.
 */
export function startDrain(c: Connection): void {
  if (c.dead || c.goawaySent) return;
  sendGoaway(c, MAX_STREAM_ID, ErrorCode.NO_ERROR, "");
  sendPing(c, PingPurpose.DRAIN);
}

/** The answer to one of the drain's PINGs. */
export function finishDrain(c: Connection, buf: Buffer, start: number): void {
  if (!c.goawaySent || c.goawayLast !== MAX_STREAM_ID) return;
  if (buf[start] === PingPurpose.DRAIN) sendPing(c, PingPurpose.DRAIN_AGAIN);
  else if (buf[start] === PingPurpose.DRAIN_AGAIN) endAdmission(c);
}

/** The second GOAWAY: streams above the last one seen are no longer processed. */
export function endAdmission(c: Connection): void {
  if (c.dead || c.goawayLast !== MAX_STREAM_ID) return;
  c.goawayLast = c.lastPeerStream;
  sendGoaway(c, c.goawayLast, ErrorCode.NO_ERROR, "");
}

/** Ends a stream at once; what waits for it is dropped. */
export function resetStream(stream: Stream, code: number): void {
  const c = stream.connection;
  if (c.dead || c.streams.get(stream.id) !== stream) return;
  sendReset(c, stream.id, code);
  c.close(stream, Ended.RESET_SENT, code);
}
