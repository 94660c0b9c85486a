// Limits on gRPC messages, by their length prefix: how large one may be, how many a call may have. A message is stopped
// at its prefix, before its first octet; what came before it is still delivered, and so that the call can then end with
// trailers a prefix that is not complete is held back. Governed by the gRPC protocol document (Length-Prefixed-Message);
// our settings `sluice.message_limits`. Must not know: streams. Runs once per DATA frame of a call with a limit.

import { GrpcStatus } from "../../shared/grpc/status.js";
import type { Answer } from "./answers.js";
import { MessageMeter } from "./message-meter.js";

const PREFIX = 5;

export class MessageLimit {
  readonly direction: "request" | "response";
  readonly bytes: number;
  readonly count: number;

  /** 0 = as many as there are. */
  constructor(direction: "request" | "response", bytes: number, count: number) {
    this.direction = direction;
    this.bytes = bytes === 0 ? Number.POSITIVE_INFINITY : bytes;
    this.count = count === 0 ? Number.POSITIVE_INFINITY : count;
  }
}

export class MessageScreen extends MessageMeter {
  /** Octets of an incomplete prefix that were not passed on, in order; `heldLength` of them count. */
  readonly held = Buffer.alloc(PREFIX);
  heldLength = 0;
  /** Why the call must end; null while nothing is wrong. */
  over: Answer | null = null;
  private readonly limit: MessageLimit;

  constructor(limit: MessageLimit) {
    super();
    this.limit = limit;
  }

  override get atBoundary(): boolean {
    return this.left === 0 && this.have === this.heldLength;
  }

  /**
   * Follows `[start, end)`. @returns up to where it may be passed on: `end`, or where a prefix begins that is not
   * complete, or that announces a message which is over the limit (then `over` is set); `start` when that prefix began
   * earlier
   */
  screen(buf: Buffer, start: number, end: number): number {
    let at = start;
    let prefixAt = start;
    let early = this.have > 0;
    while (at < end) {
      if (this.left > 0) {
        const n = Math.min(this.left, end - at);
        this.left -= n;
        at += n;
        continue;
      }
      if (this.have === 0) prefixAt = at;
      if (!this.prefixOctet(buf[at++]!)) continue;
      this.over = this.judge();
      if (this.over !== null) {
        this.left = 0;
        if (early) this.heldLength = 0;
        return prefixAt;
      }
      early = false;
    }
    return this.have > 0 ? prefixAt : end;
  }

  /** Keeps `[from, end)`, the beginning of a prefix, for the next frame. */
  hold(buf: Buffer, from: number, end: number): void {
    this.heldLength += buf.copy(this.held, this.heldLength, from, end);
  }

  private judge(): Answer | null {
    const { direction, bytes, count } = this.limit;
    if (this.left > bytes) {
      const message = `a message of the ${direction} has ${this.left} octets; at most ${bytes} are allowed`;
      return { id: `${direction}_message_size`, grpc: GrpcStatus.RESOURCE_EXHAUSTED, http: 413, message, plain: false };
    }
    if (this.messages <= count) return null;
    const message = `the ${direction} has more than the ${count} messages that are allowed`;
    return { id: `${direction}_message_count`, grpc: GrpcStatus.RESOURCE_EXHAUSTED, http: 413, message, plain: false };
  }
}
