// What one stream still has to send because a window or the socket was full: pieces of DATA in order, and how the stream
// ends after them. Pieces are copied out of the read block unless they are most of it, so that what waits pins at most
// twice its own length. Runs only when something waits.

import type { ReadBlock, ReadBlockPool } from "../base/read-block.js";

interface Piece {
  readonly buf: Buffer;
  readonly block: ReadBlock | null;
  start: number;
  end: number;
}

/** Small pieces are gathered in memory that grows with what waits, up to this. */
const LARGEST_GATHERED = 16_384;

export class SendQueue {
  /** Memory for copies that fill at least half of one of its blocks: it is used again at once, without the collector. */
  private readonly copies: ReadBlockPool | null;
  private readonly pieces: Piece[] = [];
  private head = 0;
  /** DATA octets waiting. */
  bytes = 0;
  /** Octets of memory kept alive. */
  pinned = 0;
  /** END_STREAM follows the last octet. */
  endAfter = false;
  /** Encodes and sends the trailers once the last octet has left; set by the layer above. */
  trailers: (() => void) | null = null;
  /** RST_STREAM with this code follows everything else; -1 for none. */
  resetAfter = -1;

  constructor(copies: ReadBlockPool | null = null) {
    this.copies = copies;
  }

  push(block: ReadBlock, start: number, end: number): void {
    const length = end - start;
    this.bytes += length;
    if (length * 2 >= block.buf.length) {
      block.holds++;
      this.pinned += block.buf.length;
      this.pieces.push({ buf: block.buf, block, start, end });
      return;
    }
    if (this.copies !== null && length <= this.copies.size && length * 2 >= this.copies.size) {
      const copy = this.copies.take();
      block.buf.copy(copy.buf, 0, start, end);
      this.pinned += copy.buf.length;
      this.pieces.push({ buf: copy.buf, block: copy, start: 0, end: length });
      return;
    }
    const last = this.pieces[this.pieces.length - 1];
    if (last !== undefined && last.block === null && last.buf.length - last.end >= length) {
      block.buf.copy(last.buf, last.end, start, end);
      last.end += length;
      return;
    }
    // As much as waits already: at most twice that is kept alive, and a thousand small pieces are a handful.
    const copy = Buffer.allocUnsafeSlow(Math.max(length, Math.min(this.bytes, LARGEST_GATHERED)));
    this.pinned += copy.length;
    block.buf.copy(copy, 0, start, end);
    this.pieces.push({ buf: copy, block: null, start: 0, end: length });
  }

  /** The first piece; only while `bytes` > 0. */
  first(): Piece {
    return this.pieces[this.head]!;
  }

  /** Takes `n` octets, at most what the first piece holds, away from the front. */
  advance(n: number): void {
    const piece = this.first();
    piece.start += n;
    this.bytes -= n;
    if (piece.start < piece.end) return;
    this.drop(piece);
    this.head++;
    if (this.head === this.pieces.length) {
      this.pieces.length = 0;
      this.head = 0;
    } else if (this.head > 64) {
      this.pieces.splice(0, this.head);
      this.head = 0;
    }
  }

  private drop(piece: Piece): void {
    if (piece.block === null) this.pinned -= piece.buf.length;
    else {
      this.pinned -= piece.block.buf.length;
      piece.block.release();
    }
  }

  /** Lets everything go. @returns the octets that were waiting */
  clear(): number {
    const dropped = this.bytes;
    for (let i = this.head; i < this.pieces.length; i++) this.drop(this.pieces[i]!);
    this.pieces.length = 0;
    this.head = 0;
    this.bytes = 0;
    this.endAfter = false;
    this.trailers = null;
    this.resetAfter = -1;
    return dropped;
  }
}
