// Starts a real primary with stand-in workers and sees to it that nothing of it outlives the test.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { freePorts } from "../support/gateway.js";

export interface StandInOptions {
  readonly settings: Record<string, unknown>;
  readonly ports: readonly number[];
  readonly workers: number;
  readonly workerFile?: string;
  readonly leftOut?: readonly { name: string; reason: string }[];
}

const PRIMARY = fileURLToPath(new URL("stand-in/primary.js", import.meta.url));

type LogLine = Record<string, unknown> & { msg: string };

export class Primary {
  readonly child: ChildProcess;
  readonly #lines: LogLine[] = [];
  readonly #watchers = new Set<() => void>();
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #gone = deferred();
  #ended = false;

  constructor(context: TestContext, options: StandInOptions) {
    this.child = spawn(process.execPath, [PRIMARY, JSON.stringify(options)], { stdio: ["pipe", "pipe", "pipe"] });
    this.exited = once(this.child, "exit").then(([code, signal]) => ({ code, signal }));
    this.#read();
    context.after(() => this.#end());
  }

  get pid(): number {
    return this.child.pid!;
  }

  /** Every line so far that carries this message. */
  lines(message: string): LogLine[] {
    return this.#lines.filter((line) => line.msg.includes(message));
  }

  /** Resolves when so many lines with this message have been logged; rejects when the output ends before. */
  logged(message: string, count = 1): Promise<LogLine[]> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.lines(message);
        if (found.length >= count) resolve(found);
        else if (this.#ended) reject(new Error(`never logged: ${message}; but ${JSON.stringify(this.#lines)}`));
        else return;
        this.#watchers.delete(look);
      };
      this.#watchers.add(look);
      look();
    });
  }

  /** The pids of workers that served at some time, in the order in which they began. */
  workers(): number[] {
    return this.lines("worker serves").map((line) => Number(line.worker));
  }

  #read(): void {
    const { stdout, stderr } = this.child;
    // Workers hold the same pipes: their end means that the last of the processes is gone.
    let open = 2;
    for (const output of [stdout!, stderr!]) {
      let rest = "";
      output.on("data", (bytes: Buffer) => {
        const parts = (rest + bytes.toString()).split("\n");
        rest = parts.pop() ?? "";
        for (const part of parts) if (part !== "") this.#lines.push(readLine(part));
        for (const look of [...this.#watchers]) look();
      });
      output.on("end", () => {
        open -= 1;
        if (open > 0) return;
        this.#ended = true;
        this.#gone.resolve();
        for (const look of [...this.#watchers]) look();
      });
    }
  }

  /** Resolves when the primary and every worker are gone. */
  async allGone(): Promise<void> {
    await this.#gone.promise;
    await this.exited;
  }

  async #end(): Promise<void> {
    this.child.kill("SIGKILL");
    // Workers end by themselves when their primary is gone; one that does not is what a test would have to report.
    for (const pid of this.workers()) if (!this.#ended) kill(pid);
    await this.allGone();
  }
}

/** A line of the log, or of what was written for people. */
function readLine(text: string): LogLine {
  return text.startsWith("{") ? (JSON.parse(text) as LogLine) : { msg: text };
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

export function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // Already gone.
  }
}

export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}

/** A caller that speaks in lines. */
export class Caller {
  readonly socket: net.Socket;
  readonly closed: Promise<void>;
  readonly #waiting: ((line: string | undefined) => void)[] = [];
  readonly #lines: string[] = [];
  #ended = false;
  #rest = "";

  private constructor(context: TestContext, socket: net.Socket) {
    this.socket = socket;
    socket.on("error", () => socket.destroy());
    socket.on("data", (bytes) => this.#take(bytes.toString()));
    this.closed = once(socket, "close").then(() => {
      this.#ended = true;
      for (const give of this.#waiting.splice(0)) give(undefined);
    });
    context.after(() => socket.destroy());
  }

  static async connect(context: TestContext, port: number): Promise<Caller> {
    const socket = net.connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new Caller(context, socket);
  }

  /** The next line, undefined at the end of the connection. */
  line(): Promise<string | undefined> {
    const line = this.#lines.shift();
    if (line !== undefined || this.#ended) return Promise.resolve(line);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  ask(line: string): Promise<string | undefined> {
    this.socket.write(`${line}\n`);
    return this.line();
  }

  #take(text: string): void {
    const parts = (this.#rest + text).split("\n");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) {
      const give = this.#waiting.shift();
      if (give === undefined) this.#lines.push(part);
      else give(part);
    }
  }
}
