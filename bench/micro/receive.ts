/**
 * What does finding the frames in what a socket delivered cost, with all that is checked on the way? Against the plain reader of the tests.
 * A connection is made anew each time, so that no window runs dry. Run: node <built>/bench/micro/receive.js
 */
import { bench, do_not_optimize, group, run } from "mitata";
import { ReadBlock } from "../../src/shared/base/read-block.js";
import { Connection, type ConnectionEvents } from "../../src/shared/http2/connection.js";
import { DOWNSTREAM_LIMITS } from "../../src/shared/http2/limits.js";
import { receive } from "../../src/shared/http2/receive.js";
import { sendOpening } from "../../src/shared/http2/send-control.js";
import { newShared } from "../../test/http2/fixture.js";
import { PlainDecoder } from "../../test/rfc7541/twin.js";
import {
  data,
  encode,
  type Frame,
  FrameReader,
  headers,
  PREFACE,
  settings,
  settingsAck,
  Type,
} from "../../test/support/wire/frame.js";
import { block, IndexingEncoder } from "../../test/support/wire/hpack.js";

const ignore = (): void => undefined;
const quiet: ConnectionEvents = {
  headers: ignore,
  trailers: ignore,
  data: ignore,
  closed: ignore,
  settings: ignore,
  goaway: ignore,
  pong: ignore,
  wake: ignore,
  failed: (_connection, fault) => {
    throw new Error(`fault ${fault}`);
  },
};

const FRAMES = 900;
const PAYLOAD = Buffer.alloc(64, 7);
const call: [string, string][] = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/"],
];
const shared = newShared();
const opening = [settings(), settingsAck()];
const octetsOf = (frames: readonly Frame[]): Buffer =>
  Buffer.concat([PREFACE, ...[...opening, ...frames].map((frame) => encode(frame))]);

const dataOn = (streams: number): Frame[] => [
  ...Array.from({ length: streams }, (_, i) => headers(1 + 2 * i, block(...call))),
  ...Array.from({ length: FRAMES }, (_, i) => data(1 + 2 * (i % streams), PAYLOAD)),
];

/** As nghttp2 sends them: the first block fills the table, the others are a few octets. */
const requests = (): Frame[] => {
  const encoder = new IndexingEncoder();
  const fields: [string, string][] = [...call, ["te", "trailers"], ["content-type", "application/grpc"]];
  return Array.from({ length: 90 }, (_, i) => headers(1 + 2 * i, encoder.block(...fields), { end: true }));
};

const compare = (title: string, frames: readonly Frame[]): void => {
  const octets = octetsOf(frames);
  const scratch = Buffer.alloc(octets.length);
  group(title, () => {
    bench("engine", () => {
      octets.copy(scratch);
      const connection = new Connection(true, DOWNSTREAM_LIMITS, shared, quiet);
      sendOpening(connection);
      const of = new ReadBlock(scratch, null);
      of.holds = 1;
      receive(connection, of, 0, octets.length);
      connection.output.discard();
      do_not_optimize(connection.frames);
    });
    bench("plain twin", () => {
      octets.copy(scratch);
      const decoder = new PlainDecoder();
      const received = new Map<number, number>();
      for (const frame of new FrameReader().push(scratch.subarray(PREFACE.length))) {
        if (frame.type === Type.HEADERS) do_not_optimize(decoder.decode(frame.payload));
        if (frame.type === Type.DATA)
          received.set(frame.stream, (received.get(frame.stream) ?? 0) + frame.payload.length);
      }
      do_not_optimize(received.size);
    });
  });
};

compare(`${FRAMES} frames of DATA on one stream`, dataOn(1));
compare(`${FRAMES} frames of DATA on ten streams in turn`, dataOn(10));
compare("90 requests with the same fields", requests());

await run();
