// The pipe over which connections are given to a worker, and by a worker to a thread of its own: a Unix socket pair whose
// messages carry a descriptor each.
// Responsible for making it, for sending and for the taker's receipts. Must not know: who takes, what is placed.
// Both kinds of process give, so it stands here although it is a socket.
// The channel of child_process would do, and does where this one cannot be made: but it sends the next descriptor only
// when the one before it was confirmed, so that every connection costs both processes a turn of their loops, and it
// wraps each in two messages. Here a worker takes what has gathered in one turn and confirms it with four octets; a new
// connection costs less than half (bench/LOG.md).
// Handles as node:child_process uses them. Runs: made once per worker, then once per connection.

import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import type { PipeHandle, TcpHandle } from "./messages.js";

interface Request {
  oncomplete: (status: number) => void;
  /** The system may take it later: until then the descriptor must not go. */
  handle?: TcpHandle;
}

interface NearHandle extends PipeHandle {
  bind(path: string): number;
  listen(backlog: number): number;
  onconnection: ((status: number, far: PipeHandle | undefined) => void) | null;
  connect(request: Request, path: string): number;
  writeBuffer(request: Request, bytes: Uint8Array, handle: TcpHandle): number;
}

interface Bindings {
  readonly Pipe: new (type: number) => NearHandle;
  readonly PipeConnectWrap: new () => Request;
  readonly WriteWrap: new () => Request;
  readonly types: { readonly SERVER: number; readonly IPC: number };
}

/** Undefined on a Node that does not show them. */
function bindings(): Bindings | undefined {
  try {
    const open = (process as unknown as { binding(name: string): Record<string, unknown> }).binding;
    const pipe = open("pipe_wrap");
    const { WriteWrap } = open("stream_wrap");
    const found = { ...pipe, WriteWrap, types: pipe["constants"] };
    return Object.values(found).includes(undefined) ? undefined : (found as unknown as Bindings);
  } catch {
    return undefined;
  }
}

const RECEIPT_OCTETS = 4;

export interface HandOverEvents {
  /** So many connections the taker has taken over since it began. */
  adopted(count: number): void;
  /** It could not be sent (the system carries no more descriptors): it never counts, and is the owner's to close. */
  unsent(handle: TcpHandle): void;
}

/** The taker is gone: what it did not confirm is taken back when its end is noticed. */
const { EPIPE, ECONNRESET, ENOTCONN, ECANCELED } = constants.errno;
const GONE = new Set([EPIPE, ECONNRESET, ENOTCONN, ECANCELED].map((errno) => -errno));

export class HandOver {
  readonly #near: NearHandle;
  readonly #Write: Bindings["WriteWrap"];
  readonly #events: HandOverEvents;
  #rest: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(near: NearHandle, Write: Bindings["WriteWrap"], events: HandOverEvents) {
    this.#near = near;
    this.#Write = Write;
    this.#events = events;
    near.onread = (bytes) => {
      if (bytes === undefined) this.#end();
      else this.#read(Buffer.from(bytes));
    };
    near.readStart();
  }

  /** Everything the worker had to say has been read. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The handle stays open until it is confirmed; a worker that is gone is noticed by its end. */
  give(handle: TcpHandle, port: number): void {
    if (this.#ended) return;
    const request = new this.#Write();
    request.handle = handle;
    request.oncomplete = (status) => this.#sent(status, handle);
    // What is sent may wait for room, each with octets of its own.
    const status = this.#near.writeBuffer(request, Uint8Array.of(port >> 8, port & 0xff), handle);
    if (status !== 0) this.#sent(status, handle);
  }

  #sent(status: number, handle: TcpHandle): void {
    if (status < 0 && !this.#ended && !GONE.has(status)) this.#events.unsent(handle);
  }

  close(): void {
    this.#end();
  }

  #read(bytes: Buffer): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    const whole = all.length - (all.length % RECEIPT_OCTETS);
    this.#rest = all.subarray(whole);
    // Each counts from the beginning: the last one says it all.
    if (whole > 0) this.#events.adopted(all.readUInt32LE(whole - RECEIPT_OCTETS));
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#near.close();
  }
}

export interface Pair {
  readonly handOver: HandOver;
  /** The worker's end, to be sent to it and closed here. */
  readonly far: PipeHandle;
}

/**
 * Node makes no socket pairs; a listener in a folder of our own that lives for one connection gives one. Undefined where
 * that is not possible: connections then go over the channel.
 */
export async function makeHandOver(events: HandOverEvents): Promise<Pair | undefined> {
  const known = bindings();
  if (known === undefined) return undefined;
  let folder = "";
  const server = new known.Pipe(known.types.SERVER);
  const near = new known.Pipe(known.types.IPC);
  try {
    folder = mkdtempSync(join(tmpdir(), "sluice-pair-"));
    const path = join(folder, "s");
    const far = await meet(server, near, path, known);
    return { handOver: new HandOver(near, known.WriteWrap, events), far };
  } catch {
    near.close();
    return undefined;
  } finally {
    server.close();
    if (folder !== "") rmSync(folder, { recursive: true, force: true });
  }
}

function meet(server: NearHandle, near: NearHandle, path: string, known: Bindings): Promise<PipeHandle> {
  return new Promise((resolve, reject) => {
    const must = (status: number): void => {
      if (status !== 0) reject(new Error(`errno ${status}`));
    };
    server.onconnection = (status, far) => {
      if (status === 0 && far !== undefined) resolve(far);
      else must(status);
    };
    must(server.bind(path));
    must(server.listen(1));
    const request = new known.PipeConnectWrap();
    request.oncomplete = must;
    must(near.connect(request, path));
  });
}
