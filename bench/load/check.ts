/**
 * Is what arrived what was meant to arrive: message by message, byte by byte, in order. Must not know HTTP/2. Runs per DATA frame.
 */
import { PREFIX_BYTES } from "./message.js";

const STAMP_END = PREFIX_BYTES + 4;
export const STAMP_AT = PREFIX_BYTES;

/** A stamp is a number in the first four bytes of a message: it tells messages of equal size apart. */
export const canStamp = (size: number): boolean => size >= STAMP_END;

export class MessageCheck {
  /** Complete messages so far. */
  messages = 0;
  offset = 0;
  #expected: Buffer = Buffer.alloc(0);
  #limit = 0;
  #stamp = -1;

  /** Expects `count` messages equal to `expected`; `stamp` is the first one's number, counting up, or −1 for none. */
  expect(expected: Buffer, count: number, stamp: number): void {
    this.#expected = expected;
    this.#limit = count;
    this.#stamp = stamp;
    this.messages = 0;
    this.offset = 0;
  }

  /** null = right so far. `expected` belongs to whoever calls: the stamp is written into it before comparing. */
  push(bytes: Buffer, start: number, end: number): string | null {
    while (start < end) {
      if (this.messages >= this.#limit) return "more bytes than were asked for";
      const size = this.#expected.length;
      const part = Math.min(size - this.offset, end - start);
      if (this.#stamp >= 0) this.#expected.writeUInt32BE((this.#stamp + this.messages) >>> 0, STAMP_AT);
      if (bytes.compare(this.#expected, this.offset, this.offset + part, start, start + part) !== 0)
        return this.#reason(bytes, start, part);
      start += part;
      this.offset += part;
      if (this.offset === size) {
        this.offset = 0;
        this.messages++;
      }
    }
    return null;
  }

  /** What is missing at the end of the body; null = complete. */
  missing(): string | null {
    if (this.messages === this.#limit) return null;
    return this.#limit === 1 ? "short body" : `short body: ${this.messages} of ${this.#limit} messages`;
  }

  #reason(bytes: Buffer, start: number, part: number): string {
    const stamped = this.#stamp >= 0 && this.offset <= STAMP_AT && this.offset + part >= STAMP_END;
    const at = start + STAMP_AT - this.offset;
    if (stamped && bytes.readUInt32BE(at) !== this.#expected.readUInt32BE(STAMP_AT))
      return "wrong order or another call's message";
    return "wrong bytes";
  }
}
