// Request DATA kept until the response begins, so that a call the service has not processed can be sent again. Held by
// reference: what counts is the memory kept alive, in blocks. Past a bound nothing is held for the call any more, and
// it can no longer move. Runs once per request DATA frame.

import { ReadBlock } from "../../shared/base/read-block.js";
import type { Call } from "./call.js";

export class HeldRequests {
  /** Octets of read blocks that held requests keep alive. */
  pinned = 0;
  private readonly perCall: number;
  private readonly perWorker: number;

  constructor(perCall: number, perWorker: number) {
    this.perCall = perCall;
    this.perWorker = perWorker;
  }

  /**
   * Holds `[start, end)`. @returns false when a bound was passed: then nothing is held any more for a call that was
   * sent, and what an unsent one has is still held
   */
  hold(call: Call, block: ReadBlock, start: number, end: number): boolean {
    if (call.heldLost) return false;
    if (start === end) return true;
    if (call.heldBytes + end - start > this.perCall || this.pinned > this.perWorker) {
      if (call.up !== null) this.release(call);
      call.heldLost = true;
      return false;
    }
    if (this.pinned * 2 > this.perWorker && (end - start) * 4 < block.buf.length) {
      // Memory grows short: a little of a large block is copied out of it.
      block = new ReadBlock(Buffer.from(block.buf.subarray(start, end)), null);
      end -= start;
      start = 0;
    }
    this.pin(block);
    call.heldBytes += end - start;
    if (call.heldBlock === null) {
      call.heldBlock = block;
      call.heldStart = start;
      call.heldEnd = end;
    } else {
      call.heldMore ??= [];
      call.heldMore.push({ block, start, end });
    }
    return true;
  }

  release(call: Call): void {
    if (call.heldBlock === null) return;
    this.unpin(call.heldBlock);
    call.heldBlock = null;
    if (call.heldMore !== null) {
      for (const piece of call.heldMore) this.unpin(piece.block);
      call.heldMore = null;
    }
    call.heldBytes = 0;
  }

  private pin(block: ReadBlock): void {
    block.holds++;
    if (block.replays++ === 0) this.pinned += block.buf.length;
  }

  private unpin(block: ReadBlock): void {
    if (--block.replays === 0) this.pinned -= block.buf.length;
    block.release();
  }
}
