/** The load client must catch whatever a broken proxy does: each test is a service that answers wrongly in one way. */
import assert from "node:assert/strict";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { after, test } from "node:test";
import { canStamp, MessageCheck } from "../../bench/load/check.js";
import {
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  FrameReader,
  GOAWAY,
  HEADERS,
  PREFACE,
  RST_STREAM,
  settingsFrame,
  writeFrameHeader,
} from "../../bench/load/frames.js";
import { givePath, message, TAKE_PATH } from "../../bench/load/message.js";
import { echoOrder, type LoadOrder } from "../../bench/load/order.js";
import { ServiceLink } from "../../bench/load/service.js";
import { LoadSession } from "../../bench/load/session.js";
import type { Outcome } from "../../bench/outcome.js";

const open: { server: Server; sockets: Set<Socket> }[] = [];
after(() => {
  for (const { server, sockets } of open) {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

const listen = async (serve: (socket: Socket) => void): Promise<number> => {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    serve(socket);
  });
  open.push({ server, sockets });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
};

const frame = (type: number, flags: number, stream: number, payload: Buffer): Buffer => {
  const bytes = Buffer.alloc(FRAME_HEADER + payload.length);
  payload.copy(bytes, writeFrameHeader(bytes, 0, payload.length, type, flags, stream));
  return bytes;
};

const literal = (name: string, value: string): Buffer =>
  Buffer.concat([Buffer.from([0, name.length]), Buffer.from(name), Buffer.from([value.length]), Buffer.from(value)]);
const headers = (stream: number, flags: number, ...fields: [string, string][]): Buffer =>
  frame(HEADERS, END_HEADERS | flags, stream, Buffer.concat(fields.map(([name, value]) => literal(name, value))));
const OK: [string, string][] = [
  [":status", "200"],
  ["content-type", "application/grpc"],
];

/** Answers each request, once it is complete, with whatever `answer` makes. */
const wrongService = (answer: (stream: number, body: Buffer) => Buffer[]): Promise<number> =>
  listen((socket) => {
    let preface = PREFACE.length;
    const bodies = new Map<number, Buffer>();
    socket.write(settingsFrame([]));
    const reader = new FrameReader((type, flags, stream, bytes, start, end) => {
      if (type === DATA)
        bodies.set(stream, Buffer.concat([bodies.get(stream) ?? Buffer.alloc(0), bytes.subarray(start, end)]));
      if ((type === DATA || type === HEADERS) && flags & END_STREAM)
        socket.write(Buffer.concat(answer(stream, bodies.get(stream) ?? Buffer.alloc(0))));
    });
    socket.on("data", (chunk: Buffer) => {
      const skip = Math.min(preface, chunk.length);
      preface -= skip;
      reader.push(chunk.subarray(skip));
    });
  });

const order = (port: number, change: Partial<LoadOrder> = {}): LoadOrder =>
  echoOrder(port, { streams: 2, seconds: 10, calls: 4, ...change });

/** Ends after a few calls, whether they are right or not. */
const run = (port: number, change: Partial<LoadOrder> = {}): Promise<Outcome> =>
  new LoadSession(order(port, change), DRAIN_MS).run();

const DRAIN_MS = 50;
const reasons = (outcome: Outcome): string => Object.keys(outcome.failures).join("; ");
const ends = headers.bind(null);

const wrongAnswers: [string, (stream: number, body: Buffer) => Buffer[], RegExp][] = [
  [
    "a proxy that answers 503 quickly",
    (stream) => [headers(stream, END_STREAM, [":status", "503"])],
    /HTTP status 503/,
  ],
  [
    "a trailers-only gRPC error",
    (stream) => [headers(stream, END_STREAM, ...OK, ["grpc-status", "14"], ["grpc-message", "no"])],
    /grpc-status 14 no/,
  ],
  [
    "an error in the trailers after a right body",
    (stream, body) => [
      headers(stream, 0, ...OK),
      frame(DATA, 0, stream, body),
      ends(stream, END_STREAM, ["grpc-status", "13"]),
    ],
    /grpc-status 13/,
  ],
  [
    "missing trailers",
    (stream, body) => [headers(stream, 0, ...OK), frame(DATA, END_STREAM, stream, body)],
    /end without trailers/,
  ],
  [
    "trailers without grpc-status",
    (stream, body) => [headers(stream, 0, ...OK), frame(DATA, 0, stream, body), ends(stream, END_STREAM, ["x", "y"])],
    /without grpc-status/,
  ],
  [
    "a short body",
    (stream, body) => [
      headers(stream, 0, ...OK),
      frame(DATA, 0, stream, body.subarray(0, 5)),
      ends(stream, END_STREAM, ["grpc-status", "0"]),
    ],
    /short body/,
  ],
  ["no body", (stream) => [headers(stream, END_STREAM, ...OK, ["grpc-status", "0"])], /short body/],
  [
    "a long body",
    (stream, body) => [headers(stream, 0, ...OK), frame(DATA, 0, stream, Buffer.concat([body, Buffer.alloc(1)]))],
    /more bytes/,
  ],
  [
    "another call's body",
    (stream, body) => [
      headers(stream, 0, ...OK),
      frame(DATA, 0, stream, Buffer.concat([body.subarray(0, 5), Buffer.alloc(4, 0xee), body.subarray(9)])),
      ends(stream, END_STREAM, ["grpc-status", "0"]),
    ],
    /another call's message/,
  ],
  [
    "a changed byte",
    (stream, body) => [
      headers(stream, 0, ...OK),
      frame(DATA, 0, stream, Buffer.concat([body.subarray(0, 11), Buffer.from([0])])),
    ],
    /wrong bytes/,
  ],
  ["a reset", (stream) => [frame(RST_STREAM, 0, stream, Buffer.from([0, 0, 0, 2]))], /RST_STREAM with code 2/],
  ["a GOAWAY", () => [frame(GOAWAY, 0, 0, Buffer.from([0, 0, 0, 0, 0, 0, 0, 11]))], /GOAWAY with code 11/],
  ["a body before its header fields", (stream, body) => [frame(DATA, 0, stream, body)], /before the header fields/],
];

for (const [name, answer, reason] of wrongAnswers) {
  test(`${name} is a failure, never a call`, async () => {
    const outcome = await run(await wrongService(answer), { seconds: 0.05 });
    assert.equal(outcome.calls, 0);
    assert.match(reasons(outcome), reason);
  });
}

test("messages of a stream in the wrong order are a failure", async () => {
  const swapped = (stream: number): Buffer[] => {
    const numbered = (index: number): Buffer => {
      const bytes = Buffer.from(message(64));
      bytes.writeUInt32BE(index, 5);
      return bytes;
    };
    return [
      headers(stream, 0, ...OK),
      frame(DATA, 0, stream, Buffer.concat([numbered(1), numbered(0)])),
      ends(stream, END_STREAM, ["grpc-status", "0"]),
    ];
  };
  const outcome = await run(await wrongService(swapped), {
    kind: "server",
    path: givePath(2, 64),
    messages: 2,
    replyBytes: 64,
    seconds: 0.05,
  });
  assert.equal(outcome.calls, 0);
  assert.match(reasons(outcome), /wrong order/);
});

test("a port that refuses is a failure", async () => {
  const port = await listen(() => {});
  const { server } = open.pop()!;
  await new Promise((resolve) => server.close(resolve));
  assert.match(reasons(await run(port)), /cannot connect/);
});

const service = (): Promise<number> => listen((socket) => void new ServiceLink(socket));

const kinds: [string, Partial<LoadOrder>, number, number][] = [
  ["unary", {}, 1, 12],
  ["unary with changing header fields", { varying: true, calls: 200, streams: 20 }, 1, 12],
  ["a megabyte of reply", { path: givePath(1, 1 << 20), replyBytes: 1 << 20 }, 1, 1 << 20],
  ["a server stream", { kind: "server", path: givePath(50, 64), messages: 50, replyBytes: 64 }, 50, 50 * 64],
  ["a client stream", { kind: "client", path: TAKE_PATH, messages: 50, requestBytes: 64 }, 50, 50 * 64],
  ["a megabyte of request", { kind: "client", path: TAKE_PATH, messages: 1, requestBytes: 1 << 20 }, 1, 1 << 20],
  ["a ping-pong", { kind: "bidi", messages: 50, requestBytes: 64, replyBytes: 64 }, 50, 2 * 50 * 64],
  ["a connection per call", { reconnect: true, streams: 1 }, 1, 12],
];

for (const [name, change, messages, bytes] of kinds) {
  test(`${name} against our own service is right and fully counted`, async () => {
    const outcome = await run(await service(), change);
    assert.deepEqual(outcome.failures, {});
    assert.ok(outcome.calls >= 4);
    assert.equal(outcome.messages, outcome.calls * messages);
    assert.equal(outcome.bytes, outcome.calls * bytes);
  });
}

test("an unknown method of our service is a gRPC error", async () => {
  assert.match(reasons(await run(await service(), { path: "/bench.Load/Nothing", seconds: 0.05 })), /grpc-status 12/);
});

test("an open loop times calls from when they were due, also those that found no free stream", async () => {
  // The service answers nothing: one call occupies the only stream, the rest is due and never starts.
  const outcome = await new LoadSession(
    order(await listen((socket) => void socket.write(settingsFrame([]))), {
      streams: 1,
      calls: 0,
      rate: 1000,
      tolerant: false,
      seconds: 0.05,
    }),
    DRAIN_MS,
  ).run();
  assert.equal(outcome.calls, 0);
  assert.match(reasons(outcome), /due but never started/);
  assert.match(reasons(outcome), /no answer/);
});

test("messages are checked wherever the bytes are cut", () => {
  const whole = Buffer.concat(
    [0, 1, 2].map((index) => {
      const one = Buffer.from(message(20));
      one.writeUInt32BE(7 + index, 5);
      return one;
    }),
  );
  for (let cut = 0; cut <= whole.length; cut++) {
    const check = new MessageCheck();
    check.expect(Buffer.from(message(20)), 3, 7);
    assert.equal(check.push(whole, 0, cut), null);
    assert.equal(check.push(whole, cut, whole.length), null);
    assert.equal(check.missing(), null);
  }
  assert.ok(canStamp(9) && !canStamp(8));
});

test("frames are put together wherever the bytes are cut", () => {
  const stream = Buffer.concat([
    frame(DATA, 1, 5, Buffer.from("hello")),
    frame(HEADERS, 4, 7, Buffer.alloc(0)),
    frame(DATA, 0, 9, Buffer.alloc(300, 1)),
  ]);
  for (let cut = 0; cut <= stream.length; cut++) {
    const seen: string[] = [];
    const reader = new FrameReader((type, flags, id, _bytes, start, end) =>
      seen.push(`${type} ${flags} ${id} ${end - start}`),
    );
    reader.push(stream.subarray(0, cut));
    reader.push(stream.subarray(cut));
    assert.deepEqual(seen, ["0 1 5 5", "1 4 7 0", "0 0 9 300"]);
  }
});
