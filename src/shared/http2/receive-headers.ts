// HEADERS and CONTINUATION: puts a header block together, decodes it (or recognises it), checks it against the rules of
// HTTP and opens or ends the stream. A block is always decoded, whatever becomes of its stream, so that the table stays
// in step. Governed by RFC 9113 sections 4.3, 5.1, 6.2, 6.10, 8.1 to 8.3. Runs two or three times per call.

import type { Connection } from "./connection.js";
import { Fault } from "./faults.js";
import { BlockKind, type HeaderMemo, MemoTable } from "./header-memo.js";
import { checkRequest, checkResponse, checkTrailers, HeaderFault } from "./header-rules.js";
import type { FieldList } from "./hpack/field-list.js";
import { Flag } from "./protocol.js";
import { lateFrame, streamFault } from "./receive-fault.js";
import { Ended, Stream } from "./stream.js";
import { Event, nextState, REFUSED, State } from "./stream-state.js";

const MEMO_SLOTS = 16;

/** @returns 0 or a fault of the connection */
export function receiveHeaders(
  c: Connection,
  buf: Buffer,
  payload: number,
  payloadEnd: number,
  flags: number,
  id: number,
): number {
  if (id === 0) return Fault.HEADERS_ON_ZERO;
  let start = payload;
  let end = payloadEnd;
  let selfDependent = false;
  if ((flags & (Flag.PADDED | Flag.PRIORITY)) !== 0) {
    let padding = 0;
    if ((flags & Flag.PADDED) !== 0) {
      if (start === end) return Fault.HEADERS_TOO_SHORT;
      padding = buf[start++]!;
    }
    if ((flags & Flag.PRIORITY) !== 0) {
      if (end - start < 5) return Fault.HEADERS_TOO_SHORT;
      selfDependent = (buf.readUInt32BE(start) & 0x7fffffff) === id;
      start += 5;
    }
    if (padding > end - start) return Fault.PADDING;
    end -= padding;
  }
  if ((flags & Flag.END_HEADERS) !== 0) return complete(c, buf, start, end, flags, id, selfDependent);
  c.blockStream = id;
  c.blockFlags = flags;
  c.blockSelfDependent = selfDependent;
  c.continuations = 0;
  c.blockLength = 0;
  c.blockBytes = Buffer.allocUnsafeSlow(Math.max(1_024, (end - start) * 2));
  return gather(c, buf, start, end);
}

export function receiveContinuation(
  c: Connection,
  buf: Buffer,
  start: number,
  end: number,
  flags: number,
  id: number,
): number {
  if (c.blockStream === 0) return Fault.CONTINUATION_UNEXPECTED;
  if (++c.continuations > c.limits.maxContinuations) return Fault.FLOOD_CONTINUATION;
  const fault = gather(c, buf, start, end);
  if (fault !== Fault.NONE || (flags & Flag.END_HEADERS) === 0) return fault;
  const bytes = c.blockBytes!;
  c.blockBytes = null;
  c.blockStream = 0;
  return complete(c, bytes, 0, c.blockLength, c.blockFlags, id, c.blockSelfDependent);
}

/** Octets on the wire never need to exceed the list they decode to by much: the list's bound bounds the block. */
function gather(c: Connection, buf: Buffer, start: number, end: number): number {
  const length = c.blockLength + end - start;
  if (length > c.limits.maxHeaderListSize + c.limits.maxFrameSize) return Fault.FLOOD_CONTINUATION;
  if (length > c.blockBytes!.length) {
    const larger = Buffer.allocUnsafeSlow(length * 2);
    c.blockBytes!.copy(larger, 0, 0, c.blockLength);
    c.blockBytes = larger;
  }
  buf.copy(c.blockBytes!, c.blockLength, start, end);
  c.blockLength = length;
  return Fault.NONE;
}

function isMissing(flaw: number): boolean {
  const { METHOD_MISSING, SCHEME_MISSING, PATH_MISSING, STATUS_MISSING } = HeaderFault;
  return flaw === METHOD_MISSING || flaw === SCHEME_MISSING || flaw === PATH_MISSING || flaw === STATUS_MISSING;
}

let decodedList: FieldList;
let decodedMemo: HeaderMemo | null = null;
let decodedFlaw = 0;

/** Leaves the block's list, memo and flaw in the variables above. @returns false when it cannot be decoded */
function decode(c: Connection, buf: Buffer, start: number, end: number, kind: number): boolean {
  const decoder = c.decoder;
  const stateless = decoder.entries === 0;
  let memos = c.shared.statelessMemo;
  if (!stateless) {
    c.memo ??= new MemoTable(MEMO_SLOTS);
    memos = c.memo;
  }
  const generation = stateless ? 0 : decoder.generation;
  const memo = memos.find(buf, start, end, generation, kind);
  if (memo !== null) {
    decodedList = memo.list;
    decodedMemo = memo;
    decodedFlaw = memo.flaw;
    return true;
  }
  const list = c.shared.scratch;
  const before = decoder.generation;
  list.reset();
  if (decoder.decode(buf, start, end, list) !== 0) return false;
  const flaw =
    kind === BlockKind.REQUEST
      ? checkRequest(list)
      : kind === BlockKind.RESPONSE
        ? checkResponse(list)
        : checkTrailers(list);
  // A list over its bound is cut short: what is missing may be in the rest, all else is as certain as in a whole one.
  decodedFlaw = list.overflow && isMissing(flaw) ? 0 : flaw;
  decodedList = list;
  decodedMemo = null;
  if (decoder.generation === before) {
    decodedMemo = memos.remember(buf, start, end, generation, kind, list, decodedFlaw);
    if (decodedMemo !== null) decodedList = decodedMemo.list;
  }
  return true;
}

function complete(
  c: Connection,
  buf: Buffer,
  start: number,
  end: number,
  flags: number,
  id: number,
  selfDependent: boolean,
): number {
  const stream = c.streams.get(id);
  const kind = stream?.headed === true ? BlockKind.TRAILERS : c.server ? BlockKind.REQUEST : BlockKind.RESPONSE;
  if (!decode(c, buf, start, end, kind)) return Fault.COMPRESSION;
  const ends = (flags & Flag.END_STREAM) !== 0;
  if (stream === null) {
    if (!c.server) return lateFrame(c, id);
    return openedByPeer(c, id, ends, selfDependent);
  }
  stream.lastActive = c.shared.clock.now;
  let fault: number;
  if (selfDependent) fault = Fault.PRIORITY_SELF;
  else if (nextState(stream.state, Event.RECEIVE_HEADERS) === REFUSED) fault = Fault.STREAM_HALF_CLOSED;
  else if (stream.headed) fault = trailers(c, stream, ends);
  else fault = response(c, stream, ends);
  return fault === Fault.NONE ? Fault.NONE : streamFault(c, id, stream, fault);
}

function openedByPeer(c: Connection, id: number, ends: boolean, selfDependent: boolean): number {
  if ((id & 1) === 0) return Fault.STREAM_ID_PARITY;
  if (id <= c.lastPeerStream) {
    return c.ended.recall(id) === Ended.UNKNOWN ? Fault.STREAM_ID_ORDER : lateFrame(c, id);
  }
  c.lastPeerStream = id;
  if (id > c.goawayLast) {
    // RFC 9113 section 6.8: streams above the last one we named are not processed; the peer opens them elsewhere.
    c.ended.remember(id, Ended.RESET_SENT);
    return Fault.NONE;
  }
  // Answers that end their streams at once are bounded by nothing else while the peer does not read them.
  const { waiting } = c.output;
  if (waiting > c.limits.maxWaitingOutput * 8) return Fault.FLOOD_OUTPUT;
  if (c.streams.size >= c.limits.maxConcurrentStreams || waiting > c.limits.maxWaitingOutput * 2)
    return streamFault(c, id, null, Fault.TOO_MANY_STREAMS);
  const now = c.shared.clock.now;
  const stream = new Stream(id, c, c.peerStreamWindow, c.limits.streamWindow, now);
  const list = decodedList;
  stream.headed = true;
  c.streams.add(stream);
  let fault: number = Fault.NONE;
  if (selfDependent) fault = Fault.PRIORITY_SELF;
  else if (decodedFlaw !== 0) fault = Fault.MALFORMED;
  else if (ends && list.contentLength > 0) fault = Fault.CONTENT_LENGTH;
  if (fault !== Fault.NONE) return streamFault(c, id, stream, fault);
  // A block that unfolds beyond the bound costs us most per octet: once is a mistake, many are an attack.
  if (list.overflow && c.guard.reset(0, now)) return Fault.FLOOD_RESET;
  stream.expected = list.contentLength;
  if (ends) stream.state = nextState(stream.state, Event.RECEIVE_END);
  c.events.headers(stream, list, decodedMemo, ends);
  return Fault.NONE;
}

function trailers(c: Connection, stream: Stream, ends: boolean): number {
  if (!ends) return Fault.TRAILERS_WITHOUT_END;
  if (decodedFlaw !== 0) return Fault.MALFORMED;
  if (stream.expected >= 0 && stream.received !== stream.expected) return Fault.CONTENT_LENGTH;
  stream.state = nextState(stream.state, Event.RECEIVE_END);
  c.events.trailers(stream, decodedList, decodedMemo);
  if (stream.state === State.CLOSED) c.close(stream, Ended.COMPLETE, 0);
  return Fault.NONE;
}

function response(c: Connection, stream: Stream, ends: boolean): number {
  const list = decodedList;
  if (decodedFlaw !== 0) return Fault.MALFORMED;
  if (list.statusCode < 200) {
    if (ends) return Fault.INFORMATIONAL_END;
    c.events.headers(stream, list, decodedMemo, false);
    return Fault.NONE;
  }
  stream.headed = true;
  if (!stream.bodyless) {
    if (ends && list.contentLength > 0) return Fault.CONTENT_LENGTH;
    stream.expected = list.statusCode === 204 || list.statusCode === 304 ? -1 : list.contentLength;
  }
  if (ends) stream.state = nextState(stream.state, Event.RECEIVE_END);
  c.events.headers(stream, list, decodedMemo, ends);
  if (stream.state === State.CLOSED) c.close(stream, Ended.COMPLETE, 0);
  return Fault.NONE;
}
