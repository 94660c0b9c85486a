/**
 * One run of the load client: opens the connections, starts calls when they are due, stops in time, counts. Must not know frames.
 * Closed loop: the next call starts when one ends. Open loop: calls have a place on a fixed schedule and are timed from there, also when
 * nothing was free to carry them (no coordinated omission). Runs once per process; its callbacks run once per call.
 */
import { connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import type { Share } from "../outcome.js";
import { type Call, type CallEnds, ClientLink } from "./client.js";
import { Ledger } from "./ledger.js";
import type { LoadOrder } from "./order.js";

/** How long calls under way may still take when the time is over. */
const DRAIN_MS = 15_000;
const TICK_MS = 1;

/** The last ticket that a server gave out: TLS 1.3 sends it after the handshake, on the open connection. */
let ticket: Buffer | undefined;

const openTls = (order: LoadOrder): TLSSocket => {
  const resumed = order.resume ? ticket : undefined;
  const socket = connectTls({
    port: order.port,
    host: "127.0.0.1",
    ALPNProtocols: ["h2"],
    rejectUnauthorized: false,
    ...(resumed === undefined ? {} : { session: resumed }),
  });
  if (order.resume)
    socket.on("session", (session) => {
      ticket = session;
    });
  socket.once("secureConnect", () => {
    if (resumed !== undefined && !socket.isSessionReused()) socket.destroy(new Error("TLS session was not resumed"));
  });
  return socket;
};

const openSocket = (order: LoadOrder): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = order.tls ? openTls(order) : connect({ port: order.port, host: "127.0.0.1" });
    socket.setNoDelay(true);
    socket.once("error", reject);
    socket.once(order.tls ? "secureConnect" : "connect", () => {
      if (socket.destroyed) return;
      socket.off("error", reject);
      resolve(socket);
    });
  });

export class LoadSession implements CallEnds {
  readonly #order: LoadOrder;
  readonly #drainMs: number;
  readonly #ledger = new Ledger();
  readonly #links: ClientLink[] = [];
  /** Intended starts that found every stream taken. */
  readonly #late: number[] = [];
  #lateAt = 0;
  #issued = 0;
  #ended = 0;
  #turn = 0;
  #stopping = false;
  #opening = 0;
  #finished: () => void = () => {};

  constructor(order: LoadOrder, drainMs = DRAIN_MS) {
    this.#order = order;
    this.#drainMs = drainMs;
  }

  /** Runs the whole order and hands back what came of it. Once all connections stand, `whenReady` says when calls may begin. */
  async run(whenReady: () => Promise<void> = async () => {}): Promise<Share> {
    try {
      for (let i = 0; i < this.#order.connections; i++)
        this.#links.push(new ClientLink(await openSocket(this.#order), this.#order, this));
    } catch (error) {
      this.#ledger.failed(`cannot connect: ${error instanceof Error ? error.message : String(error)}`);
      this.close();
      return this.#ledger.outcome();
    }
    await whenReady();
    const done = new Promise<void>((resolve) => {
      this.#finished = resolve;
    });
    const began = performance.now();
    this.#ledger.begin(began);
    const stop = setTimeout(() => this.#stop(), this.#order.seconds * 1000);
    const drain = setTimeout(() => this.#giveUp(), this.#order.seconds * 1000 + this.#drainMs);
    if (this.#order.rate > 0) this.#tick(began);
    else this.#fill();
    await done;
    clearTimeout(stop);
    clearTimeout(drain);
    this.close();
    return this.#ledger.outcome();
  }

  close(): void {
    this.#stopping = true;
    for (const link of this.#links) link.wire.socket.destroy();
  }

  callEnded(link: ClientLink, call: Call, reason: string | null): void {
    const { requestBytes, kind } = this.#order;
    if (reason !== null) this.#ledger.failed(reason);
    else {
      const received = call.check.messages * (kind === "client" ? 0 : this.#order.replyBytes);
      const sent = kind === "client" || kind === "bidi" ? call.sentMessages * requestBytes : 0;
      const messages = kind === "client" ? call.sentMessages : call.check.messages;
      this.#ledger.succeeded(call.intended, performance.now(), messages, received + sent);
    }
    // Those that failed are over too: an order of calls that are all refused must end.
    if (++this.#ended === this.#order.calls) this.#stop();
    if (this.#order.reconnect) void this.#replace(link);
    else this.#next(link);
    this.#settle();
  }

  linkReady(): void {}

  linkEnded(_link: ClientLink, reason: string): void {
    if (!this.#stopping && !this.#order.reconnect) this.#ledger.failed(reason);
    this.#settle();
  }

  #fill(): void {
    for (const link of this.#links) while (this.#mayStart() && link.hasRoom) this.#start(link, performance.now());
  }

  #mayStart(): boolean {
    return !this.#stopping && (this.#order.calls === 0 || this.#issued < this.#order.calls);
  }

  #start(link: ClientLink, intended: number): void {
    this.#issued++;
    link.start(intended);
  }

  /** A stream became free: the longest waiting call takes it, or in the closed loop simply the next. */
  #next(link: ClientLink): void {
    if (link.closed) return;
    if (this.#order.rate === 0) {
      if (this.#mayStart()) this.#start(link, performance.now());
    } else if (this.#lateAt < this.#late.length) {
      this.#start(link, this.#late[this.#lateAt++]!);
    }
  }

  #tick(began: number): void {
    const interval = 1000 / this.#order.rate;
    let due = 0;
    const turn = (): void => {
      if (this.#stopping) return;
      for (const now = performance.now(); began + due * interval <= now; due++) this.#dispatch(began + due * interval);
      setTimeout(turn, TICK_MS);
    };
    turn();
  }

  #dispatch(intended: number): void {
    for (let tries = this.#links.length; tries > 0; tries--) {
      const link = this.#links[this.#turn++ % this.#links.length]!;
      if (link.hasRoom) {
        this.#start(link, intended);
        return;
      }
    }
    this.#late.push(intended);
  }

  async #replace(link: ClientLink): Promise<void> {
    const slot = this.#links.indexOf(link);
    link.closed = true;
    link.wire.socket.destroy();
    if (!this.#mayStart() || slot < 0) return;
    this.#opening++;
    const intended = performance.now();
    try {
      const socket = await openSocket(this.#order);
      this.#links[slot] = new ClientLink(socket, this.#order, this);
      if (this.#mayStart()) this.#start(this.#links[slot]!, intended);
    } catch (error) {
      this.#ledger.failed(`cannot connect: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#opening--;
    this.#settle();
  }

  /** What was due still starts when a stream becomes free, unless the order asks only how long it would have waited. */
  #stop(): void {
    this.#stopping = true;
    if (this.#order.tolerant) this.#countLate((intended, now) => this.#ledger.waited(intended, now));
    this.#settle();
  }

  #countLate(count: (intended: number, now: number) => void): void {
    for (const now = performance.now(); this.#lateAt < this.#late.length; this.#lateAt++)
      count(this.#late[this.#lateAt]!, now);
  }

  #giveUp(): void {
    this.#countLate(() => this.#ledger.failed("due but never started: every stream was taken"));
    for (const link of this.#links) for (let left = link.running; left > 0; left--) this.#ledger.failed("no answer");
    this.#finished();
  }

  #settle(): void {
    const allGone = this.#links.every((link) => link.closed);
    if (allGone && !this.#order.reconnect)
      this.#countLate(() => this.#ledger.failed("due but never started: no connection left"));
    if (
      (this.#stopping || (allGone && !this.#order.reconnect)) &&
      this.#opening === 0 &&
      this.#links.every((link) => link.running === 0)
    )
      this.#finished();
  }
}
