// The sizes of memory that sockets read into. A connection begins with a small block, because most lie idle, and gets
// larger ones while its reads fill what they are given. Pools are shared by all connections of the worker.

import { ReadBlockPool } from "../../shared/base/read-block.js";

const KIB = 1_024;

/** From idle to bulk: 256 KiB is where the cost per megabyte stops falling (bench/LOG.md). */
export const READ_SIZES: readonly number[] = [4 * KIB, 64 * KIB, 256 * KIB];

export function makeReadPools(): readonly ReadBlockPool[] {
  return [
    new ReadBlockPool(READ_SIZES[0]!, 1_024),
    new ReadBlockPool(READ_SIZES[1]!, 64),
    new ReadBlockPool(READ_SIZES[2]!, 16),
  ];
}
