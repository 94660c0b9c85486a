/** HTTP/2 frames as numbers, and a reader that cuts a byte stream into them. Governed by RFC 9113, 4 and 6. Runs per frame. */

export const DATA = 0;
export const HEADERS = 1;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;
export const PADDED = 8;
export const PRIORITY = 32;

export const FRAME_HEADER = 9;
export const FRAME_PAYLOAD = 16_384;
export const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
export const FIRST_WINDOW = 65_535;

export const HEADER_TABLE_SIZE = 1;
export const MAX_CONCURRENT_STREAMS = 3;
export const INITIAL_WINDOW_SIZE = 4;

export const writeFrameHeader = (
  into: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  stream: number,
): number => {
  into[at] = length >> 16;
  into[at + 1] = (length >> 8) & 255;
  into[at + 2] = length & 255;
  into[at + 3] = type;
  into[at + 4] = flags;
  return into.writeUInt32BE(stream, at + 5);
};

export const settingsFrame = (values: readonly (readonly [number, number])[]): Buffer => {
  const bytes = Buffer.alloc(FRAME_HEADER + 6 * values.length);
  let at = writeFrameHeader(bytes, 0, 6 * values.length, SETTINGS, 0, 0);
  for (const [id, value] of values) at = bytes.writeUInt32BE(value, bytes.writeUInt16BE(id, at));
  return bytes;
};

export const windowUpdateFrame = (stream: number, credit: number): Buffer => {
  const bytes = Buffer.alloc(FRAME_HEADER + 4);
  bytes.writeUInt32BE(credit, writeFrameHeader(bytes, 0, 4, WINDOW_UPDATE, 0, stream));
  return bytes;
};

export type OnFrame = (type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number) => void;

export class FrameReader {
  readonly #onFrame: OnFrame;
  /** Holds a frame that the end of a chunk cut in two. */
  #held = Buffer.allocUnsafe(FRAME_HEADER + FRAME_PAYLOAD);
  #holds = 0;

  constructor(onFrame: OnFrame) {
    this.#onFrame = onFrame;
  }

  push(chunk: Buffer): void {
    let at = this.#holds > 0 ? this.#finishHeld(chunk) : 0;
    while (at + FRAME_HEADER <= chunk.length) {
      const end = at + FRAME_HEADER + payloadLength(chunk, at);
      if (end > chunk.length) break;
      this.#deliver(chunk, at, end);
      at = end;
    }
    if (at < chunk.length) this.#holds += chunk.copy(this.#held, this.#holds, at);
  }

  /** Takes from the chunk only what the cut frame lacks; returns where the next frame begins. */
  #finishHeld(chunk: Buffer): number {
    let at = this.#take(chunk, 0, FRAME_HEADER);
    if (this.#holds < FRAME_HEADER) return at;
    const size = FRAME_HEADER + payloadLength(this.#held, 0);
    at = this.#take(chunk, at, size);
    if (this.#holds < size) return at;
    this.#holds = 0;
    this.#deliver(this.#held, 0, size);
    return at;
  }

  #take(chunk: Buffer, at: number, until: number): number {
    if (this.#holds >= until) return at;
    const copied = chunk.copy(this.#held, this.#holds, at, at + until - this.#holds);
    this.#holds += copied;
    return at + copied;
  }

  #deliver(bytes: Buffer, at: number, end: number): void {
    const stream = bytes.readUInt32BE(at + 5) & 0x7fffffff;
    this.#onFrame(bytes[at + 3]!, bytes[at + 4]!, stream, bytes, at + FRAME_HEADER, end);
  }
}

const payloadLength = (bytes: Buffer, at: number): number => {
  const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!;
  if (length > FRAME_PAYLOAD) throw new Error(`frame of ${length} bytes, ${FRAME_PAYLOAD} allowed`);
  return length;
};
