/**
 * The load client as a process: an order as one line of JSON on stdin; "ready" on stdout once all connections stand; calls begin when
 * stdin ends, so that several processes begin together; then one share as JSON on stdout. Must not know how many processes there are.
 */
import { createInterface } from "node:readline";
import type { Share } from "../outcome.js";
import { numberCallsFrom } from "./client.js";
import type { LoadOrder } from "./order.js";
import { LoadSession } from "./session.js";

const lines = createInterface({ input: process.stdin });
const begin = new Promise<void>((resolve) => lines.once("close", resolve));
const order = await new Promise<LoadOrder>((resolve) =>
  lines.once("line", (line) => resolve(JSON.parse(line) as LoadOrder)),
);

/** Bulk streams on connections of their own: they are checked like all calls but not timed. */
const besideOrder = (): LoadOrder => ({
  ...order,
  kind: "server",
  path: "/bench.Load/Give/256/65536",
  messages: 256,
  replyBytes: 65_536,
  connections: order.beside,
  streams: 1,
  rate: 0,
  beside: 0,
  storm: 0,
});

const stormOrder = (): LoadOrder => ({
  ...order,
  connections: order.storm,
  streams: 1,
  rate: 0,
  storm: 0,
  beside: 0,
  reconnect: true,
});

const main = async (): Promise<Share> => {
  numberCallsFrom(1 + (order.firstSerial ?? 0));
  const ready = (): Promise<void> => {
    process.stdout.write("ready\n");
    return begin;
  };
  const others: Promise<Share>[] = [];
  if (order.beside > 0) others.push(new LoadSession(besideOrder()).run());
  if (order.storm > 0) others.push(new LoadSession(stormOrder()).run());
  const share = await new LoadSession(order).run(ready);
  const failures = Object.assign(
    {},
    ...(await Promise.all(others)).map((other) => other.failures),
    share.failures,
  ) as Record<string, number>;
  return { ...share, failures };
};

process.stdout.write(JSON.stringify(await main()), () => process.exit(0));
