// The thread that ends TLS: takes accepted connections, does their handshakes by the same rules as the loop would
// (front.ts), and carries cleartext octets to and from it, a batch a turn.
// Must not know: HTTP/2, routes. Governed by: design section 5, http_server_options.tls_threads.
// Runs: once per read and write of a connection, on a thread.

import type { Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import type { Logger } from "pino";
import { Clock } from "../../shared/base/clock.js";
import type { WorkerConfig } from "../../shared/messages.js";
import type { Transport } from "../downstream/transport.js";
import { type PipeConstructor, TakeOver } from "../take-over.js";
import { Batch, MOST_UNDER_WAY, Order, readBatch, TOOK_STEP } from "./batch.js";
import { TlsFront } from "./front.js";
import { type FromThread, sentPeer, type ToThread } from "./thread-messages.js";

const TICK_MS = 500;
/** Copied out at once, so all connections share it. */
const SCRATCH = Buffer.allocUnsafeSlow(65_536);

const port = parentPort!;
const batch = new Batch();
const carried = new Map<number, Carried>();
const clock = new Clock();
let connections = 0;
let scheduled = false;
let pendingTold = 0;

function say(message: FromThread): void {
  port.postMessage(message);
}

function flushLater(): void {
  if (scheduled) return;
  scheduled = true;
  setImmediate(flush);
}

function flush(): void {
  scheduled = false;
  if (front.pending !== pendingTold) {
    pendingTold = front.pending;
    batch.add(Order.PENDING, 0, pendingTold);
  }
  if (batch.empty) return;
  const message = batch.take();
  port.postMessage(message, [message]);
}

/** One connection past its handshake. */
class Carried {
  private readonly id: number;
  private readonly socket: Socket;
  private unread = 0;
  private unsaid = 0;
  private paused = false;

  constructor(id: number, transport: Transport, port: number) {
    this.id = id;
    this.socket = transport.open(
      () => SCRATCH,
      (n) => this.read(n),
    );
    this.socket.setNoDelay(true);
    this.socket.on("error", () => this.socket.destroy());
    this.socket.on("close", () => this.closed());
    const { protocol, peer } = transport;
    const address = this.socket.remoteAddress ?? "";
    // Batches come after it: what they say of this connection finds it known.
    say({ type: "opened", connection: id, port, address, protocol, peer: peer === null ? null : sentPeer(peer) });
  }

  private read(n: number): boolean {
    batch.addData(this.id, SCRATCH.subarray(0, n));
    flushLater();
    this.unread += n;
    this.paused = this.unread >= MOST_UNDER_WAY;
    return !this.paused;
  }

  took(octets: number): void {
    this.unread -= octets;
    if (!this.paused || this.unread >= MOST_UNDER_WAY) return;
    this.paused = false;
    this.socket.resume();
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes, () => {
      this.unsaid += bytes.length;
      if (this.unsaid < TOOK_STEP) return;
      batch.add(Order.TOOK, this.id, this.unsaid);
      this.unsaid = 0;
      flushLater();
    });
  }

  end(): void {
    this.socket.end();
  }

  drop(): void {
    this.socket.destroy();
  }

  private closed(): void {
    if (!carried.delete(this.id)) return;
    batch.add(Order.GONE, this.id);
    flushLater();
  }
}

function obey(order: number, connection: number, value: number, bytes: Buffer): void {
  const it = carried.get(connection);
  if (it === undefined) return;
  if (order === Order.DATA) it.write(bytes);
  else if (order === Order.TOOK) it.took(value);
  else if (order === Order.END) it.end();
  else if (order === Order.GONE) {
    carried.delete(connection);
    it.drop();
  }
}

let debugs = false;
const log = {
  warn: (fields: object, text: string) => say({ type: "log", level: "warn", fields, text }),
  debug: (fields: object, text: string) => {
    if (debugs) say({ type: "log", level: "debug", fields, text });
  },
} as unknown as Logger;

const front = new TlsFront({
  clock,
  log,
  onThread: true,
  admit: (transport, at) => {
    // Numbers are 31 bits wide; one that came back after so long is free again.
    connections = (connections + 1) & 0x7fff_ffff;
    carried.set(connections, new Carried(connections, transport, at));
  },
  changed: flushLater,
});

function tick(): void {
  clock.now = Math.trunc(performance.now());
  front.tick(clock.now);
  const { full, resumed, failed } = front.counts;
  if (full + resumed + Object.values(failed).reduce((sum, n) => sum + n, 0) === 0) return;
  say({ type: "counts", full, resumed, failed: { ...failed } });
  front.counts.full = 0;
  front.counts.resumed = 0;
  for (const name of Object.keys(failed) as (keyof typeof failed)[]) failed[name] = 0;
}

clock.now = Math.trunc(performance.now());
setInterval(tick, TICK_MS);

port.on("message", (message: ArrayBuffer | ToThread) => {
  if (message instanceof ArrayBuffer) readBatch(message, obey);
  else if (message.type === "configure") {
    debugs = message.config.settings.log_level === "debug";
    front.configure(message.config as WorkerConfig);
    takeConnections();
  } else if (message.type === "tickets") front.tickets(message.keys);
  else front.close();
});

let takeOver: TakeOver | undefined;

/** Not before it is known what they are received with. */
function takeConnections(): void {
  if (takeOver !== undefined) return;
  const { Pipe } = (process as unknown as { binding(name: string): { Pipe: PipeConstructor } }).binding("pipe_wrap");
  takeOver = new TakeOver((workerData as { fd: number }).fd, Pipe, (connection, at) => front.accept(connection, at));
  say({ type: "ready" });
}
