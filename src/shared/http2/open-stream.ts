// Client side: new streams of our own, and whether the connection can take another one (RFC 9113 sections 5.1.1 and
// 5.1.2). Runs once per call.

import type { Connection } from "./connection.js";
import { MAX_STREAM_ID } from "./protocol.js";
import { Stream } from "./stream.js";

/** How many more streams may be opened now. */
export function openRoom(c: Connection): number {
  if (c.dead || c.peerGoaway >= 0 || c.nextStream >= MAX_STREAM_ID) return 0;
  return Math.min(c.peerMaxStreams, c.limits.maxConcurrentStreams) - c.streams.size;
}

/** Opens a stream; the caller has made sure of room and sends its header block next. */
export function openStream(c: Connection): Stream {
  const id = c.nextStream;
  c.nextStream = id + 2;
  const stream = new Stream(id, c, c.peerStreamWindow, c.limits.streamWindow, c.shared.clock.now);
  c.streams.add(stream);
  return stream;
}
