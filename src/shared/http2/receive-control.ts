// The frames that steer a connection: SETTINGS, PING, GOAWAY, WINDOW_UPDATE, RST_STREAM, PRIORITY, and those of unknown
// type. Every one of them is cheap to send, so every one is counted by the flood guard. Governed by RFC 9113 sections
// 5.1 and 6.3 to 6.9. Runs rarely on a well-behaved connection.

import type { Connection } from "./connection.js";
import { Fault } from "./faults.js";
import { DEFAULT_FRAME_SIZE, Flag, FrameType, LARGEST_FRAME_SIZE, MAX_WINDOW, Setting } from "./protocol.js";
import { isIdle } from "./receive-fault.js";
import { finishDrain, sendPong, sendSettingsAck } from "./send-control.js";
import { pump, resumeStream } from "./send-data.js";
import { Ended } from "./stream.js";

/** @returns 0 or a fault; one of scope STREAM resets the frame's stream */
export function receiveControl(
  c: Connection,
  buf: Buffer,
  type: number,
  flags: number,
  id: number,
  start: number,
  end: number,
): number {
  switch (type) {
    case FrameType.WINDOW_UPDATE:
      return windowUpdate(c, buf, id, start, end);
    case FrameType.RST_STREAM:
      return resetStream(c, buf, id, start, end);
    case FrameType.SETTINGS:
      return settings(c, buf, flags, id, start, end);
    case FrameType.PING:
      return ping(c, buf, flags, id, start, end);
    case FrameType.GOAWAY:
      return goaway(c, buf, id, start, end);
    case FrameType.PRIORITY:
      return priority(c, buf, id, start, end);
    case FrameType.PUSH_PROMISE:
      return Fault.PUSH_REFUSED;
    default:
      return charge(c);
  }
}

function charge(c: Connection): number {
  // Callers' calls make a service send such frames: held against it, they would close what all callers share.
  return c.server && c.guard.controlFrame(c.shared.clock.now) ? Fault.FLOOD_CONTROL : Fault.NONE;
}

function windowUpdate(c: Connection, buf: Buffer, id: number, start: number, end: number): number {
  if (end - start !== 4) return Fault.WINDOW_UPDATE_SIZE;
  const increment = buf.readUInt32BE(start) & 0x7fffffff;
  if (id === 0) {
    if (increment === 0) return Fault.WINDOW_UPDATE_ZERO;
    c.sendWindow += increment;
    if (c.sendWindow > MAX_WINDOW) return Fault.WINDOW_OVERFLOW;
    if (c.ready !== null) pump(c);
    return charge(c);
  }
  const stream = c.streams.get(id);
  if (stream === null) return isIdle(c, id) ? Fault.STREAM_IDLE : charge(c);
  if (increment === 0) return Fault.WINDOW_UPDATE_ZERO_STREAM;
  stream.sendWindow += increment;
  stream.lastActive = c.shared.clock.now;
  if (stream.sendWindow > MAX_WINDOW) return Fault.WINDOW_OVERFLOW_STREAM;
  if (stream.queue !== null) resumeStream(c, stream);
  return charge(c);
}

function resetStream(c: Connection, buf: Buffer, id: number, start: number, end: number): number {
  if (id === 0) return Fault.RST_ON_ZERO;
  if (end - start !== 4) return Fault.RST_SIZE;
  const stream = c.streams.get(id);
  const now = c.shared.clock.now;
  if (stream === null) {
    if (isIdle(c, id)) return Fault.RST_IDLE;
    return charge(c);
  }
  const code = buf.readUInt32BE(start);
  const age = now - stream.born;
  c.close(stream, Ended.RESET_RECEIVED, code);
  // An upstream that resets is not attacking us: it gains nothing from it.
  return c.server && c.guard.reset(age, now) ? Fault.FLOOD_RESET : Fault.NONE;
}

function settings(c: Connection, buf: Buffer, flags: number, id: number, start: number, end: number): number {
  if (id !== 0) return Fault.SETTINGS_ON_STREAM;
  if ((flags & Flag.ACK) !== 0) {
    if (!c.settingsSeen) return Fault.FIRST_FRAME_NOT_SETTINGS;
    if (end !== start) return Fault.SETTINGS_ACK_SIZE;
    if (c.settingsUnacked === 0) return Fault.SETTINGS_ACK_UNASKED;
    c.settingsUnacked--;
    // RFC 7541 section 4.2: the peer's table obeys our limit from its acknowledgement on, not before.
    c.decoder.setTableLimit(c.limits.headerTableSize);
    return charge(c);
  }
  if ((end - start) % 6 !== 0) return Fault.SETTINGS_SIZE;
  c.settingsSeen = true;
  // Of several values for the streams' windows only the last one is walked through the streams.
  let window = -1;
  for (let at = start; at < end; at += 6) {
    const name = buf.readUInt16BE(at);
    const value = buf.readUInt32BE(at + 2);
    if (name === Setting.INITIAL_WINDOW_SIZE && value <= MAX_WINDOW) window = value;
    else {
      const fault = setting(c, name, value);
      if (fault !== Fault.NONE) return fault;
    }
  }
  const walks = window >= 0 && window !== c.peerStreamWindow;
  if (walks) {
    const fault = initialWindow(c, window);
    if (fault !== Fault.NONE) return fault;
  }
  sendSettingsAck(c);
  c.events.settings(c);
  const points = (end - start) / 6 + (walks ? c.streams.size / 16 : 0);
  if (c.server && points > 1 && c.guard.controlWork(points, c.shared.clock.now)) return Fault.FLOOD_CONTROL;
  return charge(c) || (c.output.waiting > c.limits.maxWaitingOutput * 2 ? Fault.FLOOD_OUTPUT : Fault.NONE);
}

function setting(c: Connection, name: number, value: number): number {
  switch (name) {
    case Setting.HEADER_TABLE_SIZE:
      c.encoder.setPeerTableSize(value);
      return Fault.NONE;
    case Setting.ENABLE_PUSH:
      return value > 1 || (value === 1 && !c.server) ? Fault.SETTINGS_PUSH : Fault.NONE;
    case Setting.MAX_CONCURRENT_STREAMS:
      c.peerMaxStreams = value;
      return Fault.NONE;
    case Setting.INITIAL_WINDOW_SIZE:
      return initialWindow(c, value);
    case Setting.MAX_FRAME_SIZE:
      if (value < DEFAULT_FRAME_SIZE || value > LARGEST_FRAME_SIZE) return Fault.SETTINGS_FRAME_SIZE;
      c.peerMaxFrame = value;
      return Fault.NONE;
    case Setting.MAX_HEADER_LIST_SIZE:
      c.peerMaxHeaderList = value;
      return Fault.NONE;
    default:
      return Fault.NONE;
  }
}

/** RFC 9113 section 6.9.2: the difference applies to every stream, and may make a window negative. */
function initialWindow(c: Connection, value: number): number {
  if (value > MAX_WINDOW) return Fault.SETTINGS_WINDOW;
  const difference = value - c.peerStreamWindow;
  c.peerStreamWindow = value;
  if (difference === 0) return Fault.NONE;
  for (const stream of c.streams.all()) {
    stream.sendWindow += difference;
    if (stream.sendWindow > MAX_WINDOW) return Fault.WINDOW_OVERFLOW;
    if (stream.queue !== null) resumeStream(c, stream);
  }
  return Fault.NONE;
}

function ping(c: Connection, buf: Buffer, flags: number, id: number, start: number, end: number): number {
  if (id !== 0) return Fault.PING_ON_STREAM;
  if (end - start !== 8) return Fault.PING_SIZE;
  if ((flags & Flag.ACK) !== 0) {
    finishDrain(c, buf, start);
    c.events.pong(c);
    return charge(c);
  }
  if (c.output.waiting > c.limits.maxWaitingOutput * 2) return Fault.FLOOD_OUTPUT;
  sendPong(c, buf, start);
  return charge(c);
}

function goaway(c: Connection, buf: Buffer, id: number, start: number, end: number): number {
  if (id !== 0) return Fault.GOAWAY_ON_STREAM;
  if (end - start < 8) return Fault.GOAWAY_SIZE;
  const last = buf.readUInt32BE(start) & 0x7fffffff;
  if (c.peerGoaway >= 0 && last > c.peerGoaway) return Fault.GOAWAY_RAISED;
  c.peerGoaway = last;
  c.events.goaway(c, last, buf.readUInt32BE(start + 4));
  return charge(c);
}

/** Priorities have no effect here; a stream that depends on itself is still refused (RFC 7540 section 5.3.1). */
function priority(c: Connection, buf: Buffer, id: number, start: number, end: number): number {
  if (id === 0) return Fault.PRIORITY_ON_ZERO;
  if (end - start !== 5) return Fault.PRIORITY_SIZE;
  if ((buf.readUInt32BE(start) & 0x7fffffff) === id) return Fault.PRIORITY_SELF;
  return charge(c);
}
