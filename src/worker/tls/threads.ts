// The threads of a worker that end TLS (`tls_threads`): started, given connections, replaced when they die.
// Responsible for which thread gets a connection, for what is on its way to one, and for the loop's end of the batches.
// Must not know: handshakes, HTTP/2. Governed by: design section 5. Threads are given accepted connections and do not
// accept themselves, so where a connection goes is the primary's choice with them as without them.
// Runs: once per connection, and once per batch.

import { Worker } from "node:worker_threads";
import type { Logger } from "pino";
import { type HandOver, makeHandOver } from "../../shared/hand-over.js";
import type { TcpHandle, TicketKeys } from "../../shared/messages.js";
import type { Transport } from "../downstream/transport.js";
import { Batch, Order, readBatch } from "./batch.js";
import type { FromThread, Opened, TlsConfig, ToThread } from "./thread-messages.js";
import { transportOf } from "./thread-messages.js";
import { type ThreadLink, ThreadSocket } from "./thread-socket.js";

export interface ThreadsOptions {
  readonly count: number;
  readonly log: Logger;
  admit(transport: Transport, port: number): void;
  /** Connections that are not callers yet have become more or fewer. */
  changed(): void;
  counted(counts: Extract<FromThread, { type: "counts" }>): void;
  /** No thread can take it; nothing of it was read. */
  returned(handle: TcpHandle, port: number): void;
  /** What threads run. */
  readonly file: URL;
}

interface OnItsWay {
  readonly handle: TcpHandle;
  readonly port: number;
}

/** A thread whose loop stands still takes nothing over. */
const MOST_ON_THEIR_WAY = 1_024;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 10_000;
/** Whoever lived so long died of something new. */
const PROVEN_MS = 10_000;

interface ThreadEvents {
  died(thread: TlsThread, how: string): void;
  /** It carries no connection any more. */
  idle(): void;
}

class TlsThread implements ThreadLink {
  readonly sockets = new Map<number, ThreadSocket>();
  readonly onTheirWay: OnItsWay[] = [];
  readonly born = performance.now();
  pending = 0;
  private ready = false;
  private ended = false;
  private readonly worker: Worker;
  private readonly handOver: HandOver;
  private readonly options: ThreadsOptions;
  private readonly events: ThreadEvents;
  private readonly batch = new Batch();
  private readonly send = (): void => this.flush();
  private given = 0;
  private scheduled = false;

  /** @param fd its end of the pipe: from here on the thread's alone, closed with the thread */
  constructor(handOver: HandOver, fd: number, options: ThreadsOptions, events: ThreadEvents) {
    this.handOver = handOver;
    this.options = options;
    this.events = events;
    this.worker = new Worker(options.file, { workerData: { fd } });
    let how = "";
    this.worker.on("message", (message: ArrayBuffer | FromThread) => this.hear(message));
    this.worker.on("error", (error) => {
      how = error.message;
    });
    this.worker.on("exit", (code) => {
      this.ended = true;
      handOver.close();
      events.died(this, how || `exit code ${code}`);
    });
  }

  get load(): number {
    return this.sockets.size + this.pending + this.onTheirWay.length;
  }

  get takesConnections(): boolean {
    return this.ready && !this.ended && this.onTheirWay.length < MOST_ON_THEIR_WAY;
  }

  give(handle: TcpHandle, port: number): void {
    this.given += 1;
    this.onTheirWay.push({ handle, port });
    this.handOver.give(handle, port);
  }

  /** @param adopted how many it has taken over since it began */
  confirmed(adopted: number): void {
    for (let left = this.onTheirWay.length - (this.given - adopted); left > 0; left--)
      this.onTheirWay.shift()!.handle.close();
    this.options.changed();
  }

  unsent(handle: TcpHandle): void {
    const at = this.onTheirWay.findIndex((each) => each.handle === handle);
    if (at < 0) return;
    const [{ port }] = this.onTheirWay.splice(at, 1) as [OnItsWay];
    this.given -= 1;
    this.options.returned(handle, port);
  }

  tell(message: ToThread): void {
    if (!this.ended) this.worker.postMessage(message);
  }

  terminate(): void {
    void this.worker.terminate();
  }

  private hear(message: ArrayBuffer | FromThread): void {
    if (message instanceof ArrayBuffer)
      readBatch(message, (order, connection, value, bytes) => this.obey(order, connection, value, bytes));
    else if (message.type === "opened") this.open(message);
    else if (message.type === "ready") this.ready = true;
    else if (message.type === "counts") this.options.counted(message);
    else this.options.log[message.level](message.fields, message.text);
  }

  private open(opened: Opened): void {
    const socket = new ThreadSocket(this, opened.connection, opened.address);
    this.sockets.set(opened.connection, socket);
    // Its owner listens for errors from the moment it has it.
    this.options.admit(transportOf(opened, socket), opened.port);
  }

  private obey(order: number, connection: number, value: number, bytes: Buffer): void {
    if (order === Order.PENDING) {
      this.pending = value;
      this.options.changed();
      return;
    }
    const socket = this.sockets.get(connection);
    if (socket === undefined) return;
    if (order === Order.DATA) socket.deliver(bytes);
    else if (order === Order.TOOK) socket.written(value);
    else if (order === Order.GONE) socket.lost();
  }

  data(connection: number, bytes: Buffer): void {
    this.batch.addData(connection, bytes);
    this.flushLater();
  }

  took(connection: number, octets: number): void {
    this.batch.add(Order.TOOK, connection, octets);
    this.flushLater();
  }

  end(connection: number): void {
    this.batch.add(Order.END, connection);
    this.flushLater();
  }

  closed(connection: number, known: boolean): void {
    this.sockets.delete(connection);
    if (!known) {
      this.batch.add(Order.GONE, connection);
      this.flushLater();
    }
    if (this.sockets.size === 0) this.events.idle();
  }

  /** When everything of this turn's flush has been written. */
  private flushLater(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    process.nextTick(this.send);
  }

  private flush(): void {
    this.scheduled = false;
    const message = this.batch.take();
    if (!this.ended) this.worker.postMessage(message, [message]);
  }
}

export class TlsThreads {
  readonly #options: ThreadsOptions;
  #threads: TlsThread[] = [];
  readonly #restarts = new Set<NodeJS.Timeout>();
  #config: TlsConfig | null = null;
  #keys: TicketKeys | null = null;
  #deaths = 0;
  #closed = false;

  constructor(options: ThreadsOptions) {
    this.#options = options;
    for (let n = 0; n < options.count; n++) void this.#start();
  }

  /** Connections between accept and the end of their handshake. */
  get pending(): number {
    return this.#threads.reduce((sum, thread) => sum + thread.pending + thread.onTheirWay.length, 0);
  }

  /** Threads that connections can be given to. */
  get serving(): number {
    return this.#threads.filter((thread) => thread.takesConnections).length;
  }

  /** False when no thread can take it. */
  take(handle: TcpHandle, port: number): boolean {
    let best: TlsThread | undefined;
    for (const thread of this.#threads)
      if (thread.takesConnections && (best === undefined || thread.load < best.load)) best = thread;
    if (best === undefined || this.#closed) return false;
    best.give(handle, port);
    this.#options.changed();
    return true;
  }

  configure({ settings, definitions, ports, certificates }: TlsConfig): void {
    this.#config = { settings, definitions, ports, certificates };
    for (const thread of this.#threads) thread.tell({ type: "configure", config: this.#config });
  }

  tickets(keys: TicketKeys): void {
    this.#keys = keys;
    for (const thread of this.#threads) thread.tell({ type: "tickets", keys });
  }

  /** Nobody is received any more; a thread ends with its last connection. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#restarts) clearTimeout(timer);
    this.#restarts.clear();
    for (const thread of this.#threads) {
      for (const { handle } of thread.onTheirWay.splice(0)) handle.close();
      thread.tell({ type: "close" });
    }
    this.#endIdle();
  }

  #endIdle(): void {
    if (this.#closed) for (const thread of this.#threads) if (thread.sockets.size === 0) thread.terminate();
  }

  async #start(): Promise<void> {
    let thread: TlsThread | undefined;
    const pair = await makeHandOver({
      adopted: (count) => thread?.confirmed(count),
      unsent: (handle) => thread?.unsent(handle),
    });
    if (this.#closed || pair === undefined) {
      pair?.handOver.close();
      pair?.far.close();
      if (pair === undefined) this.#options.log.warn("no pipe to a TLS thread: TLS ends on the worker's loop");
      return;
    }
    thread = new TlsThread(pair.handOver, pair.far.fd, this.#options, {
      died: (dead, how) => this.#died(dead, how),
      idle: () => this.#endIdle(),
    });
    if (this.#keys !== null) thread.tell({ type: "tickets", keys: this.#keys });
    if (this.#config !== null) thread.tell({ type: "configure", config: this.#config });
    this.#threads.push(thread);
  }

  #died(dead: TlsThread, how: string): void {
    this.#threads = this.#threads.filter((thread) => thread !== dead);
    for (const socket of [...dead.sockets.values()]) socket.lost(new Error("the thread that ended its TLS has died"));
    const waiting = dead.onTheirWay.splice(0);
    if (this.#closed) {
      for (const { handle } of waiting) handle.close();
      return;
    }
    this.#deaths = performance.now() - dead.born > PROVEN_MS ? 1 : this.#deaths + 1;
    const delay = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (this.#deaths - 1));
    this.#options.log.error({ how, restartInMs: delay }, "a TLS thread died");
    for (const { handle, port } of waiting) if (!this.take(handle, port)) this.#options.returned(handle, port);
    const timer = setTimeout(() => {
      this.#restarts.delete(timer);
      void this.#start();
    }, delay).unref();
    this.#restarts.add(timer);
    this.#options.changed();
  }
}
