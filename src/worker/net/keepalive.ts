// Asks a connection that carries calls and has been silent for long whether it is still there, and says when it is not
// (RFC 9113 section 6.7). Services of gRPC count PINGs that come while they say nothing, and end the connection of all callers
// over the third that follows another within five minutes ("too_many_pings"): whoever answers PINGs and says nothing else is
// asked less often. Runs once per connection and tick.

import type { Connection } from "../../shared/http2/connection.js";
import { PingPurpose, sendPing } from "../../shared/http2/send-control.js";
import type { Wire } from "./wire.js";

/** How many times the usual silence a service is left alone that has answered a PING and said nothing since. */
export const REST = 6;
/** PINGs in spite of that, because new calls have begun: one less than services let pass. */
const MOST_EARLY = 2;

export class Keepalive {
  private readonly time: number;
  private readonly timeout: number;
  private readonly rest: number;
  private asked = -1;
  /** The last PING: when, and how many frames had come and streams been begun by then. */
  private lastAsked = -1;
  private framesThen = 0;
  private streamThen = 0;
  private early = 0;

  /**
   * @param time ms of silence before a PING, 0 for never  @param timeout ms it may stay unanswered
   * @param rest ms between PINGs while nothing but answers to them comes; 0 where the peer does not count them
   */
  constructor(time: number, timeout: number, rest = 0) {
    this.time = time;
    this.timeout = timeout;
    this.rest = rest;
  }

  /** @returns true when the peer did not answer in time */
  check(wire: Wire, now: number): boolean {
    const { connection } = wire;
    if (this.time === 0 || connection.dead) return false;
    if (this.asked >= 0) {
      if (wire.lastRead >= this.asked) this.asked = -1;
      else return now - this.asked >= this.timeout;
    }
    if (connection.streams.size > 0 && now - wire.lastRead >= this.time && this.mayAsk(connection, now)) {
      this.asked = this.lastAsked = now;
      this.framesThen = connection.frames;
      this.streamThen = connection.nextStream;
      sendPing(connection, PingPurpose.ALIVE);
    }
    return false;
  }

  private mayAsk({ frames, nextStream }: Connection, now: number): boolean {
    if (this.rest === 0 || this.lastAsked < 0) return true;
    // More than the answer to that PING.
    if (frames > this.framesThen + 1) {
      this.early = 0;
      return true;
    }
    if (now - this.lastAsked >= this.rest) return true;
    if (nextStream === this.streamThen || this.early === MOST_EARLY) return false;
    this.early++;
    return true;
  }
}
