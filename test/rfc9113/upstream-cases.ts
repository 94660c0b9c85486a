// Responsible for: what a service can do wrong after it got a request, what the gateway must tell it, and what the
// caller must see. Must not know: how the engine finds a fault; row names only say which of them a case provokes.
// Governed by: RFC 9113; issue 2, section 7. How often: tests only.

import type { Fault } from "../../src/shared/http2/faults.js";
import * as f from "../support/wire/frame.js";
import { block, indexed, tableSize } from "../support/wire/hpack.js";
import type { WireRequest } from "../support/wire/server.js";

const { Code, Flag, Setting, Type } = f;
const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, COMPRESSION_ERROR } = Code;

/** What the caller sees: a gRPC status that the gateway made, a whole reply, or a reply that breaks off. */
export type Seen = "unavailable" | "reply" | "reset";

export interface UpstreamFault {
  fault: keyof typeof Fault;
  says: string;
  send: (request: WireRequest) => void;
  /** GOAWAY to the service, and the end; more than one code where the RFC leaves it open. */
  connection?: number[];
  /** RST_STREAM to the service on the request's stream. */
  stream?: number;
  caller: Seen;
}

type Send = UpstreamFault["send"];
type Name = UpstreamFault["fault"];

const connection = (fault: Name, says: string, codes: number | number[], send: Send): UpstreamFault => ({
  fault,
  says,
  send,
  connection: [codes].flat(),
  caller: "unavailable",
});

const stream = (fault: Name, says: string, code: number, send: Send, caller: Seen = "unavailable"): UpstreamFault => ({
  fault,
  says,
  send,
  stream: code,
  caller,
});

const raw = (type: number, at: number, length: number, flags = 0) => f.frame(type, flags, at, Buffer.alloc(length));
const ok = block([":status", "200"], ["content-type", "application/grpc"]);
/** A gRPC message of 5 announced bytes, of which 2 are here. */
const half = Buffer.from([0, 0, 0, 0, 5, 1, 2]);

const malformed = (says: string, bytes: Buffer): UpstreamFault =>
  stream("MALFORMED", `a reply with ${says}`, PROTOCOL_ERROR, (r) => r.connection.send(f.headers(r.stream, bytes)));

export const upstreamFaults: UpstreamFault[] = [
  connection("FRAME_TOO_LARGE", "DATA of 16,385 bytes", FRAME_SIZE_ERROR, (r) =>
    r.connection.send(raw(Type.DATA, r.stream, 16_385)),
  ),
  connection("COMPRESSION", "an index into a table that has no entries", COMPRESSION_ERROR, (r) =>
    r.connection.send(f.headers(r.stream, indexed(62), { end: true })),
  ),
  connection("COMPRESSION", "a table larger than the gateway allows", COMPRESSION_ERROR, (r) =>
    r.connection.send(f.headers(r.stream, Buffer.concat([tableSize(1_000_000), ok]), { end: true })),
  ),
  connection("CONTINUATION_EXPECTED", "a block interrupted by DATA", PROTOCOL_ERROR, (r) =>
    r.connection.send(f.headers(r.stream, ok, { endHeaders: false }), f.data(r.stream, "x")),
  ),
  connection("STREAM_IDLE", "HEADERS on a stream that no request opened", PROTOCOL_ERROR, (r) =>
    r.connection.send(f.headers(r.stream + 100, ok, { end: true })),
  ),
  connection("STREAM_IDLE", "DATA on a stream that no request opened", PROTOCOL_ERROR, (r) =>
    r.connection.send(f.data(r.stream + 100, "x")),
  ),
  connection("STREAM_IDLE", "HEADERS on an even stream", PROTOCOL_ERROR, (r) =>
    r.connection.send(f.headers(2, ok, { end: true })),
  ),
  connection("DATA_ON_ZERO", "DATA on stream 0", PROTOCOL_ERROR, (r) => r.connection.send(f.data(0, "x"))),
  connection("PADDING", "padding longer than its frame", PROTOCOL_ERROR, (r) =>
    r.connection.send(f.headers(r.stream, ok), f.frame(Type.DATA, Flag.PADDED, r.stream, Buffer.from([200, 1, 2]))),
  ),
  connection("PUSH_REFUSED", "PUSH_PROMISE although push is off", PROTOCOL_ERROR, (r) =>
    r.connection.send(f.pushPromise(r.stream, 2, block([":method", "GET"], [":scheme", "http"], [":path", "/"]))),
  ),
  connection("SETTINGS_PUSH", "a server that sets ENABLE_PUSH", PROTOCOL_ERROR, (r) =>
    r.connection.send(f.settings([Setting.ENABLE_PUSH, 1])),
  ),
  connection("SETTINGS_WINDOW", "INITIAL_WINDOW_SIZE above 2^31-1", FLOW_CONTROL_ERROR, (r) =>
    r.connection.send(f.settings([Setting.INITIAL_WINDOW_SIZE, 0xffffffff])),
  ),
  connection("SETTINGS_FRAME_SIZE", "MAX_FRAME_SIZE of 100", PROTOCOL_ERROR, (r) =>
    r.connection.send(f.settings([Setting.MAX_FRAME_SIZE, 100])),
  ),
  connection("SETTINGS_SIZE", "SETTINGS of 7 bytes", FRAME_SIZE_ERROR, (r) =>
    r.connection.send(raw(Type.SETTINGS, 0, 7)),
  ),
  connection("PING_SIZE", "PING of 3 bytes", FRAME_SIZE_ERROR, (r) => r.connection.send(raw(Type.PING, 0, 3))),
  connection("GOAWAY_RAISED", "a later GOAWAY that names a higher stream", PROTOCOL_ERROR, (r) =>
    r.connection.send(f.goaway(r.stream, Code.NO_ERROR), f.goaway(r.stream + 2, Code.NO_ERROR)),
  ),
  connection("WINDOW_OVERFLOW", "too much credit", FLOW_CONTROL_ERROR, (r) =>
    r.connection.send(f.windowUpdate(0, f.MAX_WINDOW)),
  ),
  connection("WINDOW_UPDATE_ZERO", "credit of 0", PROTOCOL_ERROR, (r) => r.connection.send(f.windowUpdate(0, 0))),
  connection("RST_SIZE", "RST_STREAM of 3 bytes", FRAME_SIZE_ERROR, (r) =>
    r.connection.send(raw(Type.RST_STREAM, r.stream, 3)),
  ),
  {
    ...connection("STREAM_ENDED", "DATA behind a complete reply", [STREAM_CLOSED], (r) => {
      r.connection.replyGrpc(r.stream).send(f.data(r.stream, "more"));
    }),
    caller: "reply",
  },
  stream("DATA_BEFORE_HEADERS", "DATA before HEADERS", PROTOCOL_ERROR, (r) => r.connection.send(f.data(r.stream, "x"))),
  stream("INFORMATIONAL_END", "a 1xx reply that ends the stream", PROTOCOL_ERROR, (r) =>
    r.connection.send(f.headers(r.stream, block([":status", "103"]), { end: true })),
  ),
  stream("DATA_BEFORE_HEADERS", "DATA after a 1xx reply", PROTOCOL_ERROR, (r) =>
    r.connection.send(f.headers(r.stream, block([":status", "103"])), f.data(r.stream, "x")),
  ),
  stream("WINDOW_UPDATE_ZERO_STREAM", "credit of 0 for a stream", PROTOCOL_ERROR, (r) =>
    r.connection.send(f.windowUpdate(r.stream, 0)),
  ),
  stream("WINDOW_OVERFLOW_STREAM", "too much credit for a stream", FLOW_CONTROL_ERROR, (r) =>
    r.connection.send(f.windowUpdate(r.stream, f.MAX_WINDOW)),
  ),
  malformed("no :status", block(["content-type", "application/grpc"])),
  malformed("two :status", block([":status", "200"], [":status", "200"])),
  malformed(":status of two digits", block([":status", "20"])),
  malformed(":status 101", block([":status", "101"])),
  malformed(":status behind other fields", block(["a", "b"], [":status", "200"])),
  malformed("a pseudo-header field of requests", block([":status", "200"], [":path", "/"])),
  malformed("a name in upper case", block([":status", "200"], ["X-Up", "1"])),
  malformed("a value with LF", block([":status", "200"], ["x", "a\nb"])),
  malformed("a connection field", block([":status", "200"], ["connection", "close"])),
  malformed("transfer-encoding", block([":status", "200"], ["transfer-encoding", "chunked"])),
  stream("CONTENT_LENGTH", "no DATA although content-length says so", PROTOCOL_ERROR, (r) =>
    r.connection.send(f.headers(r.stream, block([":status", "200"], ["content-length", "4"]), { end: true })),
  ),
  stream(
    "CONTENT_LENGTH",
    "more DATA than content-length says",
    PROTOCOL_ERROR,
    (r) =>
      r.connection.send(
        f.headers(r.stream, block([":status", "200"], ["content-type", "application/grpc"], ["content-length", "3"])),
        f.data(r.stream, half),
      ),
    "reset",
  ),
  stream(
    "TRAILERS_WITHOUT_END",
    "a second HEADERS that does not end the stream, in the middle of a message",
    PROTOCOL_ERROR,
    (r) => r.connection.send(f.headers(r.stream, ok), f.data(r.stream, half), f.headers(r.stream, block(["a", "b"]))),
    "reset",
  ),
  stream(
    "MALFORMED",
    "a pseudo-header field in trailers, in the middle of a message",
    PROTOCOL_ERROR,
    (r) => {
      const trailers = f.headers(r.stream, block([":status", "200"]), { end: true });
      r.connection.send(f.headers(r.stream, ok), f.data(r.stream, half), trailers);
    },
    "reset",
  ),
];
