// Memory that sockets read into. A block is counted: the reader that fills it holds it, and so does every slice of it
// that waits to be written. It is read into again only when nobody holds it, so that forwarded bytes are never copied
// and never overwritten. Runs once per read and once per forwarded slice.

export class ReadBlock {
  readonly buf: Buffer;
  readonly pool: ReadBlockPool | null;
  holds = 0;
  /** Those of the holds that keep a request for sending it again. */
  replays = 0;

  /** @param pool where the block goes when the last hold is released; null leaves it to the garbage collector */
  constructor(buf: Buffer, pool: ReadBlockPool | null) {
    this.buf = buf;
    this.pool = pool;
  }

  release(): void {
    if (--this.holds === 0 && this.pool !== null) this.pool.give(this);
  }
}

/** Blocks of one size that nobody holds, at most `maxSpare` of them. */
export class ReadBlockPool {
  readonly size: number;
  private readonly maxSpare: number;
  private readonly spare: ReadBlock[] = [];

  constructor(size: number, maxSpare: number) {
    this.size = size;
    this.maxSpare = maxSpare;
  }

  /** A block with one hold, owned by the caller. */
  take(): ReadBlock {
    const block = this.spare.pop() ?? new ReadBlock(Buffer.allocUnsafeSlow(this.size), this);
    block.holds = 1;
    return block;
  }

  give(block: ReadBlock): void {
    if (this.spare.length < this.maxSpare) this.spare.push(block);
  }
}
