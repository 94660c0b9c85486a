// Responsible for: so many calls a second of every kind that callers make of a gateway, good and bad, from clients that come
// and go, each judged by what it should come to. Must not know: gateways' processes, memory. How often: soaks only.

import { randomUUID } from "node:crypto";
import { connect } from "node:net";
import { type ChannelCredentials, credentials, Metadata, status } from "@grpc/grpc-js";
import { GrpcClient, nextMessage, readAll, statusOf } from "../support/grpc/client.js";
import { METHODS, type Method } from "../support/grpc/contract.js";

export interface Ways {
  readonly port: number;
  readonly tlsPort: number;
  /** Whose certificate the TLS port shows. */
  readonly trusted: string;
  /** Keys: without limits, and with a rate that is often used up. */
  readonly free: string;
  readonly limited: string;
}

/** Listen paths begin with this, then the API's name: so that one connection's client reaches all of them. */
export const ROOT = "soak";
export const SERVICE = "test.Echo";
const through = (api: "open" | "keyed" | "secure", method: Method): Method => ({
  ...method,
  name: `${api}/${SERVICE}/${method.name}`,
});
const OPEN = {
  echo: through("open", METHODS.echo),
  give: through("open", METHODS.give),
  chat: through("open", METHODS.chat),
  hold: through("open", METHODS.hold),
};
const KEYED = through("keyed", METHODS.echo);
const SECURE = through("secure", METHODS.echo);

type Kind =
  | "unary"
  | "giving"
  | "chatting"
  | "cancelled"
  | "short"
  | "unknown"
  | "free"
  | "limited"
  | "secure"
  | "leaving"
  | "silent";

/** How many of a hundred calls are of a kind. */
const MIX: Readonly<Record<Kind, number>> = {
  unary: 24,
  giving: 12,
  chatting: 12,
  cancelled: 8,
  short: 8,
  unknown: 7,
  free: 9,
  limited: 9,
  secure: 9,
  leaving: 1,
  silent: 1,
};
/** A step that visits all of a hundred places, so that kinds are mixed. */
const STEP = 37;
const TICK_MS = 10;
const MOST_MADE_UP_MS = 200;
const MOST_UNDER_WAY = 1_000;
/** Of a call that nothing should delay: a gateway that forgets one is found out. */
const PATIENCE_MS = 30_000;
const MOST_KEPT = 50;

const wheel: readonly Kind[] = (() => {
  const rows = (Object.entries(MIX) as [Kind, number][]).flatMap(([kind, share]) => Array<Kind>(share).fill(kind));
  return rows.map((_, at) => rows[(at * STEP) % rows.length]!);
})();

/** Connections of which each is given up after so many calls, when those that run have ended. */
class Seats {
  readonly #places: { client: GrpcClient; begun: number; running: number }[] = [];
  readonly #make: () => GrpcClient;
  readonly #callsEach: number;
  #turn = 0;

  constructor(make: () => GrpcClient, count: number, callsEach: number) {
    this.#make = make;
    this.#callsEach = callsEach;
    for (let n = 0; n < count; n++) this.#places.push({ client: make(), begun: 0, running: 0 });
  }

  async use<T>(run: (client: GrpcClient) => Promise<T>): Promise<T> {
    const at = this.#turn++ % this.#places.length;
    let seat = this.#places[at]!;
    if (seat.begun >= this.#callsEach) {
      if (seat.running === 0) seat.client.close();
      seat = { client: this.#make(), begun: 0, running: 0 };
      this.#places[at] = seat;
    }
    seat.begun += 1;
    seat.running += 1;
    try {
      return await run(seat.client);
    } finally {
      seat.running -= 1;
      // Closing a client ends its calls: the last one of a seat that was given up does it.
      if (seat.running === 0 && !this.#places.includes(seat)) seat.client.close();
    }
  }

  close(): void {
    for (const { client } of this.#places) client.close();
  }
}

const bearer = (key: string): Metadata => {
  const metadata = new Metadata();
  metadata.set("authorization", key);
  return metadata;
};

const soon = () => ({ deadline: Date.now() + PATIENCE_MS });

/** A call came to something else than it should. */
const unless = (right: boolean, said: string): string => (right ? "" : said || "another answer than was asked for");

export class MixedLoad {
  done = 0;
  /** Calls that were not begun because too many were under way: the machine, or a gateway, is too slow. */
  heldBack = 0;
  /** Time in which nobody called because this process did not run. */
  stalledMs = 0;
  failed = 0;
  /** The first of them, with the time since the load began. */
  readonly failures: string[] = [];
  readonly codes = new Map<string, number>();
  readonly #ways: Ways;
  readonly #plain: Seats;
  readonly #secure: Seats;
  readonly #begun = performance.now();
  readonly #timer: NodeJS.Timeout;
  readonly #running = new Set<Promise<void>>();
  #next = 0;

  constructor(ways: Ways, perSecond: number) {
    this.#ways = ways;
    this.#plain = new Seats(() => this.#client(ways.port), 8, 250);
    const ssl = credentials.createSsl(Buffer.from(ways.trusted));
    this.#secure = new Seats(() => this.#client(ways.tlsPort, ssl), 2, 40);
    let due = 0;
    let last = this.#begun;
    this.#timer = setInterval(() => {
      const now = performance.now();
      // What this process, or the whole machine, slept through is not made up for: that would be a burst, not a moderate load.
      due += (Math.min(now - last, MOST_MADE_UP_MS) / 1_000) * perSecond;
      this.stalledMs += Math.max(0, now - last - MOST_MADE_UP_MS);
      last = now;
      for (; due >= 1; due--) this.#begin();
    }, TICK_MS);
  }

  /** No new calls; resolves when the running ones have ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#running);
    this.#plain.close();
    this.#secure.close();
  }

  summary(): string {
    const codes = [...this.codes].sort(([a], [b]) => a.localeCompare(b)).map(([name, count]) => `${name} ${count}`);
    return `${this.done} calls, ${this.failed} failed, ${this.heldBack} held back, ${(this.stalledMs / 1_000).toFixed(1)} s stalled; ${codes.join(", ")}`;
  }

  #client(port: number, security?: ChannelCredentials): GrpcClient {
    const named = security === undefined ? {} : { "grpc.ssl_target_name_override": "localhost" };
    // As clients are by default: a call that no server has begun is tried again unseen.
    return new GrpcClient(port, ROOT, { "grpc.enable_retries": 1, ...named }, security);
  }

  #begin(): void {
    const kind = wheel[this.#next++ % wheel.length]!;
    if (this.#running.size >= MOST_UNDER_WAY) {
      this.heldBack += 1;
      return;
    }
    const running: Promise<void> = this.#one(kind).then(() => void this.#running.delete(running));
    this.#running.add(running);
  }

  async #one(kind: Kind): Promise<void> {
    const wrong = await this.#kinds[kind]().catch((error: Error) => error.message);
    this.done += 1;
    if (wrong === "") return;
    this.failed += 1;
    const second = ((performance.now() - this.#begun) / 1_000).toFixed(1);
    if (this.failures.length < MOST_KEPT) this.failures.push(`${second} s ${kind}: ${wrong}`);
  }

  #count(kind: Kind, code: number): void {
    const name = `${kind} ${status[code]}`;
    this.codes.set(name, (this.codes.get(name) ?? 0) + 1);
  }

  readonly #kinds: Readonly<Record<Kind, () => Promise<string>>> = {
    unary: () => this.#plain.use((client) => this.#unary("unary", client, OPEN.echo, new Metadata(), [status.OK])),
    free: () => this.#plain.use((client) => this.#unary("free", client, KEYED, bearer(this.#ways.free), [status.OK])),
    limited: () =>
      this.#plain.use((client) =>
        this.#unary("limited", client, KEYED, bearer(this.#ways.limited), [status.OK, status.RESOURCE_EXHAUSTED]),
      ),
    unknown: () =>
      this.#plain.use((client) =>
        this.#unary("unknown", client, KEYED, bearer(randomUUID()), [status.UNAUTHENTICATED]),
      ),
    secure: () => this.#secure.use((client) => this.#unary("secure", client, SECURE, new Metadata(), [status.OK])),
    giving: () =>
      this.#plain.use(async (client) => {
        const { messages, status: end } = await readAll(client.reading(OPEN.give, "20:100"));
        this.#count("giving", end.code);
        return unless(end.code === status.OK && messages.length === 20, `${end.code} ${end.details}`);
      }),
    chatting: () =>
      this.#plain.use(async (client) => {
        const call = client.duplex(OPEN.chat);
        const all = readAll(call);
        for (let n = 0; n < 5; n++) call.write(Buffer.from(`message ${n}`));
        call.end();
        const { messages, status: end } = await all;
        this.#count("chatting", end.code);
        return unless(end.code === status.OK && messages.length === 5, `${end.code} ${end.details}`);
      }),
    cancelled: () =>
      this.#plain.use(async (client) => {
        const call = client.reading(OPEN.hold, "soak:first");
        const ended = statusOf(call);
        // Every second one when nothing, or something, came back; never at once: grpc-js sends such a call and forgets to cancel it.
        if (this.#next % 2 === 0) await nextMessage(call);
        else await new Promise((resolve) => setTimeout(resolve, 1 + (this.#next % 5)));
        call.cancel();
        call.resume();
        const { code, details } = await ended;
        this.#count("cancelled", code);
        return unless(code === status.CANCELLED, `${code} ${details}`);
      }),
    short: () =>
      this.#plain.use(async (client) => {
        const deadline = Date.now() + 5 + (this.#next % 10) * 20;
        const { status: end } = await client.read(OPEN.hold, "soak", { deadline });
        this.#count("short", end.code);
        return unless(end.code === status.DEADLINE_EXCEEDED, `${end.code} ${end.details}`);
      }),
    leaving: async () => {
      const client = this.#client(this.#ways.port);
      const calls = [1, 2, 3].map(() => client.reading(OPEN.hold, "soak:first"));
      try {
        await Promise.all(calls.map(nextMessage));
        const ended = Promise.all(calls.map(statusOf));
        for (const call of calls) call.cancel();
        for (const call of calls) call.resume();
        await ended;
        return "";
      } finally {
        client.close();
      }
    },
    // Connects, says nothing or half a preface, and goes without a word.
    silent: () =>
      new Promise((resolve) => {
        const socket = connect(this.#next % 2 === 0 ? this.#ways.port : this.#ways.tlsPort, "127.0.0.1", () => {
          if (this.#next % 3 === 0) socket.write("PRI * HTTP/2.0\r\n");
          setTimeout(() => socket.resetAndDestroy(), 20);
        });
        socket.on("error", (error) => resolve(error.message));
        socket.on("close", () => resolve(""));
      }),
  };

  async #unary(
    kind: Kind,
    client: GrpcClient,
    method: Method,
    fields: Metadata,
    allowed: readonly status[],
  ): Promise<string> {
    let code = status.OK;
    let said = "";
    try {
      const { body } = await client.unary(method, kind, fields, soon());
      said = unless(body.toString() === kind, "");
    } catch (error) {
      const failure = error as { code?: number; details?: string };
      code = failure.code ?? status.UNKNOWN;
      said = failure.details ?? String(error);
    }
    this.#count(kind, code);
    return allowed.includes(code) ? (code === status.OK ? said : "") : `${code} ${said}`;
  }
}
