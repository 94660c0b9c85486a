// Asks a connection that carries calls and has been silent for long whether it is still there, and says when it is not
// (RFC 9113 section 6.7). Runs once per connection and tick.

import { PingPurpose, sendPing } from "../../shared/http2/send-control.js";
import type { Wire } from "./wire.js";

export class Keepalive {
  private readonly time: number;
  private readonly timeout: number;
  private asked = -1;

  /** @param time ms of silence before a PING, 0 for never  @param timeout ms it may stay unanswered */
  constructor(time: number, timeout: number) {
    this.time = time;
    this.timeout = timeout;
  }

  /** @returns true when the peer did not answer in time */
  check(wire: Wire, now: number): boolean {
    if (this.time === 0 || wire.connection.dead) return false;
    if (this.asked >= 0) {
      if (wire.lastRead >= this.asked) this.asked = -1;
      else return now - this.asked >= this.timeout;
    }
    if (wire.connection.streams.size > 0 && now - wire.lastRead >= this.time) {
      this.asked = now;
      sendPing(wire.connection, PingPurpose.ALIVE);
    }
    return false;
  }
}
