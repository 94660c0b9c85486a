// Responsible for: every way a caller can break the protocol, each with the exact answer RFC 9113 asks for: no widening.
// Must not know: how the engine finds a fault; the names of its rows only say which of them a case provokes.
// Governed by: RFC 9113. How often: tests only.

import type { Fault } from "../../src/shared/http2/faults.js";
import { request, type WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block, indexed } from "../support/wire/hpack.js";

const { Code, Flag, Setting, Type } = f;

export interface FaultCase {
  fault: keyof typeof Fault;
  says: string;
  /** Sent on a connection whose handshake is done; streams are opened with newStream(), the faulty one last. */
  send: (client: WireClient) => void;
  /** Codes of GOAWAY; more than one where the RFC leaves it open. */
  connection?: number[];
  /** Code of RST_STREAM on the stream opened last. */
  stream?: number;
}

const get = block(...request());
const post = block(...request({ ":method": "POST" }));
const open = (c: WireClient, bytes = post, end = false): number => {
  const stream = c.newStream();
  c.send(f.headers(stream, bytes, { end }));
  return stream;
};

const connection = (
  fault: FaultCase["fault"],
  says: string,
  codes: number | number[],
  send: FaultCase["send"],
): FaultCase => ({ fault, says, send, connection: [codes].flat() });

const stream = (fault: FaultCase["fault"], says: string, code: number, send: FaultCase["send"]): FaultCase => ({
  fault,
  says,
  send,
  stream: code,
});

const raw = (type: number, at: number, length: number, flags = 0) => f.frame(type, flags, at, Buffer.alloc(length));
const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED, COMPRESSION_ERROR } = Code;

const framing: FaultCase[] = [
  connection("FRAME_TOO_LARGE", "a PING of 16,385 bytes", FRAME_SIZE_ERROR, (c) => c.send(raw(Type.PING, 0, 16_385))),
  connection("FRAME_TOO_LARGE", "an unknown frame said to be 16 MiB long", FRAME_SIZE_ERROR, (c) =>
    c.sendBytes(f.encode(raw(0x77, 0, 8), { length: 0xffffff })),
  ),
  connection("COMPRESSION", "an index of nothing", COMPRESSION_ERROR, (c) => open(c, indexed(100))),
  connection("COMPRESSION", "a block that ends inside a name", COMPRESSION_ERROR, (c) => open(c, get.subarray(0, -1))),
  connection("CONTINUATION_EXPECTED", "PING inside a block", PROTOCOL_ERROR, (c) =>
    c.send(f.headers(1, get, { end: true, endHeaders: false }), f.ping()),
  ),
  connection("CONTINUATION_EXPECTED", "CONTINUATION of another stream", PROTOCOL_ERROR, (c) =>
    c.send(f.headers(1, get, { end: true, endHeaders: false }), f.continuation(3, "")),
  ),
  connection("CONTINUATION_UNEXPECTED", "CONTINUATION alone", PROTOCOL_ERROR, (c) => c.send(f.continuation(1, get))),
];

const states: FaultCase[] = [
  connection("STREAM_IDLE", "DATA on an idle stream", PROTOCOL_ERROR, (c) => c.send(f.data(7, "x"))),
  connection("STREAM_IDLE", "DATA on a server's idle stream", PROTOCOL_ERROR, (c) => c.send(f.data(2, "x"))),
  stream("STREAM_HALF_CLOSED", "DATA after END_STREAM", STREAM_CLOSED, (c) =>
    c.send(f.data(open(c, block(...request({ ":path": "/zero/hold" })), true), "x")),
  ),
  stream("STREAM_RESET", "DATA after our RST_STREAM", STREAM_CLOSED, (c) => {
    const at = open(c);
    c.send(f.reset(at, Code.CANCEL), f.data(at, "x"));
  }),
  connection("STREAM_ID_PARITY", "an even stream", PROTOCOL_ERROR, (c) => c.send(f.headers(2, get, { end: true }))),
  connection("STREAM_ID_ORDER", "a lower stream", PROTOCOL_ERROR, (c) =>
    c.send(f.headers(5, get, { end: true }), f.headers(3, get, { end: true })),
  ),
];

const frames: FaultCase[] = [
  connection("DATA_ON_ZERO", "DATA on stream 0", PROTOCOL_ERROR, (c) => c.send(f.data(0, "x"))),
  connection("PADDING", "as much padding as DATA", PROTOCOL_ERROR, (c) =>
    c.send(f.frame(Type.DATA, Flag.PADDED, open(c), "\x04abcd".slice(0, 4))),
  ),
  connection("PADDING", "more padding than HEADERS", PROTOCOL_ERROR, (c) =>
    c.send(f.frame(Type.HEADERS, Flag.PADDED | Flag.END_HEADERS, 1, "\x05abcd")),
  ),
  connection("HEADERS_ON_ZERO", "HEADERS on stream 0", PROTOCOL_ERROR, (c) => c.send(f.headers(0, get))),
  connection("HEADERS_TOO_SHORT", "HEADERS shorter than its priority", [FRAME_SIZE_ERROR, PROTOCOL_ERROR], (c) =>
    c.send(raw(Type.HEADERS, 1, 3, Flag.PRIORITY | Flag.END_HEADERS)),
  ),
  connection("PRIORITY_ON_ZERO", "PRIORITY on stream 0", PROTOCOL_ERROR, (c) =>
    c.send(f.priority(0, { dependsOn: 3 })),
  ),
  stream("PRIORITY_SIZE", "PRIORITY of 6 bytes", FRAME_SIZE_ERROR, (c) => c.send(raw(Type.PRIORITY, open(c), 6))),
  stream("PRIORITY_SELF", "HEADERS that depend on themselves", PROTOCOL_ERROR, (c) => {
    const at = c.newStream();
    c.send(f.headers(at, get, { end: true, priority: { dependsOn: at } }));
  }),
  stream("PRIORITY_SELF", "PRIORITY that depends on itself", PROTOCOL_ERROR, (c) => {
    const at = open(c);
    c.send(f.priority(at, { dependsOn: at }));
  }),
  connection("RST_ON_ZERO", "RST_STREAM on stream 0", PROTOCOL_ERROR, (c) => c.send(f.reset(0, Code.CANCEL))),
  connection("RST_IDLE", "RST_STREAM on an idle stream", PROTOCOL_ERROR, (c) => c.send(f.reset(9, Code.CANCEL))),
  connection("RST_SIZE", "RST_STREAM of 5 bytes", FRAME_SIZE_ERROR, (c) => c.send(raw(Type.RST_STREAM, open(c), 5))),
  connection("PUSH_REFUSED", "PUSH_PROMISE from a client", PROTOCOL_ERROR, (c) =>
    c.send(f.pushPromise(open(c), 2, get)),
  ),
  connection("PING_ON_STREAM", "PING on a stream", PROTOCOL_ERROR, (c) => c.send(raw(Type.PING, 1, 8))),
  connection("PING_SIZE", "PING of 7 bytes", FRAME_SIZE_ERROR, (c) => c.send(raw(Type.PING, 0, 7))),
  connection("PING_SIZE", "an ACK of PING of 9 bytes", FRAME_SIZE_ERROR, (c) => c.send(raw(Type.PING, 0, 9, Flag.ACK))),
  connection("GOAWAY_ON_STREAM", "GOAWAY on a stream", PROTOCOL_ERROR, (c) => c.send(raw(Type.GOAWAY, 1, 8))),
  connection("GOAWAY_SIZE", "GOAWAY of 7 bytes", FRAME_SIZE_ERROR, (c) => c.send(raw(Type.GOAWAY, 0, 7))),
  connection("GOAWAY_RAISED", "a later GOAWAY that names a higher stream", PROTOCOL_ERROR, (c) => {
    open(c);
    c.send(f.goaway(0, Code.NO_ERROR), f.goaway(2, Code.NO_ERROR));
  }),
];

const settings: FaultCase[] = [
  connection("SETTINGS_ON_STREAM", "SETTINGS on a stream", PROTOCOL_ERROR, (c) => c.send(raw(Type.SETTINGS, 1, 0))),
  connection("SETTINGS_ACK_SIZE", "an ACK with values", FRAME_SIZE_ERROR, (c) =>
    c.send(raw(Type.SETTINGS, 0, 6, Flag.ACK)),
  ),
  connection("SETTINGS_SIZE", "SETTINGS of 5 bytes", FRAME_SIZE_ERROR, (c) => c.send(raw(Type.SETTINGS, 0, 5))),
  connection("SETTINGS_PUSH", "ENABLE_PUSH 2", PROTOCOL_ERROR, (c) => c.send(f.settings([Setting.ENABLE_PUSH, 2]))),
  connection("SETTINGS_WINDOW", "INITIAL_WINDOW_SIZE 2^31", FLOW_CONTROL_ERROR, (c) =>
    c.send(f.settings([Setting.INITIAL_WINDOW_SIZE, 2 ** 31])),
  ),
  connection("SETTINGS_FRAME_SIZE", "MAX_FRAME_SIZE 0", PROTOCOL_ERROR, (c) =>
    c.send(f.settings([Setting.MAX_FRAME_SIZE, 0])),
  ),
  connection("SETTINGS_ACK_UNASKED", "an ACK nobody asked for", PROTOCOL_ERROR, (c) => c.send(f.settingsAck())),
];

const windows: FaultCase[] = [
  connection("WINDOW_UPDATE_SIZE", "WINDOW_UPDATE of 5 bytes", FRAME_SIZE_ERROR, (c) =>
    c.send(raw(Type.WINDOW_UPDATE, 0, 5)),
  ),
  connection("WINDOW_UPDATE_SIZE", "WINDOW_UPDATE of a stream, of 3 bytes", FRAME_SIZE_ERROR, (c) =>
    c.send(raw(Type.WINDOW_UPDATE, open(c), 3)),
  ),
  connection("WINDOW_UPDATE_ZERO", "credit of 0", PROTOCOL_ERROR, (c) => c.send(f.windowUpdate(0, 0))),
  stream("WINDOW_UPDATE_ZERO_STREAM", "credit of 0 for a stream", PROTOCOL_ERROR, (c) =>
    c.send(f.windowUpdate(open(c), 0)),
  ),
  connection("WINDOW_OVERFLOW", "too much credit", FLOW_CONTROL_ERROR, (c) => c.send(f.windowUpdate(0, f.MAX_WINDOW))),
  stream("WINDOW_OVERFLOW_STREAM", "too much credit for a stream", FLOW_CONTROL_ERROR, (c) =>
    c.send(f.windowUpdate(open(c), f.MAX_WINDOW)),
  ),
  connection("WINDOW_OVERFLOW", "an initial window that lifts a stream above 2^31-1", FLOW_CONTROL_ERROR, (c) => {
    c.send(f.windowUpdate(open(c), f.MAX_WINDOW - 65_535));
    c.send(f.settings([Setting.INITIAL_WINDOW_SIZE, 65_536]));
  }),
  stream("FLOW_CONTROL_STREAM", "one byte more than the stream's window", FLOW_CONTROL_ERROR, (c) => {
    const window = c.peerSettings.get(Setting.INITIAL_WINDOW_SIZE) ?? 65_535;
    const at = open(c, block(...request({ ":method": "POST", ":path": "/zero/" })));
    const frames: f.Frame[] = [];
    for (let left = window; left > 0; left -= 16_384) frames.push(f.data(at, "x".repeat(Math.min(left, 16_384))));
    c.send(...frames, f.data(at, "x"));
  }),
];

const messages: FaultCase[] = [
  stream("CONTENT_LENGTH", "less DATA than content-length says", PROTOCOL_ERROR, (c) => {
    const at = open(c, block(...request({ ":method": "POST", "content-length": "5" })));
    c.send(f.data(at, "four", { end: true }));
  }),
  stream("CONTENT_LENGTH", "no DATA although content-length says so", PROTOCOL_ERROR, (c) =>
    open(c, block(...request({ ":method": "POST", "content-length": "1" })), true),
  ),
  stream("CONTENT_LENGTH", "more DATA than content-length says, before its end", PROTOCOL_ERROR, (c) =>
    c.send(f.data(open(c, block(...request({ ":method": "POST", "content-length": "3" }))), "four")),
  ),
  stream("CONTENT_LENGTH", "trailers before content-length is reached", PROTOCOL_ERROR, (c) => {
    const at = open(c, block(...request({ ":method": "POST", "content-length": "5" })));
    c.send(f.data(at, "four"), f.headers(at, block(["x-t", "1"]), { end: true }));
  }),
  stream("TRAILERS_WITHOUT_END", "trailers without END_STREAM", PROTOCOL_ERROR, (c) =>
    c.send(f.headers(open(c), block(["x-t", "1"]))),
  ),
  stream("MALFORMED", "a pseudo-header field in trailers", PROTOCOL_ERROR, (c) =>
    c.send(f.headers(open(c), block([":path", "/"]), { end: true })),
  ),
  stream("MALFORMED", "a connection field in trailers", PROTOCOL_ERROR, (c) =>
    c.send(f.headers(open(c), block(["connection", "close"]), { end: true })),
  ),
];

export const faultCases: FaultCase[] = [...framing, ...states, ...frames, ...settings, ...windows, ...messages];

/** Requests that are malformed by their fields alone; each is a stream error PROTOCOL_ERROR (8.1.1). */
export const malformedRequests: [says: string, bytes: Buffer][] = [
  ["a name in upper case", block(...request(), ["X-Up", "1"])],
  ["a name with a blank", block(...request(), ["x up", "1"])],
  ["a name with a colon inside", block(...request(), ["x:y", "1"])],
  ["a name with NUL", block(...request(), ["x\0", "1"])],
  ["a name with DEL", block(...request(), ["x\x7f", "1"])],
  ["a name outside ASCII", block(...request(), ["x\xe4", "1"])],
  ["an empty name", block(...request(), ["", "1"])],
  ["a value with NUL", block(...request(), ["x-v", "a\0b"])],
  ["a value with CR", block(...request(), ["x-v", "a\rb"])],
  ["a value with LF", block(...request(), ["x-v", "a\nb"])],
  ["a value that begins with a blank", block(...request(), ["x-v", " a"])],
  ["a value that ends with a tab", block(...request(), ["x-v", "a\t"])],
  ["connection", block(...request(), ["connection", "close"])],
  ["proxy-connection", block(...request(), ["proxy-connection", "close"])],
  ["keep-alive", block(...request(), ["keep-alive", "5"])],
  ["transfer-encoding", block(...request(), ["transfer-encoding", "chunked"])],
  ["upgrade", block(...request(), ["upgrade", "h2c"])],
  ["te with gzip", block(...request(), ["te", "gzip"])],
  [":status in a request", block(...request({ ":status": "200" }))],
  ["an unknown pseudo-header field", block(...request({ ":protocol-x": "y" }))],
  ["a pseudo-header field behind others", block(["x-a", "b"], ...request())],
  ["two :authority", block(...request(), [":authority", "other"])],
  ["no fields at all", Buffer.alloc(0)],
  ["an empty :method", block(...request({ ":method": "" }))],
  [":method with a blank", block(...request({ ":method": "GET /" }))],
  [":path without a slash", block(...request({ ":path": "index" }))],
  [":path with a blank", block(...request({ ":path": "/a b" }))],
  ["an empty :scheme", block(...request({ ":scheme": "" }))],
  ["two different content-length", block(...request(), ["content-length", "1"], ["content-length", "2"])],
  ["content-length that is no number", block(...request(), ["content-length", "one"])],
  ["a negative content-length", block(...request(), ["content-length", "-1"])],
];
