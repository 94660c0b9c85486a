/** Starts the load client as a process of its own, on the load's cores, and reads the one JSON line it prints. Runs once per round. */
import { fileURLToPath } from "node:url";
import { startChild } from "../children.js";
import type { Outcome } from "../outcome.js";
import type { LoadOrder } from "./order.js";

const LATE_MS = 20_000;

const broken = (reason: string): Outcome => ({
  calls: 0,
  messages: 0,
  bytes: 0,
  seconds: 0,
  failures: { [reason]: 1 },
  latency: null,
  clientNs: 0,
});

const run = async (script: string, order: LoadOrder, cores: string): Promise<Outcome> => {
  const file = fileURLToPath(new URL(script, import.meta.url));
  const child = startChild("load client", { file: process.execPath, args: [file] }, cores, JSON.stringify(order));
  let printed = "";
  child.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
    printed += text;
  });
  const limit = setTimeout(() => void child.stop(), order.seconds * 1000 + LATE_MS);
  const code = await child.ended;
  clearTimeout(limit);
  try {
    return JSON.parse(printed) as Outcome;
  } catch {
    return broken(`the load client ended with code ${code}: ${child.output().trim().slice(-300)}`);
  }
};

export const runOwnClient = (order: LoadOrder, cores: string): Promise<Outcome> => run("./main.js", order, cores);
export const runGrpcJs = (order: LoadOrder, cores: string): Promise<Outcome> => run("./grpc-js.js", order, cores);
