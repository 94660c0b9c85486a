/**
 * A counter as bytes: how it lies in lmdb.
 * Must not know: databases, what a counter means. Governed by: `Counter` in `exchange.ts`; all workers of a host read it.
 * Runs: once per lease on the embedded home, so it makes no text but the holders' names.
 *
 * Birth, end and units taken as doubles; then per share: units given, units held, second, length of the name, name.
 */

import type { Counter, Share } from "./exchange.js";

const DOUBLE = 8;
const HEAD = 3 * DOUBLE;
const SHARE_HEAD = 3 * DOUBLE + 1;
const NAME_MAX = 255;

export function readCounter(record: Buffer | undefined): Counter | undefined {
  if (record === undefined || record.length < HEAD) return undefined;
  const shares: Share[] = [];
  for (let at = HEAD; at + SHARE_HEAD <= record.length; ) {
    const end = at + SHARE_HEAD + record[at + SHARE_HEAD - 1]!;
    shares.push([
      record.toString("latin1", at + SHARE_HEAD, end),
      record.readDoubleLE(at),
      record.readDoubleLE(at + DOUBLE),
      record.readDoubleLE(at + 2 * DOUBLE),
    ]);
    at = end;
  }
  return {
    birth: record.readDoubleLE(0),
    end: record.readDoubleLE(DOUBLE),
    taken: record.readDoubleLE(2 * DOUBLE),
    shares,
  };
}

/** The end of its window on the host's clock in ms, 0 never. */
export function endOf(record: Buffer): number {
  return record.length < HEAD ? 1 : record.readDoubleLE(DOUBLE);
}

/** New memory each time: the database keeps it until its transaction is written. */
export function writeCounter({ birth, end, taken, shares }: Counter): Buffer {
  let length = HEAD;
  for (const share of shares) length += SHARE_HEAD + Math.min(NAME_MAX, share[0].length);
  const record = Buffer.allocUnsafe(length);
  record.writeDoubleLE(birth, 0);
  record.writeDoubleLE(end, DOUBLE);
  record.writeDoubleLE(taken, 2 * DOUBLE);
  let at = HEAD;
  for (const [name, mine, held, second] of shares) {
    record.writeDoubleLE(mine, at);
    record.writeDoubleLE(held, at + DOUBLE);
    record.writeDoubleLE(second, at + 2 * DOUBLE);
    const written = record.write(name.slice(0, NAME_MAX), at + SHARE_HEAD, "latin1");
    record[at + SHARE_HEAD - 1] = written;
    at += SHARE_HEAD + written;
  }
  return record;
}
