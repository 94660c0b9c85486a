// Responsible for: so many calls in flight all the time, unary and streaming, from clients that come and go; what became of
// each is counted and its content checked. Must not know: gateways, what goes wrong meanwhile. How often: tests only.

import { status } from "@grpc/grpc-js";
import { GrpcClient, readAll } from "./client.js";
import { METHODS } from "./contract.js";

export interface SteadyOptions {
  readonly port: number;
  readonly service: string;
  readonly inFlight: number;
  readonly clients: number;
  /** A client closes its connection, when its calls are done, after so many of them. */
  readonly callsPerConnection: number;
}

export interface Failure {
  readonly kind: string;
  readonly code: number;
  readonly details: string;
}

/** One connection's life. */
interface Seat {
  readonly client: GrpcClient;
  begun: number;
  running: number;
}

const KINDS = ["unary", "unary", "giving", "chatting"] as const;

export class SteadyLoad {
  readonly failures: Failure[] = [];
  done = 0;
  readonly #options: SteadyOptions;
  readonly #seats: Seat[];
  readonly #lanes: Promise<void>[];
  #stopping = false;

  constructor(options: SteadyOptions) {
    this.#options = options;
    this.#seats = Array.from({ length: options.clients }, () => this.#sit());
    this.#lanes = Array.from({ length: options.inFlight }, (_, lane) => this.#lane(lane));
  }

  /** Resolves when so many more calls have ended. */
  async pass(calls: number): Promise<void> {
    const until = this.done + calls;
    while (this.done < until) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  /** No new calls; resolves when the running ones have ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#lanes);
    for (const seat of this.#seats) seat.client.close();
  }

  async #lane(lane: number): Promise<void> {
    const kind = KINDS[lane % KINDS.length]!;
    for (let n = 0; !this.#stopping; n++) {
      const seat = this.#seatFor(lane % this.#seats.length);
      seat.begun += 1;
      seat.running += 1;
      await this.#call(seat.client, kind, `${lane}.${n}`);
      seat.running -= 1;
      this.done += 1;
      // Closing a client ends its calls: the last one of a seat that was given up does it.
      if (seat.running === 0 && !this.#seats.includes(seat)) seat.client.close();
    }
  }

  #seatFor(place: number): Seat {
    const seat = this.#seats[place]!;
    if (seat.begun < this.#options.callsPerConnection) return seat;
    if (seat.running === 0) seat.client.close();
    const next = this.#sit();
    this.#seats[place] = next;
    return next;
  }

  async #call(client: GrpcClient, kind: (typeof KINDS)[number], text: string): Promise<void> {
    try {
      if (kind === "unary") this.#expect(kind, (await client.unary(METHODS.echo, text)).body.toString() === text);
      else if (kind === "giving") this.#judge(kind, await client.read(METHODS.give, "20:100"), 20);
      else this.#judge(kind, await this.#chat(client, text), 5);
    } catch (error) {
      const { code = -1, details = String(error) } = error as { code?: number; details?: string };
      this.failures.push({ kind, code, details });
    }
  }

  #chat(client: GrpcClient, text: string): ReturnType<typeof readAll> {
    const call = client.duplex(METHODS.chat);
    const all = readAll(call);
    for (let n = 0; n < 5; n++) call.write(Buffer.from(`${text}:${n}`));
    call.end();
    return all;
  }

  #judge(kind: string, stream: Awaited<ReturnType<typeof readAll>>, messages: number): void {
    const { code, details } = stream.status;
    if (code !== status.OK) this.failures.push({ kind, code, details });
    else this.#expect(kind, stream.messages.length === messages);
  }

  #expect(kind: string, right: boolean): void {
    if (!right) this.failures.push({ kind, code: -1, details: "another answer than was asked for" });
  }

  /** As clients are by default: a call that no server has begun is tried again unseen. */
  #connect(): GrpcClient {
    return new GrpcClient(this.#options.port, this.#options.service, { "grpc.enable_retries": 1 });
  }

  #sit(): Seat {
    return { client: this.#connect(), begun: 0, running: 0 };
  }
}
