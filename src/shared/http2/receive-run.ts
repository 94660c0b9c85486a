// Runs of small DATA frames of one stream, as streams of small messages make them: their payloads are moved together in
// the block they were read into and go on as one frame. Where frames end means nothing to HTTP (RFC 9113 section 6.1),
// and one large frame costs everybody less than many small ones. Runs once per run; a loop over its frames.

import type { Connection } from "./connection.js";
import { DEFAULT_FRAME_SIZE, Flag, FRAME_HEADER, FrameType } from "./protocol.js";
import { TINY } from "./receive-data.js";

/** Larger payloads are better forwarded where they are. */
const SMALL = 1_024;
const LOOP_COPY = 48;

/** True when the whole DATA frame at `head` is small and the next one goes on with the same stream. */
export function startsRun(c: Connection, buf: Buffer, head: number, length: number): boolean {
  return (
    length < SMALL &&
    buf[head + 4] === 0 &&
    c.settingsSeen &&
    c.blockStream === 0 &&
    continues(buf, head, head + FRAME_HEADER + length)
  );
}

/** The frame whose header stands at `next` is DATA of the stream of the frame at `head`, without padding, and small. */
function continues(buf: Buffer, head: number, next: number): boolean {
  return (
    buf[next + 3] === FrameType.DATA &&
    (buf[next + 4]! & ~Flag.END_STREAM) === 0 &&
    buf[next + 8] === buf[head + 8] &&
    buf[next + 7] === buf[head + 7] &&
    buf[next + 6] === buf[head + 6] &&
    ((buf[next + 5]! ^ buf[head + 5]!) & 0x7f) === 0 &&
    buf[next] === 0 &&
    buf[next + 1]! < SMALL >> 8
  );
}

/**
 * Makes one frame of the run that begins at `head`, in place: its payload, length and END_STREAM are those of all frames
 * together. @returns where the frame after the run begins, or -1 when the run is one tiny frame too many
 */
export function mergeRun(c: Connection, buf: Buffer, head: number, end: number): number {
  const start = head + FRAME_HEADER;
  let to = start + ((buf[head + 1]! << 8) | buf[head + 2]!);
  let next = to;
  if (to - start < TINY && c.server && c.guard.tinyData(c.shared.clock.now)) return -1;
  while (next + FRAME_HEADER <= end && buf[head + 4] === 0 && continues(buf, head, next)) {
    const from = next + FRAME_HEADER;
    const length = (buf[next + 1]! << 8) | buf[next + 2]!;
    if (from + length > end || to + length - start > DEFAULT_FRAME_SIZE) break;
    const flags = buf[next + 4]!;
    // The frame made of them will not look tiny: what they cost is counted here.
    if (length < TINY && flags === 0 && c.server && c.guard.tinyData(c.shared.clock.now)) return -1;
    if (length <= LOOP_COPY) for (let i = 0; i < length; i++) buf[to + i] = buf[from + i]!;
    else buf.copyWithin(to, from, from + length);
    to += length;
    next = from + length;
    buf[head + 4] = flags;
    c.frames++;
  }
  const merged = to - start;
  buf[head] = 0;
  buf[head + 1] = merged >>> 8;
  buf[head + 2] = merged;
  return next;
}
