// What happens to one stream when the peer breaks a rule on it, and to frames that come for a stream that is gone.
// Governed by RFC 9113 sections 5.1 and 5.4.2. Runs on faults only.

import type { Connection } from "./connection.js";
import { FAULTS, Fault } from "./faults.js";
import { sendReset } from "./send-control.js";
import { Ended, type Stream } from "./stream.js";

/** Resets the stream for `fault`. @returns 0, or the fault that ends a connection that provokes too many resets */
export function streamFault(c: Connection, id: number, stream: Stream | null, fault: number): number {
  const code = FAULTS[fault]!.code;
  const now = c.shared.clock.now;
  const age = stream === null ? 0 : now - stream.born;
  sendReset(c, id, code);
  if (stream === null) c.ended.remember(id, Ended.RESET_SENT);
  else c.close(stream, Ended.RESET_SENT, code);
  // What one caller's calls provoke in a service must not close the connection that all callers share.
  return c.server && c.guard.reset(age, now) ? Fault.FLOOD_RESET : Fault.NONE;
}

/** The peer has never opened stream `id`, and neither have we. */
export function isIdle(c: Connection, id: number): boolean {
  const peers = ((id & 1) === 1) === c.server;
  return peers ? id > c.lastPeerStream : c.server || id >= c.nextStream;
}

/** A HEADERS or DATA frame for a stream that is not in the table. @returns a fault of the connection or 0 */
export function lateFrame(c: Connection, id: number): number {
  if (isIdle(c, id)) return Fault.STREAM_IDLE;
  switch (c.ended.recall(id)) {
    case Ended.COMPLETE:
      return Fault.STREAM_ENDED;
    case Ended.RESET_SENT:
      return Fault.NONE;
    case Ended.RESET_RECEIVED:
      return streamFault(c, id, null, Fault.STREAM_RESET);
    default:
      // A service may be late for a stream that was cancelled long ago and forgotten.
      return c.server ? streamFault(c, id, null, Fault.STREAM_HALF_CLOSED) : Fault.NONE;
  }
}
