// Header blocks remembered by their octets: while a peer's table did not change, equal octets mean equal fields, so a
// block that comes again is neither decoded nor checked again. A block is remembered at its second sight, so that
// blocks that never repeat cost no memory. Bounded: a slot a hash, the last comer stays. Runs once per header block.

import { FieldList } from "./hpack/field-list.js";

/** What a remembered block was checked as. */
export const BlockKind = { REQUEST: 0, RESPONSE: 1, TRAILERS: 2 } as const;

/** Longer blocks are not worth hashing. */
const LONGEST = 512;

/** A remembered block. The layer above may hang what it made of it on `use`. */
export class HeaderMemo {
  readonly bytes: Uint8Array;
  readonly hash: number;
  readonly generation: number;
  readonly kind: number;
  readonly list: FieldList;
  readonly flaw: number;
  use: object | null = null;

  constructor(bytes: Uint8Array, hash: number, generation: number, kind: number, list: FieldList, flaw: number) {
    this.bytes = bytes;
    this.hash = hash;
    this.generation = generation;
    this.kind = kind;
    this.list = list;
    this.flaw = flaw;
  }
}

export class MemoTable {
  private readonly slots: (HeaderMemo | null)[];
  private readonly seen: Int32Array;
  private readonly mask: number;
  private hash = 0;
  /** Under which generation a block was last remembered. */
  private generation = -1;

  /** @param size number of slots, a power of two */
  constructor(size: number) {
    this.slots = new Array<HeaderMemo | null>(size).fill(null);
    this.seen = new Int32Array(size);
    this.mask = size - 1;
  }

  /** The remembered block with these octets, or null; `remember` may follow with the same arguments. */
  find(buf: Uint8Array, start: number, end: number, generation: number, kind: number): HeaderMemo | null {
    const length = end - start;
    if (length > LONGEST) return null;
    // A peer that puts something into its table with every block never meets what is remembered.
    if (generation !== this.generation) return null;
    const hash = hashOf(buf, start, end, kind);
    this.hash = hash;
    const memo = this.slots[hash & this.mask]!;
    if (memo === null || memo.hash !== hash || memo.generation !== generation || memo.kind !== kind) return null;
    const bytes = memo.bytes;
    if (bytes.length !== length) return null;
    for (let i = 0; i < length; i++) if (bytes[i] !== buf[start + i]) return null;
    return memo;
  }

  /** Remembers the block just looked for and decoded, if it was met before. @returns the memo or null */
  remember(
    buf: Uint8Array,
    start: number,
    end: number,
    generation: number,
    kind: number,
    list: FieldList,
    flaw: number,
  ): HeaderMemo | null {
    if (end - start > LONGEST || list.overflow) return null;
    if (generation !== this.generation) {
      this.generation = generation;
      this.hash = hashOf(buf, start, end, kind);
    }
    const slot = this.hash & this.mask;
    if (this.seen[slot] !== this.hash) {
      this.seen[slot] = this.hash;
      return null;
    }
    const memo = new HeaderMemo(
      Uint8Array.prototype.slice.call(buf, start, end),
      this.hash,
      generation,
      kind,
      copyOf(list),
      flaw,
    );
    this.slots[slot] = memo;
    return memo;
  }
}

function hashOf(buf: Uint8Array, start: number, end: number, kind: number): number {
  let hash = (end - start) ^ (kind << 24);
  for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + buf[i]!) | 0;
  return hash ^ (hash >>> 15);
}

function copyOf(list: FieldList): FieldList {
  const copy = new FieldList();
  for (let i = 0; i < list.length; i++) copy.push(list.fields[i]!);
  copy.method = list.method;
  copy.scheme = list.scheme;
  copy.authority = list.authority;
  copy.path = list.path;
  copy.status = list.status;
  copy.host = list.host;
  copy.contentType = list.contentType;
  copy.te = list.te;
  copy.expect = list.expect;
  copy.grpcTimeout = list.grpcTimeout;
  copy.grpcStatus = list.grpcStatus;
  copy.grpcMessage = list.grpcMessage;
  copy.contentLength = list.contentLength;
  copy.statusCode = list.statusCode;
  copy.unstable = list.unstable;
  return copy;
}
