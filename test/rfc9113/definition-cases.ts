// Responsible for: frame definitions and error codes of the conformance suite (sections 6 and 7, 46 cases).
// Must not know: what is tested. Governed by: RFC 9113, sections 6, 7. How often: tests only.

import * as accept from "../support/wire/acceptance.js";
import type { WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { blockOf, type Case, get, longField, post, type Scene, section } from "./conformance-case.js";
import { breaks, ignored, inTwo, interruptions, resets } from "./stream-cases.js";

const { Code, Setting, Type } = f;
const { PROTOCOL_ERROR, FRAME_SIZE_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED } = Code;
const root = { dependsOn: 0, weight: 255 };
const odd = (type: number, stream: number, bytes: string, flags = 0) => f.frame(type, flags, stream, bytes);

const data = section(
  "http2",
  "6.1",
  breaks("DATA on stream 0 is an error", [PROTOCOL_ERROR], (c) => c.send(f.data(0, "test", { end: true }))),
  resets("DATA on a half-closed stream is an error", [STREAM_CLOSED], (c) => {
    c.send(f.headers(1, blockOf(c, "POST"), { end: true })).send(f.data(1, "test", { end: true }));
  }),
  breaks("padding longer than its DATA frame is an error", [PROTOCOL_ERROR], (c) => {
    post(c, ["content-length", "4"]);
    inTwo(c, odd(Type.DATA, 1, "\x06Test", f.Flag.PADDED | f.Flag.END_STREAM));
  }),
);

const headers = section(
  "http2",
  "6.2",
  ...interruptions,
  breaks("HEADERS on stream 0 is an error", [PROTOCOL_ERROR], (c) => c.send(f.headers(0, blockOf(c), { end: true }))),
  resets("padding longer than its HEADERS frame is an error", [PROTOCOL_ERROR], (c) => {
    const block = blockOf(c);
    const flags = f.Flag.PADDED | f.Flag.END_STREAM | f.Flag.END_HEADERS;
    inTwo(c, f.frame(Type.HEADERS, flags, 1, Buffer.concat([Buffer.from([block.length + 2]), block])));
  }),
);

const small = [
  ...section(
    "http2",
    "6.3",
    breaks("PRIORITY on stream 0 is an error", [PROTOCOL_ERROR], (c) => c.send(f.priority(0, root))),
    resets("PRIORITY that is not 5 bytes long is an error", [FRAME_SIZE_ERROR], (c) => {
      get(c);
      inTwo(c, odd(Type.PRIORITY, 1, "\x80\0\0\x01"));
    }),
  ),
  ...section(
    "http2",
    "6.4",
    breaks("RST_STREAM on stream 0 is an error", [PROTOCOL_ERROR], (c) => c.send(f.reset(0, Code.CANCEL))),
    breaks("RST_STREAM on an idle stream is an error", [PROTOCOL_ERROR], (c) => c.send(f.reset(1, Code.CANCEL))),
    resets("RST_STREAM that is not 4 bytes long is an error", [FRAME_SIZE_ERROR], (c) => {
      get(c);
      inTwo(c, odd(Type.RST_STREAM, 1, "\0\0\0"));
    }),
  ),
];

const setting = (says: string, id: number, value: number, code: number = PROTOCOL_ERROR) =>
  breaks(says, [code], (c) => c.send(f.settings([id, value])));

/** Initial window set and acknowledged, then a request: what comes back is measured. */
async function withWindow(c: WireClient, scene: Scene, ...values: number[]): Promise<void> {
  if (scene.bodyLength < 5) throw c.failure("the target's body is too short: the suite would skip this case");
  c.send(f.settings(...values.map((it): [number, number] => [Setting.INITIAL_WINDOW_SIZE, it])));
  await accept.settingsAcked(c);
  get(c);
}

const settings = [
  ...section(
    "http2",
    "6.5",
    breaks("an ACK of SETTINGS with a payload is an error", [FRAME_SIZE_ERROR], (c) =>
      inTwo(c, odd(Type.SETTINGS, 0, "\0", f.Flag.ACK)),
    ),
    breaks("SETTINGS on a stream are an error", [PROTOCOL_ERROR], (c) =>
      inTwo(c, odd(Type.SETTINGS, 1, "\0\x03\0\0\0\x64")),
    ),
    resets("SETTINGS that are no multiple of 6 bytes are an error", [PROTOCOL_ERROR, FRAME_SIZE_ERROR], (c) =>
      inTwo(c, odd(Type.SETTINGS, 0, "\0\x03\0")),
    ),
  ),
  ...section(
    "http2",
    "6.5.2",
    setting("ENABLE_PUSH may be 0 or 1", Setting.ENABLE_PUSH, 2),
    setting("an initial window above 2^31-1 is an error", Setting.INITIAL_WINDOW_SIZE, 2 ** 31, FLOW_CONTROL_ERROR),
    setting("a frame size below 16,384 is an error", Setting.MAX_FRAME_SIZE, 16_383),
    setting("a frame size above 2^24-1 is an error", Setting.MAX_FRAME_SIZE, 2 ** 24),
    ignored("an unknown setting is ignored", (c) => c.send(f.settings([0xff, 1]))),
  ),
  ...section(
    "http2",
    "6.5.3",
    {
      says: "settings take effect in their order",
      run: async (c, scene) => {
        await withWindow(c, scene, 100, 1);
        await accept.dataOf(c, 1);
      },
    },
    {
      says: "SETTINGS are acknowledged",
      run: (c) => {
        c.send(f.settings([Setting.ENABLE_PUSH, 0]));
        return accept.settingsAcked(c);
      },
    },
  ),
];

const connection = [
  ...section(
    "http2",
    "6.7",
    {
      says: "PING is acknowledged with its payload",
      run: (c) => {
        c.send(f.ping("sluice\0\0"));
        return accept.pingAcked(c, "sluice\0\0");
      },
    },
    {
      says: "an ACK of PING is not answered",
      run: (c) => {
        c.send(f.ping("unasked\0", true)).send(f.ping("sluice\0\0"));
        return accept.pingAcked(c, "sluice\0\0");
      },
    },
    breaks("PING on a stream is an error", [PROTOCOL_ERROR], (c) => inTwo(c, odd(Type.PING, 1, "\0".repeat(8)))),
    breaks("PING that is not 8 bytes long is an error", [FRAME_SIZE_ERROR], (c) =>
      inTwo(c, odd(Type.PING, 0, "\0".repeat(6))),
    ),
  ),
  ...section(
    "http2",
    "6.8",
    breaks("GOAWAY on a stream is an error", [PROTOCOL_ERROR], (c) => inTwo(c, odd(Type.GOAWAY, 1, "\0".repeat(8)))),
  ),
];

const windows = [
  ...section(
    "http2",
    "6.9",
    breaks("WINDOW_UPDATE of 0 for the connection is an error", [PROTOCOL_ERROR], (c) => c.send(f.windowUpdate(0, 0))),
    resets("WINDOW_UPDATE of 0 for a stream is an error", [PROTOCOL_ERROR], (c) =>
      c.send(f.headers(1, blockOf(c))).send(f.windowUpdate(1, 0)),
    ),
    breaks("WINDOW_UPDATE that is not 4 bytes long is an error", [FRAME_SIZE_ERROR], (c) =>
      inTwo(c, odd(Type.WINDOW_UPDATE, 0, "\0\0\x01")),
    ),
  ),
  ...section(
    "http2",
    "6.9.1",
    {
      says: "a window of 1 byte is filled with 1 byte",
      run: async (c, scene) => {
        await withWindow(c, scene, 1);
        await accept.dataOf(c, 1);
      },
    },
    {
      says: "credit above 2^31-1 for the connection is answered by GOAWAY",
      run: (c) => {
        c.send(f.windowUpdate(0, f.MAX_WINDOW)).send(f.windowUpdate(0, f.MAX_WINDOW));
        return accept.goawayWith(c, FLOW_CONTROL_ERROR);
      },
    },
    {
      says: "credit above 2^31-1 for a stream is answered by RST_STREAM",
      run: (c) => {
        c.send(f.headers(1, blockOf(c)));
        c.send(f.windowUpdate(1, f.MAX_WINDOW)).send(f.windowUpdate(1, f.MAX_WINDOW));
        return accept.resetWith(c, 1, FLOW_CONTROL_ERROR);
      },
    },
  ),
  ...section(
    "http2",
    "6.9.2",
    {
      says: "a new initial window also counts for open streams",
      run: async (c, scene) => {
        await withWindow(c, scene, 0);
        c.send(f.settings([Setting.INITIAL_WINDOW_SIZE, 1]));
        await accept.dataOf(c, 1);
      },
    },
    {
      says: "a window may become negative and is filled up from there",
      run: async (c, scene) => {
        await withWindow(c, scene, 3);
        await accept.anyDataFrame(c);
        c.send(f.settings([Setting.INITIAL_WINDOW_SIZE, 2]));
        await accept.settingsAcked(c);
        c.send(f.windowUpdate(1, 2));
        await accept.dataOf(c, 1);
      },
    },
    setting("an initial window beyond 31 bits is an error", Setting.INITIAL_WINDOW_SIZE, 2 ** 31, FLOW_CONTROL_ERROR),
  ),
];

const more = (c: WireClient) => c.indexedBlock(longField());

const continuations = section(
  "http2",
  "6.10",
  {
    says: "several CONTINUATION frames are accepted",
    run: (c) => {
      c.send(f.headers(1, blockOf(c), { end: true, endHeaders: false }));
      c.send(f.continuation(1, more(c), false)).send(f.continuation(1, more(c)));
      return accept.headersOn(c, 1);
    },
  },
  breaks("DATA where CONTINUATION must come is an error", [PROTOCOL_ERROR], (c) => {
    c.send(f.headers(1, blockOf(c, "POST"), { endHeaders: false }));
    c.send(f.continuation(1, more(c), false)).send(f.data(1, "test", { end: true }));
  }),
  breaks("CONTINUATION on stream 0 is an error", [PROTOCOL_ERROR], (c) => {
    c.send(f.headers(1, blockOf(c), { end: true, endHeaders: false })).send(f.continuation(0, more(c)));
  }),
  breaks("CONTINUATION after HEADERS with END_HEADERS is an error", [PROTOCOL_ERROR], (c) => {
    get(c);
    c.send(f.continuation(1, more(c)));
  }),
  breaks("CONTINUATION after CONTINUATION with END_HEADERS is an error", [PROTOCOL_ERROR], (c) => {
    c.send(f.headers(1, blockOf(c), { end: true, endHeaders: false }));
    c.send(f.continuation(1, more(c))).send(f.continuation(1, more(c)));
  }),
  breaks("CONTINUATION after DATA is an error", [PROTOCOL_ERROR], (c) => {
    c.send(f.headers(1, blockOf(c, "POST"), { endHeaders: false })).send(f.data(1, "test", { end: true }));
    c.send(f.continuation(1, more(c), false)).send(f.continuation(0, more(c)));
  }),
);

const codes = section(
  "http2",
  "7",
  {
    says: "GOAWAY with an unknown code changes nothing",
    run: (c) => {
      c.send(f.goaway(0, 0xff)).send(f.ping());
      return accept.pingAckedOrEnd(c, "12345678");
    },
  },
  ignored("RST_STREAM with an unknown code changes nothing", (c) => {
    post(c);
    c.send(f.reset(1, 0xff));
  }),
);

export const definitionCases: Case[] = [
  ...data,
  ...headers,
  ...small,
  ...settings,
  ...connection,
  ...windows,
  ...continuations,
  ...codes,
];
