// Responsible for: HTTP/2 frames as a test writes and reads them: builders that also build what no RFC allows.
// Must not know: sockets, the engine under test (an error shared with it would stay unseen).
// Governed by: RFC 9113, sections 4.1 and 6. How often: tests only, so clearness before speed.

export const Type = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

export const Flag = { END_STREAM: 1, ACK: 1, END_HEADERS: 4, PADDED: 8, PRIORITY: 32 } as const;

export const Code = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const;

export const Setting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
export const MAX_WINDOW = 0x7fffffff;
export const DEFAULT_FRAME_SIZE = 16_384;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

type Bytes = Buffer | Uint8Array | string;

interface Options {
  /** Sets END_STREAM. */
  end?: boolean;
  /** END_HEADERS unless false. */
  endHeaders?: boolean;
  /** Bytes of padding; undefined means that the frame is not padded at all. */
  padding?: number;
  priority?: Priority;
}

export interface Priority {
  dependsOn: number;
  exclusive?: boolean;
  /** As on the wire: one less than the weight. */
  weight?: number;
}

const bytesOf = (bytes: Bytes): Buffer =>
  typeof bytes === "string" ? Buffer.from(bytes, "latin1") : Buffer.from(bytes);

function uint32(...values: number[]): Buffer {
  const out = Buffer.alloc(4 * values.length);
  for (const [at, value] of values.entries()) out.writeUInt32BE(value >>> 0, 4 * at);
  return out;
}

/** Any frame, right or wrong. */
export const frame = (type: number, flags: number, stream: number, payload: Bytes = ""): Frame => ({
  type,
  flags,
  stream,
  payload: bytesOf(payload),
});

/** Bytes of a frame; `length` may lie, and `reserved` sets the bit that a sender leaves 0. */
export function encode(it: Frame, odd: { length?: number; reserved?: boolean } = {}): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(odd.length ?? it.payload.length, 0, 3);
  head[3] = it.type;
  head[4] = it.flags;
  head.writeUInt32BE((it.stream | (odd.reserved ? 0x80000000 : 0)) >>> 0, 5);
  return Buffer.concat([head, it.payload]);
}

function padded(payload: Buffer, options: Options): Buffer {
  if (options.padding === undefined) return payload;
  return Buffer.concat([Buffer.from([options.padding]), payload, Buffer.alloc(options.padding)]);
}

const priorityBytes = (it: Priority): Buffer =>
  Buffer.concat([uint32(it.dependsOn | (it.exclusive ? 0x80000000 : 0)), Buffer.from([it.weight ?? 15])]);

export function data(stream: number, payload: Bytes, options: Options = {}): Frame {
  const flags = (options.end ? Flag.END_STREAM : 0) | (options.padding === undefined ? 0 : Flag.PADDED);
  return frame(Type.DATA, flags, stream, padded(bytesOf(payload), options));
}

export function headers(stream: number, block: Bytes, options: Options = {}): Frame {
  const flags =
    (options.end ? Flag.END_STREAM : 0) |
    (options.endHeaders === false ? 0 : Flag.END_HEADERS) |
    (options.padding === undefined ? 0 : Flag.PADDED) |
    (options.priority ? Flag.PRIORITY : 0);
  const body = options.priority ? Buffer.concat([priorityBytes(options.priority), bytesOf(block)]) : bytesOf(block);
  return frame(Type.HEADERS, flags, stream, padded(body, options));
}

export const continuation = (stream: number, block: Bytes, endHeaders = true): Frame =>
  frame(Type.CONTINUATION, endHeaders ? Flag.END_HEADERS : 0, stream, block);

export const priority = (stream: number, it: Priority): Frame => frame(Type.PRIORITY, 0, stream, priorityBytes(it));
export const reset = (stream: number, code: number): Frame => frame(Type.RST_STREAM, 0, stream, uint32(code));
export const settingsAck = (): Frame => frame(Type.SETTINGS, Flag.ACK, 0);
export const windowUpdate = (stream: number, credit: number): Frame =>
  frame(Type.WINDOW_UPDATE, 0, stream, uint32(credit));
export const goaway = (lastStream: number, code: number, debug: Bytes = ""): Frame =>
  frame(Type.GOAWAY, 0, 0, Buffer.concat([uint32(lastStream, code), bytesOf(debug)]));
export const pushPromise = (stream: number, promised: number, block: Bytes): Frame =>
  frame(Type.PUSH_PROMISE, Flag.END_HEADERS, stream, Buffer.concat([uint32(promised), bytesOf(block)]));

/** Settings in the order given: pairs of identifier and value. */
export function settings(...pairs: [id: number, value: number][]): Frame {
  const payload = pairs.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 255]), uint32(value)]));
  return frame(Type.SETTINGS, 0, 0, Buffer.concat(payload));
}

export const ping = (opaque: Bytes = "12345678", ack = false): Frame =>
  frame(Type.PING, ack ? Flag.ACK : 0, 0, bytesOf(opaque));

const nameOf = (table: Record<string, number>, value: number): string =>
  Object.keys(table).find((name) => table[name] === value) ?? `0x${value.toString(16)}`;

export const codeName = (code: number): string => nameOf(Code, code);

/** Error code of a RST_STREAM or GOAWAY. */
export const codeOf = (it: Frame): number => it.payload.readUInt32BE(it.type === Type.GOAWAY ? 4 : 0);

/** One line for transcripts and failures. */
export function describe(it: Frame): string {
  const coded = it.type === Type.RST_STREAM || it.type === Type.GOAWAY;
  const enough = it.payload.length >= (it.type === Type.GOAWAY ? 8 : 4);
  const code = coded && enough ? ` ${codeName(codeOf(it))}` : "";
  return `${nameOf(Type, it.type)} stream=${it.stream} flags=${it.flags} length=${it.payload.length}${code}`;
}

/** Cuts a byte stream into frames; believes every length, as a raw peer should. */
export class FrameReader {
  private pending = Buffer.alloc(0);

  push(bytes: Buffer): Frame[] {
    this.pending = Buffer.concat([this.pending, bytes]);
    const out: Frame[] = [];
    while (this.pending.length >= 9) {
      const end = 9 + this.pending.readUIntBE(0, 3);
      if (this.pending.length < end) break;
      const stream = this.pending.readUInt32BE(5) & MAX_WINDOW;
      out.push(frame(this.pending[3]!, this.pending[4]!, stream, this.pending.subarray(9, end)));
      this.pending = this.pending.subarray(end);
    }
    return out;
  }

  get leftover(): Buffer {
    return this.pending;
  }
}
