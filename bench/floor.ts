/**
 * What would a gateway cost that does nothing? A forwarder in the pattern of ours (many connections in, one out, one write per socket and
 * turn of the event loop) that moves messages of fixed size and reads none of them, beside Sluice in the same rounds. What is left between the
 * two is HTTP/2. Must not know anything of HTTP itself. Runs on demand: `node .build/bench/floor.js [--rounds N] [--connections N]`.
 */
import { writeSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Child, endWithParent, freePort, startChild, stopAllChildren, untilListening } from "./children.js";
import { type CpuMeter, cpuMeter } from "./cpu.js";
import { driveThrough } from "./drive.js";
import { sluice } from "./peers/sluice.js";
import { projectRoot } from "./results.js";
import { takeSample } from "./rounds.js";
import { type Scenario, scenarioNamed } from "./scenarios.js";
import { buildStage, placeOnCores, removeScratch, type Stage } from "./stage.js";
import { median, pairedRatio, spread } from "./statistics.js";

/** About what a small call takes on the wire, each way: a number that says whose it is, and filling. */
const MESSAGE = 64;
const BLOCK = 65_536;
const SELF = fileURLToPath(import.meta.url);

/** Hands over whole messages only; what is left of one is moved to the front. */
class Messages {
  readonly buffer = Buffer.allocUnsafeSlow(BLOCK);
  #kept = 0;

  /** Where the next read goes. */
  get room(): Buffer {
    return this.buffer.subarray(this.#kept);
  }

  take(read: number, each: (at: number) => void): void {
    const end = this.#kept + read;
    let at = 0;
    for (; at + MESSAGE <= end; at += MESSAGE) each(at);
    this.buffer.copyWithin(0, at, end);
    this.#kept = end - at;
  }
}

/** Gathers what goes to one socket in a turn; `direct` hands it to the kernel past the runtime's streams, as Sluice does. */
class Out {
  static readonly #waiting: Out[] = [];
  static #scheduled = false;
  readonly #block = Buffer.allocUnsafeSlow(BLOCK);
  readonly #socket: Socket;
  readonly #direct: boolean;
  #used = 0;

  constructor(socket: Socket, direct: boolean) {
    this.#socket = socket;
    this.#direct = direct;
  }

  add(from: Buffer, at: number, id: number): void {
    if (this.#used === 0) Out.#waiting.push(this);
    from.copy(this.#block, this.#used, at, at + MESSAGE);
    this.#block.writeUInt32BE(id, this.#used);
    this.#used += MESSAGE;
    if (Out.#scheduled) return;
    Out.#scheduled = true;
    setImmediate(Out.#flushAll);
  }

  static #flushAll = (): void => {
    Out.#scheduled = false;
    for (const out of Out.#waiting.splice(0)) out.#flush();
  };

  #flush(): void {
    const flight = this.#block.subarray(0, this.#used);
    this.#used = 0;
    const fd = this.#direct ? (this.#socket as unknown as { _handle?: { fd: number } })._handle?.fd : undefined;
    if (fd === undefined) this.#socket.write(Buffer.from(flight));
    else if (writeSync(fd, flight) !== flight.length) throw new Error("the kernel's buffer is full");
  }
}

const forward = async (port: number, target: number, direct: boolean): Promise<void> => {
  const outs: Out[] = [];
  const answers = new Messages();
  const opened = connect({
    port: target,
    host: "127.0.0.1",
    onread: {
      buffer: () => answers.room,
      callback: (read) => {
        answers.take(read, (at) => outs[answers.buffer.readUInt32BE(at)]!.add(answers.buffer, at, 0));
        return true;
      },
    },
  });
  await new Promise((resolve) => opened.once("connect", resolve));
  opened.setNoDelay(true);
  const up = new Out(opened, direct);
  const server = createServer((socket) => {
    socket.setNoDelay(true);
    socket.on("error", () => {});
    const asked = new Messages();
    const id = outs.push(new Out(socket, direct)) - 1;
    // Accepted sockets know no `onread`: the runtime's own way of reading is part of this floor.
    socket.on("data", (chunk: Buffer) => {
      chunk.copy(asked.room);
      asked.take(chunk.length, (at) => up.add(asked.buffer, at, id));
    });
  });
  server.listen(port, "127.0.0.1");
};

const serve = (port: number): void => {
  createServer((socket) => {
    socket.setNoDelay(true);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => void socket.write(chunk));
  }).listen(port, "127.0.0.1");
};

/** Each connection sends its next message when the last one has come back. */
const load = async (port: number, connections: number, seconds: number): Promise<void> => {
  let calls = 0;
  const message = Buffer.alloc(MESSAGE, 7);
  const sockets: Socket[] = [];
  for (let i = 0; i < connections; i++) {
    const socket = connect(port, "127.0.0.1");
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    socket.setNoDelay(true);
    let got = 0;
    socket.on("data", (chunk: Buffer) => {
      got += chunk.length;
      for (; got >= MESSAGE; got -= MESSAGE) {
        calls++;
        socket.write(message);
      }
    });
    sockets.push(socket);
  }
  for (const socket of sockets) socket.write(message);
  setTimeout(() => process.stdout.write(`${calls}`, () => process.exit(0)), seconds * 1000);
};

interface Forwarder {
  readonly title: string;
  readonly port: number;
  readonly meter: CpuMeter;
}

const part = (name: string, cores: string, ...args: (string | number)[]): Child =>
  startChild(name, { file: process.execPath, args: [SELF, name, ...args.map(String)] }, cores);

const startForwarder = async (title: string, target: number, direct: boolean): Promise<Forwarder> => {
  const port = await freePort();
  const child = part("forward", placeOnCores().proxy, port, target, direct ? "direct" : "streams");
  await untilListening(child, port);
  return { title, port, meter: cpuMeter(child.pid) };
};

const sample = async ({ port, meter }: Forwarder, connections: number, seconds: number): Promise<number> => {
  const before = meter.readNs();
  const child = startChild(
    "load",
    { file: process.execPath, args: [SELF, "load", String(port), String(connections), String(seconds)] },
    placeOnCores().load,
    "",
  );
  let printed = "";
  child.process.stdout?.on("data", (text: Buffer) => {
    printed += text;
  });
  await new Promise((resolve) => child.process.once("close", resolve));
  const calls = Number(printed);
  if (!(calls > 0)) throw new Error(`the load through the forwarder failed: ${child.output()}`);
  return (meter.readNs() - before) / 1000 / calls;
};

const sampleSluice = async (stage: Stage, scenario: Scenario, seconds: number): Promise<number> => {
  const contender = stage.contenders[0];
  if (contender === undefined) throw new Error([...stage.broken.values()][0] ?? "Sluice did not start");
  const run = driveThrough(stage, contender, { scenario, seconds, client: "own", rate: 0, processes: 1 });
  const found = await takeSample(contender, run);
  if (typeof found === "string") throw new Error(found);
  return found.cpuPerUnit;
};

const compare = async (rounds: number, connections: number): Promise<void> => {
  endWithParent(removeScratch);
  const scenario: Scenario = { ...scenarioNamed("unary-100x1"), service: "echo", client: "own", connections };
  const stage = await buildStage([scenario], [sluice(projectRoot)]);
  const target = await freePort();
  await untilListening(part("serve", placeOnCores().load, target), target);
  const forwarders = [
    await startForwarder("forwarder, the runtime's streams", target, false),
    await startForwarder("forwarder, writing directly", target, true),
  ];
  const found = new Map<string, number[]>([
    ["Sluice", []],
    ...forwarders.map((one): [string, number[]] => [one.title, []]),
  ]);
  for (let round = -1; round < rounds; round++) {
    const taken: [string, number][] = [["Sluice", await sampleSluice(stage, scenario, 1)]];
    for (const one of forwarders) taken.push([one.title, await sample(one, connections, 1)]);
    // The first round warms all of them.
    if (round >= 0) for (const [title, value] of taken) found.get(title)!.push(value);
  }
  await stopAllChildren();
  const ours = found.get("Sluice")!;
  for (const [title, values] of found)
    process.stdout.write(
      `${title}: ${median(values).toFixed(2)} µs per call ± ${(spread(values) * 100).toFixed(0)} %, Sluice's ${pairedRatio(ours, values).toFixed(2)} times that\n`,
    );
};

const [mode = "", ...words] = process.argv.slice(2);
const numbers = words.map(Number);
if (mode === "serve") serve(numbers[0]!);
else if (mode === "forward") await forward(numbers[0]!, numbers[1]!, words[2] === "direct");
else if (mode === "load") await load(numbers[0]!, numbers[1]!, numbers[2]!);
else {
  const { values } = parseArgs({
    options: { rounds: { type: "string", default: "7" }, connections: { type: "string", default: "100" } },
  });
  await compare(Number(values.rounds), Number(values.connections));
  process.exit(0);
}
