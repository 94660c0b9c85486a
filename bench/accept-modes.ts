// Which way of accepting connections should be the default? One question, two answers: how evenly a few long
// connections are spread over workers, and what a short connection costs.
// Usage: node .build/bench/accept-modes.js [--rounds N] [--short N]
// Real primary and worker processes; the data plane only says its pid, so that placing is all that is measured.
// Modes take turns within each round, the figures are medians over the rounds. CPU is that of primary and workers.

import { type ChildProcess, fork } from "node:child_process";
import cluster from "node:cluster";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { pino } from "pino";
import { serve } from "../src/primary/serve.js";
import { settingsObject } from "../src/shared/config/schema.js";
import type { TcpHandle } from "../src/shared/messages.js";
import { NO_FIGURES } from "../src/shared/observe/figures.js";
import { runWorker } from "../src/worker/control.js";
import type { CreateDataPlane } from "../src/worker/plane.js";

const MODES = ["least_connections", "round_robin", "shared"] as const;
const WORKERS = [2, 4];
const LONG = [4, 32];
const CONCURRENCY = 32;
const FILE = fileURLToPath(import.meta.url);
const TICK_MS = 10;

type Mode = (typeof MODES)[number];

const silent = pino({ level: "silent" });

// ---- the worker ----

const sayPid: CreateDataPlane = ({ loadChanged }) => {
  const sockets = new Set<net.Socket>();
  return {
    async configure() {},
    tickets() {},
    targets() {},
    changed() {},
    leave() {},
    move() {},
    health() {},
    accept(handle: TcpHandle) {
      const socket = new net.Socket({ handle } as net.SocketConstructorOpts);
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        sockets.delete(socket);
        loadChanged();
      });
      socket.resume();
      socket.write(`${process.pid}\n`);
    },
    async drain() {
      for (const socket of sockets) socket.destroy();
    },
    load: () => ({ connections: sockets.size, calls: 0 }),
    explain: () => Promise.reject(new Error("nothing is known here")),
    figures: () => NO_FIGURES,
    inspect: () => ({ connections: 0, streams: 0, waits: {}, callers: [], services: [] }),
  };
};

// ---- the primary ----

async function primary(mode: string, workers: number, port: number): Promise<void> {
  const settings = settingsObject.parse({ accept: mode, graceful_shutdown_timeout_duration: 0 });
  const ports = [{ port, address: "127.0.0.1", protocol: "http", main: true }];
  const config = { settings, definitions: [], closed: [], certificates: {}, ports };
  await serve({ config, leftOut: [], version: "", workers, workerFile: FILE, log: silent }, (code) =>
    process.exit(code),
  );
  // serve() has told that it serves. Serving begins with the first worker; the figures are for all of them.
  while (Object.keys(cluster.workers ?? {}).length < workers) await new Promise((resolve) => setTimeout(resolve, 20));
  const pids = Object.values(cluster.workers ?? {}).map((worker) => worker?.process.pid ?? 0);
  process.send?.(pids);
}

// ---- the load ----

interface Gateway {
  readonly child: ChildProcess;
  readonly port: number;
  readonly pids: readonly number[];
}

async function startGateway(mode: Mode, workers: number): Promise<Gateway> {
  const port = await freePort();
  const child = fork(FILE, ["primary", mode, String(workers), String(port)]);
  await once(child, "message");
  const [pids] = (await once(child, "message")) as [number[]];
  const gateway = { child, port, pids: [child.pid ?? 0, ...pids] };
  await everyWorkerAnswers(gateway, workers);
  return gateway;
}

/** Forked is not yet serving: asks until each worker has had a connection, or long enough for the modes that favour one. */
async function everyWorkerAnswers({ port }: Gateway, workers: number): Promise<void> {
  const seen = new Set<string>();
  const until = Date.now() + 3_000;
  while (seen.size < workers && Date.now() < until) {
    const batch = await Promise.all(Array.from({ length: 2 * workers }, () => open(port)));
    for (const { pid, socket } of batch) {
      seen.add(pid);
      socket.resetAndDestroy();
    }
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}

async function stopGateway({ child }: Gateway): Promise<void> {
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  await exit;
}

async function open(port: number): Promise<{ pid: string; socket: net.Socket }> {
  const socket = net.connect(port, "127.0.0.1");
  const [bytes] = (await once(socket, "data")) as [Buffer];
  return { pid: bytes.toString().trim(), socket };
}

/** Long connections as callers open them, one after the other; the share of the busiest worker, 1 = perfectly even. */
async function imbalance({ port }: Gateway, workers: number, connections: number, together: boolean): Promise<number> {
  const opened = together
    ? await Promise.all(Array.from({ length: connections }, () => open(port)))
    : await oneByOne(port, connections);
  const counts = new Map<string, number>();
  for (const { pid, socket } of opened) {
    counts.set(pid, (counts.get(pid) ?? 0) + 1);
    socket.resetAndDestroy();
  }
  // Reports of ended connections are gathered for 100 ms.
  await new Promise((resolve) => setTimeout(resolve, 200));
  return Math.max(...counts.values()) / (connections / workers);
}

async function oneByOne(port: number, connections: number) {
  const opened = [];
  for (let index = 0; index < connections; index += 1) opened.push(await open(port));
  return opened;
}

interface Cost {
  readonly cpuMicros: number;
  readonly perSecond: number;
  readonly p99Ms: number;
}

async function shortConnections({ port, pids }: Gateway, count: number): Promise<Cost> {
  const times: number[] = [];
  let left = count;
  const before = cpuMs(pids);
  const start = performance.now();
  const caller = async () => {
    while (left-- > 0) {
      const begin = performance.now();
      (await open(port)).socket.resetAndDestroy();
      times.push(performance.now() - begin);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, caller));
  const seconds = (performance.now() - start) / 1_000;
  times.sort((a, b) => a - b);
  return {
    cpuMicros: ((cpuMs(pids) - before) * 1_000) / count,
    perSecond: count / seconds,
    p99Ms: times[Math.floor(times.length * 0.99)] ?? 0,
  };
}

function cpuMs(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks * TICK_MS;
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** One figure of one mode and worker count, over the rounds. */
class Figures {
  readonly #values = new Map<string, number[]>();

  add(name: string, value: number): void {
    const values = this.#values.get(name);
    if (values === undefined) this.#values.set(name, [value]);
    else values.push(value);
  }

  print(title: string): void {
    const cells = [...this.#values].map(([name, values]) => `${name} ${median(values).toFixed(2)}`);
    process.stdout.write(`${title.padEnd(30)} ${cells.join("  ")}\n`);
  }
}

async function measure(figures: Figures, mode: Mode, workers: number, short: number): Promise<void> {
  const gateway = await startGateway(mode, workers);
  try {
    for (const connections of LONG) {
      figures.add(`${connections}-one-by-one`, await imbalance(gateway, workers, connections, false));
      figures.add(`${connections}-together`, await imbalance(gateway, workers, connections, true));
    }
    const { cpuMicros, perSecond, p99Ms } = await shortConnections(gateway, short);
    figures.add("cpu-us", cpuMicros);
    figures.add("per-s", perSecond);
    figures.add("p99-ms", p99Ms);
  } finally {
    await stopGateway(gateway);
  }
}

async function load(): Promise<void> {
  const { values } = parseArgs({ options: { rounds: { type: "string" }, short: { type: "string" } } });
  const rounds = Number(values.rounds ?? 5);
  const short = Number(values.short ?? 3_000);
  const all = new Map<string, Figures>();
  for (let round = 0; round < rounds; round += 1) {
    for (const workers of WORKERS) {
      for (const mode of MODES) {
        const title = `${mode}, ${workers} workers`;
        const figures = all.get(title) ?? new Figures();
        all.set(title, figures);
        await measure(figures, mode, workers, short);
      }
    }
  }
  process.stdout.write("long connections: the busiest worker's share over an even one; short ones: CPU, rate, p99\n");
  for (const [title, figures] of all) figures.print(title);
}

const [, , role, mode = "", workers = "", port = ""] = process.argv;
if (cluster.isWorker) runWorker(sayPid, silent, (code) => process.exit(code));
else if (role === "primary") await primary(mode, Number(workers), Number(port));
else await load();
