/**
 * Starts the load client, as one process or as several that share an order, on the load's cores; lets them begin together and puts together
 * what they hand back. Must not know scenarios. Runs once per round.
 */
import { fileURLToPath } from "node:url";
import { type Child, startChild } from "../children.js";
import { mergeShares, type Outcome, type Share } from "../outcome.js";
import { Histogram } from "./histogram.js";
import { type LoadOrder, splitOrder } from "./order.js";

const LATE_MS = 20_000;

const broken = (reason: string): Share => ({
  calls: 0,
  messages: 0,
  bytes: 0,
  seconds: 0,
  failures: { [reason]: 1 },
  latency: null,
  clientNs: 0,
  durations: new Histogram().data(),
});

interface Client {
  /** All its connections stand, or it has ended. */
  readonly ready: Promise<void>;
  readonly share: Promise<Share>;
  readonly begin: () => void;
}

const shareOf = (printed: string, code: number, child: Child): Share => {
  try {
    return JSON.parse(printed.slice(printed.lastIndexOf("\n") + 1)) as Share;
  } catch {
    return broken(`the load client ended with code ${code}: ${child.output().trim().slice(-300)}`);
  }
};

const start = (script: string, order: LoadOrder, cores: string): Client => {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const command = { file: process.execPath, args: [file] };
  const child = startChild("load client", command, cores, `${JSON.stringify(order)}\n`, true);
  let printed = "";
  const ready = new Promise<void>((resolve) => {
    void child.ended.then(() => resolve());
    child.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
      if (printed.startsWith("ready\n")) resolve();
    });
  });
  const limit = setTimeout(() => void child.stop(), order.seconds * 1000 + LATE_MS);
  const closed = new Promise<number>((resolve) => child.process.once("close", () => void child.ended.then(resolve)));
  const share = closed.then((code) => {
    clearTimeout(limit);
    return shareOf(printed, code, child);
  });
  return { ready, share, begin: () => void child.process.stdin?.end() };
};

export const runOwnClient = async (order: LoadOrder, cores: string, processes = 1): Promise<Outcome> => {
  const clients = splitOrder(order, processes).map((part) => start("./main.js", part, cores));
  await Promise.all(clients.map((client) => client.ready));
  for (const client of clients) client.begin();
  return mergeShares(await Promise.all(clients.map((client) => client.share)));
};

/** At a low rate, for which one process is plenty: there is nobody to wait for. */
export const runGrpcJs = async (order: LoadOrder, cores: string): Promise<Outcome> => {
  const client = start("./grpc-js.js", order, cores);
  client.begin();
  return mergeShares([await client.share]);
};
