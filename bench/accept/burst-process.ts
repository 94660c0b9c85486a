/**
 * A burst of calls as a process: an order as one line of JSON on stdin; "ready" on stdout once all connections stand; all calls
 * begin at once when stdin ends; then what became of them as JSON on stdout. By the bench's own client, for which a call costs a
 * few microseconds: what is measured beside a burst is to be the gateway's work and not its caller's.
 * Must not know what is claimed, nor which answers are right.
 */
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { type Call, type CallEnds, ClientLink } from "../load/client.js";
import type { LoadOrder } from "../load/order.js";

/** One kind of end: how many calls had it, and when the last of them did, ms after the burst began. */
export interface BurstEnds {
  readonly count: number;
  readonly last: number;
}

/** By gRPC status, or by what else became of a call. */
export type BurstReport = Readonly<Record<string, BurstEnds>>;

const CONNECT_MS = 10_000;
const STATUS = /^grpc-status (\d+)/;

const open = (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", timeout: CONNECT_MS });
    socket.setNoDelay(true);
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      socket.setTimeout(0);
      resolve(socket);
    });
  });

class Burst implements CallEnds {
  readonly #ends: Record<string, BurstEnds> = {};
  readonly #left: number;
  #begun = 0;
  #ended = 0;
  #over: () => void = () => {};

  constructor(calls: number) {
    this.#left = calls;
  }

  async run(links: readonly ClientLink[], seconds: number): Promise<BurstReport> {
    const done = new Promise<void>((resolve) => {
      this.#over = resolve;
    });
    const limit = setTimeout(this.#over, seconds * 1_000);
    this.#begun = performance.now();
    for (let n = 0; n < this.#left; n++) links[n % links.length]!.start(this.#begun);
    await done;
    clearTimeout(limit);
    return this.#ends;
  }

  callEnded(_link: ClientLink, _call: Call, reason: string | null): void {
    const status = reason === null ? "0" : (STATUS.exec(reason)?.[1] ?? reason);
    this.#ends[status] = { count: (this.#ends[status]?.count ?? 0) + 1, last: performance.now() - this.#begun };
    if (++this.#ended === this.#left) this.#over();
  }

  linkReady(): void {}

  linkEnded(): void {}
}

const lines = createInterface({ input: process.stdin });
const begin = new Promise<void>((resolve) => lines.once("close", resolve));
const order = await new Promise<LoadOrder>((resolve) =>
  lines.once("line", (line) => resolve(JSON.parse(line) as LoadOrder)),
);
const burst = new Burst(order.calls);
const links: ClientLink[] = [];
for (let n = 0; n < order.connections; n++) links.push(new ClientLink(await open(order.port), order, burst));
process.stdout.write("ready\n");
await begin;
const report = await burst.run(links, order.seconds);
process.stdout.write(JSON.stringify(report), () => process.exit(0));
