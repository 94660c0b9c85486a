// Octets → frames: finds frame boundaries in what a socket delivered and hands each frame on. A frame that is cut by
// the end of a read is kept (DATA is passed on in pieces instead, so that nothing large waits). Governed by RFC 9113
// sections 3.4, 4.1, 4.2 and 6. Runs once per read; the loop once per frame.

import { ReadBlock } from "../base/read-block.js";
import type { Connection } from "./connection.js";
import { FAULTS, Fault, Scope } from "./faults.js";
import { FRAME_HEADER, FrameType, PREFACE } from "./protocol.js";
import { receiveControl } from "./receive-control.js";
import { beginCutData, continueCutData, receiveData } from "./receive-data.js";
import { streamFault } from "./receive-fault.js";
import { receiveContinuation, receiveHeaders } from "./receive-headers.js";
import { mergeRun, startsRun } from "./receive-run.js";

/**
 * Takes `block.buf[start, end)`. Payloads of DATA may stay referenced, by holds on the block, after the return.
 * @returns where it stopped: `end`, or behind the frame that made the layer above halt the connection; the rest is to be
 * given again, before all else that comes, once it goes on
 */
export function receive(c: Connection, block: ReadBlock, start: number, end: number): number {
  if (c.dead) return end;
  const fault = consume(c, block, start, end);
  if (fault !== Fault.NONE) c.fail(fault);
  return c.halted && !c.dead ? c.haltedAt : end;
}

function consume(c: Connection, block: ReadBlock, start: number, end: number): number {
  const buf = block.buf;
  let at = start;
  if (c.prefaceAt < PREFACE.length && c.server) {
    while (at < end && c.prefaceAt < PREFACE.length) {
      if (buf[at++] !== PREFACE[c.prefaceAt++]) return Fault.BAD_PREFACE;
    }
  }
  if (c.cutLeft > 0) {
    at = continueCutData(c, block, at, end);
    if (c.dead) return Fault.NONE;
  }
  if (c.carried > 0 && at < end) {
    at = fillCarry(c, block, at, end);
    if (at < 0) return -at;
    if (c.dead) return Fault.NONE;
  }
  while (end - at >= FRAME_HEADER && !c.halted) {
    const length = (buf[at]! << 16) | (buf[at + 1]! << 8) | buf[at + 2]!;
    if (length > c.limits.maxFrameSize) return tooLarge(c, buf[at + 3]!);
    const type = buf[at + 3]!;
    const payload = at + FRAME_HEADER;
    let fault: number;
    if (type === FrameType.DATA && payload + length + FRAME_HEADER <= end && startsRun(c, buf, at, length)) {
      const next = mergeRun(c, buf, at, end);
      if (next < 0) return Fault.FLOOD_EMPTY_DATA;
      const merged = (buf[at]! << 16) | (buf[at + 1]! << 8) | buf[at + 2]!;
      fault = frame(c, block, at, payload, payload + merged);
      at = next;
    } else if (payload + length <= end) {
      fault = frame(c, block, at, payload, payload + length);
      at = payload + length;
    } else if (type === FrameType.DATA && c.blockStream === 0 && c.settingsSeen) {
      fault = beginCutData(c, block, at, payload, end, length);
      at = end;
    } else break;
    if (fault !== Fault.NONE) {
      if (FAULTS[fault]!.scope === Scope.CONNECTION) return fault;
    }
    if (c.dead) return Fault.NONE;
  }
  if (c.halted) c.haltedAt = at;
  else if (at < end) stash(c, buf, at, end);
  return Fault.NONE;
}

/** RFC 9113 section 4.2: too large a frame that could change the connection's state is a connection error; so is ours. */
function tooLarge(c: Connection, type: number): number {
  return !c.settingsSeen && type !== FrameType.SETTINGS ? Fault.FIRST_FRAME_NOT_SETTINGS : Fault.FRAME_TOO_LARGE;
}

/** A whole frame; its header stands at `head` of the block, directly before the payload. */
function frame(c: Connection, block: ReadBlock, head: number, start: number, end: number): number {
  const buf = block.buf;
  const type = buf[head + 3]!;
  const flags = buf[head + 4]!;
  const id = ((buf[head + 5]! & 0x7f) << 24) | (buf[head + 6]! << 16) | (buf[head + 7]! << 8) | buf[head + 8]!;
  c.frames++;
  if (!c.settingsSeen && type !== FrameType.SETTINGS) return Fault.FIRST_FRAME_NOT_SETTINGS;
  if (c.blockStream !== 0 && (type !== FrameType.CONTINUATION || id !== c.blockStream)) {
    return Fault.CONTINUATION_EXPECTED;
  }
  if (type === FrameType.DATA) return receiveData(c, block, head, start, end, flags, id);
  if (type === FrameType.HEADERS) return receiveHeaders(c, buf, start, end, flags, id);
  if (type === FrameType.CONTINUATION) return receiveContinuation(c, buf, start, end, flags, id);
  const fault = receiveControl(c, buf, type, flags, id, start, end);
  if (fault !== Fault.NONE && FAULTS[fault]!.scope === Scope.STREAM)
    return streamFault(c, id, c.streams.get(id), fault);
  return fault;
}

/** Keeps the beginning of a frame (not DATA, or less than its header) until the rest comes. */
function stash(c: Connection, buf: Buffer, at: number, end: number): void {
  const size = end - at >= FRAME_HEADER ? FRAME_HEADER + ((buf[at]! << 16) | (buf[at + 1]! << 8) | buf[at + 2]!) : 0;
  c.carry = Buffer.allocUnsafeSlow(Math.max(size, FRAME_HEADER));
  buf.copy(c.carry, 0, at, end);
  c.carried = end - at;
}

/** Completes a kept frame. @returns where parsing goes on, or the negated fault */
function fillCarry(c: Connection, block: ReadBlock, start: number, end: number): number {
  const buf = block.buf;
  let at = start;
  let carry = c.carry!;
  while (c.carried < FRAME_HEADER && at < end) carry[c.carried++] = buf[at++]!;
  if (c.carried < FRAME_HEADER) return at;
  const length = (carry[0]! << 16) | (carry[1]! << 8) | carry[2]!;
  if (length > c.limits.maxFrameSize) return -tooLarge(c, carry[3]!);
  if (carry[3] === FrameType.DATA && c.blockStream === 0 && c.settingsSeen) {
    return carriedData(c, block, at, end, length);
  }
  if (carry.length < FRAME_HEADER + length) {
    carry = Buffer.allocUnsafeSlow(FRAME_HEADER + length);
    c.carry!.copy(carry, 0, 0, c.carried);
    c.carry = carry;
  }
  const n = Math.min(FRAME_HEADER + length - c.carried, end - at);
  buf.copy(carry, c.carried, at, at + n);
  c.carried += n;
  at += n;
  if (c.carried < FRAME_HEADER + length) return at;
  c.carry = null;
  c.carried = 0;
  const fault = frame(c, unpooled(carry), 0, FRAME_HEADER, FRAME_HEADER + length);
  if (c.dead) return end;
  return fault !== Fault.NONE && FAULTS[fault]!.scope === Scope.CONNECTION ? -fault : at;
}

/** A DATA frame whose header was cut: the payload is passed on from where it stands. */
function carriedData(c: Connection, block: ReadBlock, at: number, end: number, length: number): number {
  const header = unpooled(c.carry!);
  c.carry = null;
  c.carried = 0;
  let fault: number;
  if (length === 0) fault = frame(c, header, 0, FRAME_HEADER, FRAME_HEADER);
  else {
    fault = beginCutData(c, header, 0, FRAME_HEADER, FRAME_HEADER, length);
    if (fault === Fault.NONE && !c.dead) return continueCutData(c, block, at, end);
  }
  if (c.dead) return end;
  return fault !== Fault.NONE && FAULTS[fault]!.scope === Scope.CONNECTION ? -fault : at;
}

function unpooled(buf: Buffer): ReadBlock {
  return new ReadBlock(buf, null);
}
