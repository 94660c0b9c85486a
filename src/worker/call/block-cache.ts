// Response header blocks as one caller's connection gets them, by the block the service sent: while neither table
// changed, the same octets in mean the same octets out. Small and direct: a slot a hash.

import type { HeaderMemo } from "../../shared/http2/header-memo.js";

const SLOTS = 8;

export class BlockCache {
  private memos: (HeaderMemo | null)[] | null = null;
  private readonly generations: number[] = [];
  private readonly blocks: Uint8Array[] = [];

  find(memo: HeaderMemo, generation: number): Uint8Array | null {
    if (this.memos === null) return null;
    const slot = memo.hash & (SLOTS - 1);
    return this.memos[slot] === memo && this.generations[slot] === generation ? this.blocks[slot]! : null;
  }

  remember(memo: HeaderMemo, generation: number, block: Uint8Array): void {
    if (this.memos === null) {
      this.memos = new Array<HeaderMemo | null>(SLOTS).fill(null);
      for (let i = 0; i < SLOTS; i++) {
        this.generations.push(-1);
        this.blocks.push(block);
      }
    }
    const slot = memo.hash & (SLOTS - 1);
    this.memos[slot] = memo;
    this.generations[slot] = generation;
    this.blocks[slot] = block;
  }
}
