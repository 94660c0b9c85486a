/**
 * The octets of a string literal (RFC 7541 5.2) made plain, in one scratch that every store of a worker shares, and
 * made a string only when somebody needs one.
 *
 * Must not know: fields. Runs for each string literal that was not recognised by its octets.
 */
import { huffmanDecode, huffmanDecodedBound } from "./huffman.js";

const FIRST_SCRATCH = 4096;

export class WireText {
  /** Octets of the string last read, from 0. */
  #octets = Buffer.allocUnsafeSlow(FIRST_SCRATCH);

  /** Reads a string literal's octets; their number when plain, or -1 where the Huffman form is at fault. */
  read(buf: Uint8Array, start: number, end: number, huffman: boolean): number {
    const bound = huffman ? huffmanDecodedBound(end - start) : end - start;
    if (bound > this.#octets.length) this.#octets = Buffer.allocUnsafeSlow(bound * 2);
    if (huffman) return huffmanDecode(buf, start, end, this.#octets);
    const octets = this.#octets;
    for (let i = start; i < end; i++) octets[i - start] = buf[i]!;
    return bound;
  }

  /**
   * The first `length` octets as a latin1 string. Up to eight are put together here: the call into the runtime costs
   * four times as much (61 against 14 ns), and most values that are new in each call are timeouts of that length.
   */
  text(length: number): string {
    const o = this.#octets;
    const char = String.fromCharCode;
    switch (length) {
      case 0:
        return "";
      case 1:
        return char(o[0]!);
      case 2:
        return char(o[0]!, o[1]!);
      case 3:
        return char(o[0]!, o[1]!, o[2]!);
      case 4:
        return char(o[0]!, o[1]!, o[2]!, o[3]!);
      case 5:
        return char(o[0]!, o[1]!, o[2]!, o[3]!, o[4]!);
      case 6:
        return char(o[0]!, o[1]!, o[2]!, o[3]!, o[4]!, o[5]!);
      case 7:
        return char(o[0]!, o[1]!, o[2]!, o[3]!, o[4]!, o[5]!, o[6]!);
      case 8:
        return char(o[0]!, o[1]!, o[2]!, o[3]!, o[4]!, o[5]!, o[6]!, o[7]!);
      default:
        return o.toString("latin1", 0, length);
    }
  }
}

/** Octets of our own: on a Buffer `slice` is a view, which would keep the whole read block alive. */
export function copyOf(buf: Uint8Array, start: number, end: number): Uint8Array {
  return Uint8Array.prototype.slice.call(buf, start, end);
}
