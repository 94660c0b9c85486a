// The pipe that brings a worker its connections: each arrives with its port, and is confirmed.

import assert from "node:assert/strict";
import net from "node:net";
import { type TestContext, test } from "node:test";
import { makeHandOver, type Pair } from "../../src/shared/hand-over.js";
import type { TcpHandle } from "../../src/shared/messages.js";
import { TakeOver } from "../../src/worker/take-over.js";
import { until } from "../support/waiting.js";
import { Caller, freePort, kill, Primary } from "./processes.js";

interface Ends extends Pair {
  readonly confirmed: number[];
  readonly unsent: TcpHandle[];
}

async function pairOf(t: TestContext): Promise<Ends> {
  const confirmed: number[] = [];
  const unsent: TcpHandle[] = [];
  const pair = await makeHandOver({
    adopted: (count) => confirmed.push(count),
    unsent: (handle) => unsent.push(handle),
  });
  assert.ok(pair !== undefined);
  t.after(() => pair.handOver.close());
  return { ...pair, confirmed, unsent };
}

/** An accepted handle and the caller's socket. */
async function connection(t: TestContext): Promise<{ handle: TcpHandle; caller: net.Socket }> {
  const server = net.createServer({ pauseOnConnect: true });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const accepted = new Promise<net.Socket>((resolve) => server.once("connection", resolve));
  const caller = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
  t.after(() => caller.destroy());
  caller.on("error", () => {});
  const socket = await accepted;
  t.after(() => socket.destroy());
  return { handle: (socket as unknown as { _handle: TcpHandle })._handle, caller };
}

test("connections cross the pipe with their ports, in order, and are confirmed by their count", async (t) => {
  const { handOver, far, confirmed } = await pairOf(t);
  const got: { port: number; socket: net.Socket }[] = [];
  const takeOver = new TakeOver(far.fd, far.constructor as never, (handle, port) => {
    got.push({ port, socket: new net.Socket({ handle } as net.SocketConstructorOpts) });
  });
  t.after(() => {
    for (const { socket } of got) socket.destroy();
  });
  const ports = [1, 255, 256, 8_080, 65_535];
  const callers: net.Socket[] = [];
  for (const port of ports) {
    const { handle, caller } = await connection(t);
    callers.push(caller);
    handOver.give(handle, port);
  }
  await until("everything is confirmed", () => confirmed.at(-1) === ports.length);
  assert.deepEqual(
    got.map(({ port }) => port),
    ports,
  );
  assert.equal(takeOver.adopted, ports.length);
  const heard = new Promise((resolve) => callers[3]!.once("data", (bytes) => resolve(String(bytes))));
  got[3]!.socket.write("to the fourth");
  assert.equal(await heard, "to the fourth");
});

test("what was confirmed before the worker's end is read, then the pipe says that it has ended", async (t) => {
  const { handOver, far, confirmed } = await pairOf(t);
  // A worker's last words: a receipt in two pieces, then the end.
  const worker = new net.Socket({ handle: far } as unknown as net.SocketConstructorOpts);
  t.after(() => worker.destroy());
  worker.write(Buffer.of(7));
  worker.end(Buffer.of(0, 0, 0));
  await until("the pipe has ended", () => handOver.ended);
  assert.deepEqual(confirmed, [7]);
  const { handle } = await connection(t);
  handOver.give(handle, 1);
});

test("a connection that cannot be sent is given back, and those after it are sent", async (t) => {
  const { handOver, far, confirmed, unsent } = await pairOf(t);
  const got: number[] = [];
  new TakeOver(far.fd, far.constructor as never, (handle, port) => {
    got.push(port);
    handle.close();
  });
  const [broken, whole] = [await connection(t), await connection(t)];
  broken.handle.close();
  handOver.give(broken.handle, 1);
  handOver.give(whole.handle, 2);
  await until("the other is confirmed", () => confirmed.at(-1) === 1);
  assert.deepEqual([unsent, got], [[broken.handle], [2]]);
});

test("where no pipe can be made connections go over the channel and come back from a dead worker as well", async (t) => {
  const before = process.env["NODE_OPTIONS"];
  // The primary inherits it, and its workers in turn.
  process.env["NODE_OPTIONS"] = "--import=data:text/javascript,process.binding=undefined";
  t.after(() => {
    if (before === undefined) delete process.env["NODE_OPTIONS"];
    else process.env["NODE_OPTIONS"] = before;
  });
  const port = await freePort();
  const primary = new Primary(t, { settings: {}, ports: [port], workers: 1 });
  await primary.logged("worker serves");
  const caller = await Caller.connect(t, port);
  assert.equal(await caller.ask("port"), String(port));
  const first = primary.workers()[0]!;
  process.kill(first, "SIGSTOP");
  const late = await Caller.connect(t, port);
  kill(first);
  assert.notEqual(Number(await late.ask("who")), first);
});
