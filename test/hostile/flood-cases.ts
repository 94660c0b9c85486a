// Responsible for: floods of cheap frames, each of which must end the attacker's connection with ENHANCE_YOUR_CALM.
// Must not know: the engine's insides; row names only say which fault a flood provokes.
// Governed by: RFC 9113, 10.5; the advisories named. How often: tests only.

import type { Fault } from "../../src/shared/http2/faults.js";
import { request, type WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block, indexed, literal } from "../support/wire/hpack.js";

const { Code, Setting } = f;

export interface FloodCase {
  fault: keyof typeof Fault;
  says: string;
  /** Bytes of one batch; asked for again until the connection ends or `batches` are through. */
  batch: (client: WireClient, at: number) => Buffer;
  batches: number;
  /** Sent once, before the batches. */
  first?: (client: WireClient) => void;
}

const get = block(...request());
const post = block(...request({ ":method": "POST" }));

/** One batch of `count` frames (or small groups of frames) as one write. */
const times = (count: number, frames: (at: number) => f.Frame[]): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, at) => frames(at).map((it) => f.encode(it))).flat());

const same = (count: number, it: f.Frame) => {
  const bytes = times(count, () => [it]);
  return () => bytes;
};

const openPost = (client: WireClient) => void client.send(f.headers(client.newStream(), post));

export const floodCases: FloodCase[] = [
  {
    fault: "FLOOD_RESET",
    says: "rapid reset (CVE-2023-44487)",
    batch: (c) =>
      times(200, () => {
        const stream = c.newStream();
        return [f.headers(stream, get, { end: true }), f.reset(stream, Code.CANCEL)];
      }),
    batches: 50,
  },
  {
    fault: "FLOOD_RESET",
    says: "resets provoked by WINDOW_UPDATE of 0 (CVE-2025-8671)",
    batch: (c) =>
      times(200, () => {
        const stream = c.newStream();
        return [f.headers(stream, post), f.windowUpdate(stream, 0)];
      }),
    batches: 50,
  },
  {
    fault: "FLOOD_RESET",
    says: "resets provoked by too much credit (CVE-2025-8671)",
    batch: (c) =>
      times(200, () => {
        const stream = c.newStream();
        return [f.headers(stream, post), f.windowUpdate(stream, f.MAX_WINDOW)];
      }),
    batches: 50,
  },
  {
    fault: "FLOOD_RESET",
    says: "resets provoked by streams that depend on themselves (CVE-2025-8671)",
    batch: (c) =>
      times(200, () => {
        const stream = c.newStream();
        return [f.headers(stream, post, { priority: { dependsOn: stream } })];
      }),
    batches: 50,
  },
  {
    fault: "FLOOD_RESET",
    says: "resets provoked by malformed requests (CVE-2025-8671)",
    batch: (c) => times(200, () => [f.headers(c.newStream(), block(["x", "no request"]), { end: true })]),
    batches: 50,
  },
  {
    fault: "FLOOD_RESET",
    says: "resets provoked by DATA behind END_STREAM (CVE-2025-8671)",
    batch: (c) =>
      times(200, () => {
        const stream = c.newStream();
        return [f.headers(stream, get, { end: true }), f.data(stream, "x")];
      }),
    batches: 50,
  },
  {
    fault: "FLOOD_CONTROL",
    says: "PING (CVE-2019-9512)",
    batch: same(1_000, f.ping()),
    batches: 50,
  },
  {
    fault: "FLOOD_CONTROL",
    says: "empty SETTINGS (CVE-2019-9515)",
    batch: same(1_000, f.settings()),
    batches: 50,
  },
  {
    fault: "FLOOD_CONTROL",
    says: "SETTINGS that change windows to and fro",
    batch: same(1_000, f.settings([Setting.INITIAL_WINDOW_SIZE, 1], [Setting.INITIAL_WINDOW_SIZE, 65_535])),
    batches: 50,
    first: openPost,
  },
  {
    fault: "FLOOD_CONTROL",
    says: "PRIORITY (CVE-2019-9513)",
    batch: same(1_000, f.priority(3, { dependsOn: 0 })),
    batches: 50,
  },
  {
    fault: "FLOOD_CONTROL",
    says: "WINDOW_UPDATE of the connection",
    batch: same(1_000, f.windowUpdate(0, 1)),
    batches: 50,
  },
  {
    fault: "FLOOD_CONTROL",
    says: "WINDOW_UPDATE of a stream",
    batch: same(1_000, f.windowUpdate(1, 1)),
    batches: 50,
    first: openPost,
  },
  {
    fault: "FLOOD_CONTROL",
    says: "frames of an unknown type",
    batch: same(1_000, f.frame(0x42, 0, 0)),
    batches: 50,
  },
  {
    fault: "FLOOD_CONTINUATION",
    says: "CONTINUATION without end (CVE-2024-27316)",
    first: (c) => void c.send(f.headers(c.newStream(), get, { end: true, endHeaders: false })),
    batch: same(100, f.continuation(1, literal("x-more", "y".repeat(100)), false)),
    batches: 500,
  },
  {
    fault: "FLOOD_CONTINUATION",
    says: "empty CONTINUATION (CVE-2019-9518)",
    first: (c) => void c.send(f.headers(c.newStream(), get, { end: true, endHeaders: false })),
    batch: same(1_000, f.continuation(1, "", false)),
    batches: 50,
  },
  {
    fault: "FLOOD_CONTINUATION",
    says: "CONTINUATION frames of the largest size",
    first: (c) => void c.send(f.headers(c.newStream(), get, { end: true, endHeaders: false })),
    batch: same(1, f.continuation(1, literal("x-more", "y".repeat(16_000)), false)),
    batches: 1_000,
  },
  {
    fault: "FLOOD_EMPTY_DATA",
    says: "empty DATA (CVE-2019-9518)",
    batch: same(1_000, f.data(1, "")),
    batches: 50,
    first: openPost,
  },
  {
    fault: "FLOOD_EMPTY_DATA",
    says: "DATA of padding only",
    batch: same(200, f.data(1, "", { padding: 10 })),
    batches: 250,
    first: openPost,
  },
  {
    fault: "FLOOD_EMPTY_DATA",
    says: "endless DATA of one byte",
    batch: same(1_000, f.data(1, "x")),
    batches: 50,
    first: openPost,
  },
];

/** A block of few bytes that decodes to many megabytes: one long entry of the table, again and again. */
export function bomb(): Buffer {
  return Buffer.concat([
    literal("x-bomb", "b".repeat(4_000), 0x40),
    ...Array.from({ length: 12_000 }, () => indexed(62)),
  ]);
}
