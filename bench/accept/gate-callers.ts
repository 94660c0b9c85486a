/**
 * Calls of one key over several connections, through @grpc/grpc-js, with the moments between which each was surely decided.
 * Must not know what is claimed. Times are of the day, in milliseconds, where windows matter.
 */
import { Client, credentials, Metadata, status } from "@grpc/grpc-js";
import { pause } from "../children.js";
import { ECHO_PATH } from "../load/message.js";

const same = (bytes: Buffer): Buffer => bytes;
const SECOND = 1_000;

interface Done {
  readonly code: number;
  readonly details: string;
  readonly sent: number;
  readonly answered: number;
}

export interface Paced {
  /** The most calls that surely passed within one second of the clock. */
  readonly fullest: number;
  /** Calls that passed in the whole seconds of the run, and how many those were. */
  readonly passed: number;
  readonly windows: number;
  /** Answers that are neither OK nor a limit; empty when there was none. */
  readonly strange: string;
}

export class HostOfCalls {
  private constructor(private readonly clients: readonly Client[]) {}

  static async connect(ports: readonly number[], count: number): Promise<HostOfCalls> {
    const clients = Array.from({ length: count }, (_, n) => {
      const options = { "grpc.use_local_subchannel_pool": 1, "grpc.enable_retries": 0 };
      return new Client(`127.0.0.1:${ports[n % ports.length]}`, credentials.createInsecure(), options);
    });
    const ready = (client: Client): Promise<void> =>
      new Promise((resolve, reject) =>
        client.waitForReady(Date.now() + 10_000, (error) => (error === undefined ? resolve() : reject(error))),
      );
    await Promise.all(clients.map(ready));
    return new HostOfCalls(clients);
  }

  /** Every connection calls on and on until `end`, which tells when the last call that passed had begun. */
  hammer(key: string, each: number): { end: () => Promise<number> } {
    let over = false;
    let last = 0;
    const run = async (client: Client): Promise<void> => {
      while (!over) {
        const begun = performance.now();
        const { code } = await this.call(client, key);
        if (code === status.OK) last = Math.max(last, begun);
        // Some room for the gateways on a small machine.
        await pause(1);
      }
    };
    const running = Promise.all(this.clients.flatMap((client) => Array.from({ length: each }, () => run(client))));
    return {
      end: async () => {
        over = true;
        await running;
        return last;
      },
    };
  }

  async paced(key: string, perSecond: number, ms: number): Promise<Paced> {
    // From the beginning of a window to the end of one.
    await pause(SECOND - (Date.now() % SECOND));
    const first = Math.floor(Date.now() / SECOND);
    const begun = performance.now();
    const under: Promise<Done>[] = [];
    for (let at = 0; at < ms; at = performance.now() - begun) {
      const due = (at * perSecond) / SECOND;
      while (under.length < due) under.push(this.call(this.clients[under.length % this.clients.length]!, key));
      await pause(2);
    }
    const done = await Promise.all(under);
    const passed = done.filter(({ code }) => code === status.OK);
    const windows = Math.round(ms / SECOND);
    const odd = done.find(({ code }) => code !== status.OK && code !== status.RESOURCE_EXHAUSTED);
    return {
      fullest: fullestOf(passed),
      passed: passed.filter(({ sent }) => Math.floor(sent / SECOND) < first + windows).length,
      windows,
      strange: odd === undefined ? "" : `${odd.code} ${odd.details}`,
    };
  }

  close(): void {
    for (const client of this.clients) client.close();
  }

  private call(client: Client, key: string): Promise<Done> {
    return new Promise((resolve) => {
      const metadata = new Metadata();
      metadata.set("authorization", key);
      const sent = Date.now();
      const call = client.makeUnaryRequest(ECHO_PATH, same, same, Buffer.alloc(0), metadata, () => undefined);
      call.on("status", ({ code, details }) => resolve({ code, details, sent, answered: Date.now() }));
    });
  }
}

const fullestOf = (passed: readonly Done[]): number => {
  const counts = new Map<number, number>();
  for (const { sent, answered } of passed) {
    const window = Math.floor(sent / SECOND);
    if (window === Math.floor(answered / SECOND)) counts.set(window, (counts.get(window) ?? 0) + 1);
  }
  return Math.max(0, ...counts.values());
};
