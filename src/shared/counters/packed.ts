/**
 * A batch of asks as one string of bytes and its answers as another: what goes over the wire to a script.
 * Must not know: connections, what an ask means. Governed by: `exchange.ts`; Lua's `struct`, which reads and writes the same.
 * Runs: once per batch.
 */

import { type Ask, REPLY_SIZE } from "./exchange.js";

/** Eight numbers, a flag, and the holder's name behind its length. */
export const ASK_FORMAT = "<ddddddddBBc0";
export const REPLY_FORMAT = "<dddddddd";

const NUMBERS = 8;
const HOLDER_MAX = 255;
const ASK_MAX = NUMBERS * 8 + 2 + HOLDER_MAX;
const DOUBLE = 8;

export function packAsks(asks: readonly Ask[]): Buffer {
  const bytes = Buffer.allocUnsafe(asks.length * ASK_MAX);
  let at = 0;
  for (const ask of asks) at = packAsk(bytes, at, ask);
  return bytes.subarray(0, at);
}

function packAsk(bytes: Buffer, start: number, ask: Ask): number {
  let at = bytes.writeDoubleLE(ask.limit, start);
  at = bytes.writeDoubleLE(ask.perMs, at);
  at = bytes.writeDoubleLE(ask.need, at);
  at = bytes.writeDoubleLE(ask.want, at);
  at = bytes.writeDoubleLE(ask.held, at);
  at = bytes.writeDoubleLE(ask.mine, at);
  at = bytes.writeDoubleLE(ask.birth, at);
  at = bytes.writeDoubleLE(ask.end, at);
  bytes[at++] = ask.aligned ? 1 : 0;
  const length = bytes.write(ask.holder.slice(0, HOLDER_MAX), at + 1, "latin1");
  bytes[at] = length;
  return at + 1 + length;
}

export function unpackReplies(bytes: Buffer): Float64Array {
  const replies = new Float64Array(Math.floor(bytes.length / DOUBLE));
  for (let i = 0; i < replies.length; i++) replies[i] = bytes.readDoubleLE(i * DOUBLE);
  return replies;
}

/** One batch answered in pieces: each ask has its own script where a batch may not span slots. */
export function joinReplies(pieces: readonly ArrayLike<number>[]): Float64Array {
  const replies = new Float64Array(pieces.length * REPLY_SIZE);
  for (const [index, piece] of pieces.entries()) replies.set(piece, index * REPLY_SIZE);
  return replies;
}
