// Responsible for: connections of the engine without sockets: what goes in as frames, what comes out as frames and
// events. Must not know: what is tested. How often: tests only.

import { Clock } from "../../src/shared/base/clock.js";
import { ReadBlock, ReadBlockPool } from "../../src/shared/base/read-block.js";
import { Budget } from "../../src/shared/http2/budget.js";
import { Connection, type ConnectionEvents, type EngineShared } from "../../src/shared/http2/connection.js";
import { MemoTable } from "../../src/shared/http2/header-memo.js";
import { FieldStore } from "../../src/shared/http2/hpack/field.js";
import { FieldList } from "../../src/shared/http2/hpack/field-list.js";
import { DOWNSTREAM_LIMITS, type EngineLimits, UPSTREAM_LIMITS } from "../../src/shared/http2/limits.js";
import { OutputBlocks } from "../../src/shared/http2/output.js";
import { receive } from "../../src/shared/http2/receive.js";
import { sendOpening } from "../../src/shared/http2/send-control.js";
import { sendHeaderBlock } from "../../src/shared/http2/send-headers.js";
import type { Stream } from "../../src/shared/http2/stream.js";
import {
  describe,
  encode,
  Flag,
  type Frame,
  FrameReader,
  headers,
  PREFACE,
  settings,
  settingsAck,
} from "../support/wire/frame.js";
import { block, type Field } from "../support/wire/hpack.js";

export const MIB = 1 << 20;

export function newShared(budget = 64 * MIB): EngineShared {
  return {
    clock: new Clock(),
    fields: new FieldStore(),
    blocks: new OutputBlocks(),
    budget: new Budget(budget),
    copies: new ReadBlockPool(16_384, 4),
    statelessMemo: new MemoTable(16),
    scratch: new FieldList(),
  };
}

/** DATA as it reached the layer above. */
export interface Delivery {
  readonly stream: Stream;
  readonly block: ReadBlock;
  readonly head: number;
  readonly start: number;
  readonly end: number;
  readonly flags: number;
}

/** Writes every event down; `onData` may relay. */
export class Events implements ConnectionEvents {
  readonly log: string[] = [];
  readonly paths: string[] = [];
  onData: ((it: Delivery) => void) | undefined;

  headers(stream: Stream, list: FieldList, memo: unknown, end: boolean): void {
    const first = list.fields[0];
    this.paths.push(list.path?.value ?? "");
    this.log.push(`headers ${stream.id} ${first?.name.text}=${first?.value}${end ? " end" : ""}${memo ? " memo" : ""}`);
  }
  trailers(stream: Stream): void {
    this.log.push(`trailers ${stream.id}`);
  }
  data(stream: Stream, of: ReadBlock, head: number, start: number, end: number, flags: number): void {
    const it = { stream, block: of, head, start, end, flags };
    this.log.push(`data ${stream.id} ${end - start}${flags & Flag.END_STREAM ? " end" : ""}`);
    this.onData?.(it);
  }
  closed(stream: Stream, how: number, code: number): void {
    this.log.push(`closed ${stream.id} ${how} ${code}`);
  }
  settings(): void {
    this.log.push("settings");
  }
  goaway(_c: Connection, last: number, code: number): void {
    this.log.push(`goaway ${last} ${code}`);
  }
  pong(): void {
    this.log.push("pong");
  }
  wake(): void {
    this.log.push("wake");
  }
  failed(_c: Connection, fault: number): void {
    this.log.push(`failed ${fault}`);
  }
}

/** One connection, its peer played by the test. */
export class Side {
  readonly events = new Events();
  readonly connection: Connection;
  private readonly reader = new FrameReader();

  constructor(
    readonly server: boolean,
    limits: Partial<EngineLimits> = {},
    readonly shared: EngineShared = newShared(),
  ) {
    const defaults = server ? DOWNSTREAM_LIMITS : UPSTREAM_LIMITS;
    this.connection = new Connection(server, { ...defaults, ...limits }, shared, this.events);
    sendOpening(this.connection);
  }

  /** Both SETTINGS exchanged; nothing of it is left to look at. */
  greet(...own: [number, number][]): this {
    if (this.server) this.bytes(PREFACE);
    this.feed(settings(...own), settingsAck());
    if (!this.server) this.reader.push(this.written().subarray(PREFACE.length));
    else this.sent();
    this.events.log.length = 0;
    return this;
  }

  /** Frames in one read, each block its own memory. @returns the block they were read into */
  feed(...frames: Frame[]): ReadBlock {
    return this.bytes(Buffer.concat(frames.map((it) => encode(it))));
  }

  bytes(bytes: Buffer): ReadBlock {
    const of = new ReadBlock(Buffer.from(bytes), null);
    of.holds = 1;
    receive(this.connection, of, 0, bytes.length);
    of.release();
    return of;
  }

  /** What a flush would write, as one piece of memory of its own; counts as written. */
  written(): Buffer {
    const { output } = this.connection;
    this.connection.dirty = false;
    const bytes = Buffer.concat(output.takeFlight().parts);
    output.landed();
    return bytes;
  }

  /** The frames a flush would write. */
  sent(): Frame[] {
    return this.reader.push(this.written());
  }

  /** The same, one line each. */
  said(): string[] {
    return this.sent().map(describe);
  }

  /** A request with an open body (server side). */
  request(id: number, end = false, ...more: Field[]): Stream {
    const fields: Field[] = [[":method", "POST"], [":scheme", "http"], [":path", "/"], ...more];
    this.feed(headers(id, block(...fields), { end }));
    return this.connection.streams.get(id)!;
  }

  /** Sends the header block of a response. */
  respond(stream: Stream, end = false, ...fields: Field[]): void {
    const bytes = block([":status", "200"], ...fields);
    sendHeaderBlock(stream, bytes, bytes.length, end);
  }

  get faults(): string[] {
    return this.events.log.filter((it) => it.startsWith("failed"));
  }
}
