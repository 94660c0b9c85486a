// The header list that one target gets, and its encoded form for each upstream connection: made once per plan, with gaps
// for the fields that change with every call and for credentials, whose literals are put in at the end. Runs once per call.

import type { Connection } from "../../shared/http2/connection.js";
import { encodeNamed, literalBound } from "../../shared/http2/hpack/encoder.js";
import type { Field, FieldName } from "../../shared/http2/hpack/field.js";

/** A header block for one upstream connection; valid while its encoder's table stays as it was. */
interface EncodedOnce {
  readonly connection: Connection;
  readonly generation: number;
  readonly bytes: Uint8Array;
  /** Where, in `bytes`, the gaps' literals are put in; ascending. */
  readonly cuts: readonly number[];
  /** The gaps' names, and what stands for each under this generation. */
  readonly names: readonly FieldName[];
  readonly indices: readonly number[];
}

const MAX_ENCODED = 8;

/** The header list as one target gets it: fields, and gaps that name a position of the caller's list. */
export class Outgoing {
  /** Null where a gap is. */
  readonly fields: readonly (Field | null)[];
  /** For each gap in order, which of the call's volatile fields fills it. */
  readonly gaps: readonly number[];
  private encoded: EncodedOnce[] = [];

  private readonly size: number;

  constructor(fields: readonly (Field | null)[], gaps: readonly number[]) {
    this.fields = fields;
    this.gaps = gaps;
    let size = 0;
    for (const field of fields) size += field === null ? 0 : field.size;
    this.size = size;
  }

  /** The size of the list as SETTINGS_MAX_HEADER_LIST_SIZE counts it. */
  sizeWith(volatile: readonly Field[]): number {
    const { gaps } = this;
    let { size } = this;
    for (let i = 0; i < gaps.length; i++) size += volatile[gaps[i]!]!.size;
    return size;
  }

  /** The header block for `c` is left in `block` up to the returned length. `volatile` holds the gaps' fields. */
  encode(c: Connection, volatile: readonly Field[]): number {
    const encoder = c.encoder;
    for (let i = 0; i < this.encoded.length; i++) {
      const known = this.encoded[i]!;
      if (known.connection !== c) continue;
      if (known.generation === encoder.generation) return assemble(known, this.gaps, volatile);
      this.encoded.splice(i, 1);
      break;
    }
    const length = encoder.encode(this.filled(volatile), this.fields.length);
    room(length);
    block.set(encoder.out.subarray(0, length));
    if (!encoder.lastInserted) this.remember(c, volatile);
    return length;
  }

  /** The whole list of fields for one call. */
  filled(volatile: readonly Field[]): Field[] {
    let gap = 0;
    return this.fields.map((field) => field ?? volatile[this.gaps[gap++]!]!);
  }

  private remember(c: Connection, volatile: readonly Field[]): void {
    const encoder = c.encoder;
    const runs: Uint8Array[] = [];
    const cuts: number[] = [];
    let run: Field[] = [];
    let length = 0;
    const close = (): void => {
      const n = encoder.encode(run, run.length, false);
      runs.push(encoder.out.slice(0, n));
      length += n;
      run = [];
    };
    const generation = encoder.generation;
    for (const field of this.fields) {
      if (field !== null) run.push(field);
      else {
        close();
        cuts.push(length);
      }
    }
    close();
    if (encoder.generation !== generation || encoder.lastInserted) return;
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const part of runs) {
      bytes.set(part, at);
      at += part.length;
    }
    if (this.encoded.length >= MAX_ENCODED) this.encoded.shift();
    const names = this.gaps.map((gap) => volatile[gap]!.name);
    const indices = names.map((name) => encoder.nameIndexOf(name));
    this.encoded.push({ connection: c, generation, bytes, cuts, names, indices });
  }
}

/** The last block encoded; valid until the next. */
export let block: Uint8Array = new Uint8Array(4_096);

function room(n: number): void {
  if (n > block.length) block = new Uint8Array(Math.max(n, block.length * 2));
}

function assemble(known: EncodedOnce, gaps: readonly number[], volatile: readonly Field[]): number {
  const { bytes, cuts, names, indices } = known;
  if (cuts.length === 0) {
    block = bytes.length > block.length ? new Uint8Array(bytes.length * 2) : block;
    copyInto(bytes, 0, bytes.length, 0);
    return bytes.length;
  }
  let bound = bytes.length;
  for (let i = 0; i < cuts.length; i++) bound += literalBound(volatile[gaps[i]!]!);
  room(bound);
  let from = 0;
  let at = 0;
  for (let i = 0; i < cuts.length; i++) {
    const cut = cuts[i]!;
    copyInto(bytes, from, cut, at);
    const field = volatile[gaps[i]!]!;
    at = encodeNamed(field, field.name === names[i] ? indices[i]! : 0, block, at + cut - from);
    from = cut;
  }
  copyInto(bytes, from, bytes.length, at);
  return at + bytes.length - from;
}

function copyInto(from: Uint8Array, start: number, end: number, at: number): void {
  if (end - start > 64) {
    block.set(from.subarray(start, end), at);
    return;
  }
  for (let i = start; i < end; i++) block[at++] = from[i]!;
}
