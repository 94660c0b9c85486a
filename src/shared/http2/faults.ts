// Every way a peer can break the protocol, as a small integer with a row behind it. The receive path returns these
// integers (0 = well), never throws. Scope CONNECTION ends the connection with GOAWAY, scope STREAM sends RST_STREAM.

import { ErrorCode } from "./protocol.js";

export const Scope = { CONNECTION: 0, STREAM: 1 } as const;

export interface FaultRow {
  readonly scope: number;
  readonly code: number;
  readonly section: string;
  readonly text: string;
}

const C = Scope.CONNECTION;
const S = Scope.STREAM;
const E = ErrorCode;

const rows: FaultRow[] = [{ scope: C, code: E.NO_ERROR, section: "", text: "" }];

function row(scope: number, code: number, section: string, text: string): number {
  rows.push({ scope, code, section, text });
  return rows.length - 1;
}

export const Fault = {
  NONE: 0,
  BAD_PREFACE: row(C, E.PROTOCOL_ERROR, "3.4", "the connection preface is not HTTP/2"),
  FIRST_FRAME_NOT_SETTINGS: row(C, E.PROTOCOL_ERROR, "3.4", "the first frame is not SETTINGS"),
  FRAME_TOO_LARGE: row(C, E.FRAME_SIZE_ERROR, "4.2", "a frame exceeds SETTINGS_MAX_FRAME_SIZE"),
  COMPRESSION: row(C, E.COMPRESSION_ERROR, "4.3", "a header block cannot be decoded"),
  CONTINUATION_EXPECTED: row(C, E.PROTOCOL_ERROR, "6.10", "a header block is interrupted by another frame"),
  CONTINUATION_UNEXPECTED: row(C, E.PROTOCOL_ERROR, "6.10", "CONTINUATION without an open header block"),
  STREAM_IDLE: row(C, E.PROTOCOL_ERROR, "5.1", "a frame for an idle stream"),
  STREAM_ENDED: row(C, E.STREAM_CLOSED, "5.1", "a frame for a stream that has ended"),
  STREAM_HALF_CLOSED: row(S, E.STREAM_CLOSED, "5.1", "a frame after END_STREAM"),
  STREAM_RESET: row(S, E.STREAM_CLOSED, "5.1", "a frame after RST_STREAM"),
  STREAM_ID_PARITY: row(C, E.PROTOCOL_ERROR, "5.1.1", "a client opened a stream with an even number"),
  STREAM_ID_ORDER: row(C, E.PROTOCOL_ERROR, "5.1.1", "a stream number is not greater than those before"),
  TOO_MANY_STREAMS: row(S, E.REFUSED_STREAM, "5.1.2", "more streams than SETTINGS_MAX_CONCURRENT_STREAMS"),
  DATA_ON_ZERO: row(C, E.PROTOCOL_ERROR, "6.1", "DATA on stream 0"),
  PADDING: row(C, E.PROTOCOL_ERROR, "6.1", "padding is as long as the payload or longer"),
  HEADERS_ON_ZERO: row(C, E.PROTOCOL_ERROR, "6.2", "HEADERS on stream 0"),
  HEADERS_TOO_SHORT: row(C, E.FRAME_SIZE_ERROR, "6.2", "HEADERS shorter than its fields"),
  PRIORITY_ON_ZERO: row(C, E.PROTOCOL_ERROR, "6.3", "PRIORITY on stream 0"),
  PRIORITY_SIZE: row(S, E.FRAME_SIZE_ERROR, "6.3", "PRIORITY is not 5 octets"),
  PRIORITY_SELF: row(S, E.PROTOCOL_ERROR, "5.3.1 (RFC 7540)", "a stream depends on itself"),
  RST_ON_ZERO: row(C, E.PROTOCOL_ERROR, "6.4", "RST_STREAM on stream 0"),
  RST_IDLE: row(C, E.PROTOCOL_ERROR, "6.4", "RST_STREAM on an idle stream"),
  RST_SIZE: row(C, E.FRAME_SIZE_ERROR, "6.4", "RST_STREAM is not 4 octets"),
  SETTINGS_ON_STREAM: row(C, E.PROTOCOL_ERROR, "6.5", "SETTINGS on a stream"),
  SETTINGS_ACK_SIZE: row(C, E.FRAME_SIZE_ERROR, "6.5", "a SETTINGS acknowledgement with a payload"),
  SETTINGS_SIZE: row(C, E.FRAME_SIZE_ERROR, "6.5", "SETTINGS is not a multiple of 6 octets"),
  SETTINGS_PUSH: row(C, E.PROTOCOL_ERROR, "6.5.2", "SETTINGS_ENABLE_PUSH is not 0 or 1, or a server sent 1"),
  SETTINGS_WINDOW: row(C, E.FLOW_CONTROL_ERROR, "6.5.2", "SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1"),
  SETTINGS_FRAME_SIZE: row(C, E.PROTOCOL_ERROR, "6.5.2", "SETTINGS_MAX_FRAME_SIZE out of range"),
  SETTINGS_ACK_UNASKED: row(C, E.PROTOCOL_ERROR, "6.5.3", "an acknowledgement of SETTINGS that were never sent"),
  PUSH_REFUSED: row(C, E.PROTOCOL_ERROR, "8.4", "PUSH_PROMISE although push is disabled or from a client"),
  PING_ON_STREAM: row(C, E.PROTOCOL_ERROR, "6.7", "PING on a stream"),
  PING_SIZE: row(C, E.FRAME_SIZE_ERROR, "6.7", "PING is not 8 octets"),
  GOAWAY_ON_STREAM: row(C, E.PROTOCOL_ERROR, "6.8", "GOAWAY on a stream"),
  GOAWAY_SIZE: row(C, E.FRAME_SIZE_ERROR, "6.8", "GOAWAY shorter than 8 octets"),
  GOAWAY_RAISED: row(C, E.PROTOCOL_ERROR, "6.8", "a later GOAWAY names a higher stream"),
  WINDOW_UPDATE_SIZE: row(C, E.FRAME_SIZE_ERROR, "6.9", "WINDOW_UPDATE is not 4 octets"),
  WINDOW_UPDATE_ZERO: row(C, E.PROTOCOL_ERROR, "6.9", "a window increment of 0 on the connection"),
  WINDOW_UPDATE_ZERO_STREAM: row(S, E.PROTOCOL_ERROR, "6.9", "a window increment of 0 on a stream"),
  WINDOW_OVERFLOW: row(C, E.FLOW_CONTROL_ERROR, "6.9.1", "the connection's window exceeds 2^31-1"),
  WINDOW_OVERFLOW_STREAM: row(S, E.FLOW_CONTROL_ERROR, "6.9.1", "a stream's window exceeds 2^31-1"),
  FLOW_CONTROL: row(C, E.FLOW_CONTROL_ERROR, "6.9.1", "more DATA than the connection's window allows"),
  FLOW_CONTROL_STREAM: row(S, E.FLOW_CONTROL_ERROR, "6.9.1", "more DATA than the stream's window allows"),
  MALFORMED: row(S, E.PROTOCOL_ERROR, "8.1.1", "a malformed message"),
  CONTENT_LENGTH: row(S, E.PROTOCOL_ERROR, "8.1.1", "content-length differs from the DATA received"),
  TRAILERS_WITHOUT_END: row(S, E.PROTOCOL_ERROR, "8.1", "a second HEADERS without END_STREAM"),
  DATA_BEFORE_HEADERS: row(S, E.PROTOCOL_ERROR, "8.1", "DATA before the final response HEADERS"),
  INFORMATIONAL_END: row(S, E.PROTOCOL_ERROR, "8.1", "an informational response with END_STREAM"),
  FLOOD_CONTINUATION: row(C, E.ENHANCE_YOUR_CALM, "10.5", "a header block in too many or too large pieces"),
  FLOOD_RESET: row(C, E.ENHANCE_YOUR_CALM, "10.5", "too many streams reset before they did any work"),
  FLOOD_CONTROL: row(C, E.ENHANCE_YOUR_CALM, "10.5", "too many control frames without progress"),
  FLOOD_EMPTY_DATA: row(C, E.ENHANCE_YOUR_CALM, "10.5", "too many empty or tiny DATA frames"),
  FLOOD_OUTPUT: row(C, E.ENHANCE_YOUR_CALM, "10.5", "the peer asks for answers and does not read them"),
  HEADER_TIMEOUT: row(C, E.ENHANCE_YOUR_CALM, "10.5", "a frame or a header block does not come to its end in time"),
  SETTINGS_TIMEOUT: row(C, E.SETTINGS_TIMEOUT, "3.4", "no SETTINGS came in time"),
  HEADER_LIST_TOO_LARGE: row(S, E.ENHANCE_YOUR_CALM, "10.5.1", "the header list exceeds SETTINGS_MAX_HEADER_LIST_SIZE"),
} as const;

export const FAULTS: readonly FaultRow[] = rows;
