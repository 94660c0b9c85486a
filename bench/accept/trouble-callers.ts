/**
 * Callers of three kinds that call on and on through @grpc/grpc-js while something happens to the store: with a key that is known, with
 * one whose quota is counted, with keys that nobody has. Every call is written down. Must not know what happens, or what is claimed.
 */
import { randomUUID } from "node:crypto";
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { pause } from "../children.js";
import { ECHO_PATH } from "../load/message.js";

export type Kind = "known" | "counted" | "unknown";

export interface Call {
  readonly kind: Kind;
  readonly code: number;
  readonly details: string;
  /** Milliseconds of this process. */
  readonly begun: number;
  readonly ended: number;
}

const LANES: Readonly<Record<Kind, number>> = { known: 6, counted: 6, unknown: 4 };
const CONNECTIONS = 4;
const PAUSE_MS = 10;
/** Of a call that is never answered: far beyond every wait that is claimed. */
const GIVEN_UP_MS = 20_000;
const READY_MS = 10_000;
const OPTIONS = { "grpc.use_local_subchannel_pool": 1, "grpc.enable_retries": 0 };

const same = (bytes: Buffer): Buffer => bytes;

export class TroubleCallers {
  /** Since somebody took them; bounded by what a few seconds bring. */
  #calls: Call[] = [];
  readonly #clients: readonly Client[];
  readonly #lanes: readonly Promise<void>[];
  #over = false;

  private constructor(clients: readonly Client[], keys: Readonly<Record<"known" | "counted", string>>) {
    this.#clients = clients;
    this.#lanes = (Object.entries(LANES) as [Kind, number][]).flatMap(([kind, count]) =>
      Array.from({ length: count }, (_, n) =>
        this.#lane(kind, clients[n % clients.length]!, () => (kind === "unknown" ? randomUUID() : keys[kind])),
      ),
    );
  }

  static async start(port: number, keys: Readonly<Record<"known" | "counted", string>>): Promise<TroubleCallers> {
    const clients = Array.from(
      { length: CONNECTIONS },
      () => new Client(`127.0.0.1:${port}`, credentials.createInsecure(), OPTIONS),
    );
    await Promise.all(
      clients.map(
        (client) =>
          new Promise<void>((resolve, reject) =>
            client.waitForReady(Date.now() + READY_MS, (error) => (error === undefined ? resolve() : reject(error))),
          ),
      ),
    );
    return new TroubleCallers(clients, keys);
  }

  /** The calls that have ended since the last time. */
  take(): Call[] {
    const taken = this.#calls;
    this.#calls = [];
    return taken;
  }

  /** How the last calls of a kind ended, newest last. */
  lately(kind: Kind, count: number): Call[] {
    return this.#calls.filter((call) => call.kind === kind).slice(-count);
  }

  async stop(): Promise<void> {
    this.#over = true;
    await Promise.all(this.#lanes);
    for (const client of this.#clients) client.close();
  }

  async #lane(kind: Kind, client: Client, key: () => string): Promise<void> {
    while (!this.#over) {
      this.#calls.push(await this.#call(kind, client, key()));
      await pause(PAUSE_MS);
    }
  }

  #call(kind: Kind, client: Client, key: string): Promise<Call> {
    return new Promise((resolve) => {
      const metadata = new Metadata();
      metadata.set("authorization", key);
      const begun = performance.now();
      const options = { deadline: Date.now() + GIVEN_UP_MS };
      const call = client.makeUnaryRequest(ECHO_PATH, same, same, Buffer.alloc(0), metadata, options, () => undefined);
      call.on("status", ({ code, details }) => resolve({ kind, code, details, begun, ended: performance.now() }));
    });
  }
}

/** How many of each, for people. */
export const tally = (calls: readonly Call[]): string => {
  const counts = new Map<string, number>();
  for (const { kind, code } of calls) {
    const name = `${kind} ${status[code]}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${count} ${name}`).join(", ");
};
