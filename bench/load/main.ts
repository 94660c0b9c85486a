/** The load client as a process: an order as JSON on stdin, one outcome as JSON on stdout. */
import { readFileSync } from "node:fs";
import type { Outcome } from "../outcome.js";
import type { LoadOrder } from "./order.js";
import { LoadSession } from "./session.js";

const order = JSON.parse(readFileSync(0, "utf8")) as LoadOrder;

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

const main = async (): Promise<Outcome> => {
  const others: Promise<Outcome>[] = [];
  if (order.beside > 0) others.push(new LoadSession(besideOrder()).run());
  if (order.storm > 0) others.push(new LoadSession(stormOrder()).run());
  const outcome = await new LoadSession(order).run();
  const failures = Object.assign(
    {},
    ...(await Promise.all(others)).map((other) => other.failures),
    outcome.failures,
  ) as Record<string, number>;
  return { ...outcome, failures };
};

process.stdout.write(JSON.stringify(await main()), () => process.exit(0));
