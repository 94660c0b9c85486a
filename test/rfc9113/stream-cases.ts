// Responsible for: preface, frame format and stream states of the conformance suite (sections 3 to 5, 31 cases).
// Must not know: what is tested. Governed by: RFC 9113, sections 3.4, 4, 5. How often: tests only.

import * as accept from "../support/wire/acceptance.js";
import type { WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { blockOf, type Case, fieldsOf, get, longField, post, section } from "./conformance-case.js";

const { Code, Setting } = f;

/** Sends, then expects a connection error. */
const breaks = (says: string, codes: number[], send: (c: WireClient) => void): Omit<Case, "id"> => ({
  says,
  run: (c) => {
    send(c);
    return accept.connectionError(c, ...codes);
  },
});

/** Sends, then expects a stream error (or more). */
const resets = (says: string, codes: number[], send: (c: WireClient) => void): Omit<Case, "id"> => ({
  says,
  run: (c) => {
    send(c);
    return accept.streamError(c, ...codes);
  },
});

/** Sends, and a PING afterwards is still answered. */
const ignored = (says: string, send: (c: WireClient) => void): Omit<Case, "id"> => ({
  says,
  run: (c) => {
    send(c);
    c.send(f.ping());
    return accept.pingAcked(c, "12345678");
  },
});

/** A whole exchange first, then `send` on its closed stream. */
const afterwards = (it: Omit<Case, "id">): Omit<Case, "id"> => ({
  says: it.says,
  run: async (c, scene) => {
    get(c);
    await accept.streamEnd(c);
    await it.run(c, scene);
  },
});

const unknown = f.frame(0x16, 0, 0, Buffer.alloc(8));
/** Header and payload of a frame as two writes: a server that judges the header alone must still end cleanly. */
const inTwo = (c: WireClient, it: f.Frame) => {
  const bytes = f.encode(it);
  c.sendBytes(bytes.subarray(0, 9)).sendBytes(bytes.subarray(9));
};

const preface = section(
  "http2",
  "3.5",
  {
    says: "the server's preface is its first frame",
    raw: true,
    run: async (c) => {
      c.sendBytes(f.PREFACE).send(f.settings([Setting.INITIAL_WINDOW_SIZE, 65_535]));
      const it = await c.next();
      if (typeof it === "string" || it.type !== f.Type.SETTINGS || it.flags !== 0) throw c.failure("no SETTINGS first");
    },
  },
  {
    says: "a wrong preface ends the connection, without an answer in another protocol",
    raw: true,
    run: (c) => {
      c.sendBytes(Buffer.from("INVALID CONNECTION PREFACE\r\n\r\n"));
      return accept.connectionError(c, Code.PROTOCOL_ERROR);
    },
  },
);

/** A PING with odd bits, acknowledged all the same. */
const oddPing = (says: string, odd: { reserved?: boolean }): Omit<Case, "id"> => ({
  says,
  run: (c) => {
    c.sendBytes(f.encode(f.frame(f.Type.PING, 0x16, 0, "12345678"), odd));
    return accept.pingAcked(c, "12345678");
  },
});

const interrupt = (says: string, between: (c: WireClient) => f.Frame) =>
  breaks(says, [Code.PROTOCOL_ERROR], (c) => {
    c.send(f.headers(1, blockOf(c), { endHeaders: false }));
    c.send(between(c));
    c.send(f.continuation(1, c.indexedBlock(longField())));
  });

export const interruptions: Omit<Case, "id">[] = [
  interrupt("PRIORITY inside a header block is an error", () => f.priority(1, { dependsOn: 0, weight: 255 })),
  interrupt("HEADERS of another stream inside a header block is an error", (c) =>
    f.headers(3, blockOf(c), { end: true }),
  ),
];

const frames = [
  ...section(
    "http2",
    "4.1",
    ignored("a frame of unknown type is ignored", (c) => c.send(unknown)),
    oddPing("unknown flags are ignored", {}),
    oddPing("the reserved bit is ignored", { reserved: true }),
  ),
  ...section(
    "http2",
    "4.2",
    {
      says: "a DATA frame of the largest size is accepted",
      run: (c) => {
        post(c);
        c.send(f.data(1, "x".repeat(c.peerSettings.get(Setting.MAX_FRAME_SIZE) ?? 16_384), { end: true }));
        return accept.headersOn(c, 1);
      },
    },
    resets("a DATA frame beyond the largest size is an error", [Code.FRAME_SIZE_ERROR], (c) => {
      post(c);
      c.send(f.data(1, "x".repeat((c.peerSettings.get(Setting.MAX_FRAME_SIZE) ?? 16_384) + 1), { end: true }));
    }),
    breaks("a HEADERS frame beyond the largest size breaks the connection", [Code.FRAME_SIZE_ERROR], (c) => {
      const long = [0, 1, 2, 3, 4].map(longField);
      c.send(f.headers(1, c.indexedBlock(...fieldsOf(c), ...long), { end: true }));
    }),
  ),
  ...section(
    "http2",
    "4.3",
    breaks("a block that ends inside a field is an error", [Code.COMPRESSION_ERROR], (c) =>
      c.send(f.headers(1, "\x40", { end: true })),
    ),
    ...interruptions,
  ),
];

const { PROTOCOL_ERROR, STREAM_CLOSED } = Code;
const eitherClosed = [STREAM_CLOSED, PROTOCOL_ERROR];
const cancelled = (c: WireClient) => c.send(f.headers(1, blockOf(c))).send(f.reset(1, Code.CANCEL));

const states = section(
  "http2",
  "5.1",
  breaks("idle: DATA is an error", [PROTOCOL_ERROR], (c) => c.send(f.data(1, "test", { end: true }))),
  breaks("idle: RST_STREAM is an error", [PROTOCOL_ERROR], (c) => c.send(f.reset(1, Code.CANCEL))),
  breaks("idle: WINDOW_UPDATE is an error", [PROTOCOL_ERROR], (c) => c.send(f.windowUpdate(1, 100))),
  breaks("idle: CONTINUATION is an error", [PROTOCOL_ERROR], (c) => c.send(f.continuation(1, blockOf(c)))),
  resets("half closed: DATA is an error", [STREAM_CLOSED], (c) => {
    get(c);
    c.send(f.data(1, "test", { end: true }));
  }),
  resets("half closed: HEADERS is an error", [STREAM_CLOSED], (c) => {
    get(c);
    get(c);
  }),
  resets("half closed: CONTINUATION is an error", eitherClosed, (c) => {
    const block = blockOf(c);
    c.send(f.headers(1, block, { end: true })).send(f.continuation(1, block));
  }),
  resets("reset by us: DATA is an error", [STREAM_CLOSED], (c) => cancelled(c).send(f.data(1, "test", { end: true }))),
  resets("reset by us: HEADERS is an error", [STREAM_CLOSED], (c) => {
    cancelled(c);
    get(c);
  }),
  resets("reset by us: CONTINUATION is an error", eitherClosed, (c) =>
    cancelled(c).send(f.continuation(1, c.indexedBlock(longField()))),
  ),
  afterwards(resets("closed: DATA is an error", [STREAM_CLOSED], (c) => c.send(f.data(1, "test", { end: true })))),
  afterwards(breaks("closed: HEADERS is an error", [STREAM_CLOSED], get)),
  afterwards(
    breaks("closed: CONTINUATION is an error", eitherClosed, (c) =>
      c.send(f.continuation(1, c.indexedBlock(longField()))),
    ),
  ),
);

const identifiers = [
  ...section(
    "http2",
    "5.1.1",
    breaks("an even stream is an error", [PROTOCOL_ERROR], (c) => get(c, 2)),
    breaks("a stream lower than the last is an error", [PROTOCOL_ERROR], (c) => {
      get(c, 5);
      get(c, 3);
    }),
  ),
  ...section("http2", "5.1.2", {
    says: "one stream more than was allowed is refused",
    run: async (c) => {
      const limit = c.peerSettings.get(Setting.MAX_CONCURRENT_STREAMS);
      if (limit === undefined) throw c.failure("no SETTINGS_MAX_CONCURRENT_STREAMS: the suite would skip this case");
      c.send(f.settings([Setting.INITIAL_WINDOW_SIZE, 0]));
      const block = blockOf(c);
      for (let at = 0; at <= limit; at++) c.send(f.headers(2 * at + 1, block, { end: true }));
      await accept.streamError(c, PROTOCOL_ERROR, Code.REFUSED_STREAM);
    },
  }),
  ...section(
    "http2",
    "5.3.1",
    resets("HEADERS that depend on themselves are an error", [PROTOCOL_ERROR], (c) =>
      c.send(f.headers(1, blockOf(c), { end: true, priority: { dependsOn: 1, weight: 255 } })),
    ),
    resets("PRIORITY that depends on itself is an error", [PROTOCOL_ERROR], (c) =>
      c.send(f.priority(1, { dependsOn: 1, weight: 255 })),
    ),
  ),
];

const strayPing = f.frame(f.Type.PING, 0, 3, Buffer.alloc(8));

const errors = [
  ...section(
    "http2",
    "5.4.1",
    {
      says: "a connection error closes the connection",
      run: (c) => {
        inTwo(c, strayPing);
        return accept.connectionEnd(c);
      },
    },
    {
      says: "a connection error is told by GOAWAY",
      run: async (c) => {
        inTwo(c, strayPing);
        await accept.firstOf(c, f.Type.GOAWAY, "GOAWAY");
      },
    },
  ),
  ...section(
    "http2",
    "5.5",
    ignored("an extension frame is ignored", (c) => c.send(unknown)),
    breaks("an extension frame inside a header block is an error", [PROTOCOL_ERROR], (c) => {
      c.send(f.headers(1, blockOf(c), { end: true, endHeaders: false }));
      inTwo(c, unknown);
    }),
  ),
];

export const streamCases: Case[] = [...preface, ...frames, ...states, ...identifiers, ...errors];
export { breaks, ignored, inTwo, resets };
