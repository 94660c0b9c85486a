/**
 * Every process the bench starts: started pinned, ended without exception. Must not know what the processes do.
 * Ends on return, on an error, on SIGINT and SIGTERM; where `setpriv` exists the kernel also ends them when this process is
 * killed outright, so no port stays taken. Runs once per process started.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { delimiter, join } from "node:path";

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly folder?: string;
}

export interface Child {
  readonly name: string;
  readonly pid: number;
  readonly process: ChildProcess;
  /** The last part of what it wrote to stderr and stdout: shown when it fails. */
  readonly output: () => string;
  readonly ended: Promise<number>;
  stop(): Promise<void>;
}

const OUTPUT_KEPT = 4096;
const STOP_GRACE_MS = 3000;
const living = new Set<Child>();

/** Servers lie in sbin, which few people have on their PATH: it is looked into beside each bin that they have. */
const withSbin = (folder: string): string[] =>
  /\/bin\/?$/.test(folder) ? [folder, folder.replace(/bin\/?$/, "sbin")] : [folder];

export const onPath = (program: string): string | null => {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  for (const folder of folders.flatMap(withSbin)) {
    const file = join(folder, program);
    if (existsSync(file)) return file;
  }
  return null;
};

/** The cores this process may use, in order. */
export const usableCores = (): number[] => {
  const line = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? "0";
  return line.split(",").flatMap((range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
};

const prefix = (cores: string): string[] => {
  const setpriv = onPath("setpriv");
  const taskset = onPath("taskset");
  return [
    ...(setpriv === null ? [] : [setpriv, "--pdeathsig", "KILL"]),
    ...(taskset === null || cores === "" ? [] : [taskset, "-c", cores]),
  ];
};

/**
 * `cores` is a list as taskset reads it ("0" or "1-3"); empty = wherever the kernel likes. With `input` the child's stdout is the caller's to
 * read; with `stdinStays` so is the end of its stdin.
 */
export const startChild = (
  name: string,
  command: Command,
  cores: string,
  input?: string,
  stdinStays = false,
): Child => {
  const [file = "", ...args] = [...prefix(cores), onPath(command.file) ?? command.file, ...command.args];
  const started = spawn(file, args, {
    detached: true,
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    env: { ...process.env, ...command.env },
    ...(command.folder === undefined ? {} : { cwd: command.folder }),
  });
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString("latin1")).slice(-OUTPUT_KEPT);
  };
  started.stderr?.on("data", keep);
  // A child that ends before it has read everything is noticed by its code.
  started.stdin?.on("error", () => {});
  if (input !== undefined) {
    started.stdin?.write(input);
    if (!stdinStays) started.stdin?.end();
  } else started.stdout?.on("data", keep);
  const ended = new Promise<number>((resolve) => {
    started.once("error", (error) => {
      output += String(error);
      resolve(127);
    });
    started.once("exit", (code) => resolve(code ?? 128));
  });
  const child: Child = {
    name,
    pid: started.pid ?? 0,
    process: started,
    output: () => output,
    ended,
    stop: () => stopChild(child),
  };
  living.add(child);
  void ended.then(() => living.delete(child));
  return child;
};

/** The child leads its own process group: the group is what gets the signal, so its children go too. */
const signalGroup = (child: Child, signal: NodeJS.Signals): void => {
  try {
    if (child.pid > 1) process.kill(-child.pid, signal);
  } catch {
    // The group is gone already: nothing to end.
  }
};

const stopChild = async (child: Child): Promise<void> => {
  if (!living.has(child)) return signalGroup(child, "SIGKILL");
  signalGroup(child, "SIGTERM");
  const timer = setTimeout(() => signalGroup(child, "SIGKILL"), STOP_GRACE_MS);
  await child.ended;
  clearTimeout(timer);
  signalGroup(child, "SIGKILL");
};

export const stopAllChildren = async (): Promise<void> => {
  await Promise.all([...living].map((child) => child.stop()));
};

const killAllNow = (): void => {
  for (const child of living) signalGroup(child, "SIGKILL");
};

/** Called once by each command of the bench: `cleanUp` removes folders and is run before leaving. */
export const endWithParent = (cleanUp: () => void): void => {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    // Ctrl-C reaches this process twice, from the terminal and from npm: without a listener the second would end it half way.
    process.on(signal, () => {
      killAllNow();
      cleanUp();
      process.exit(code);
    });
  }
  process.once("exit", () => {
    killAllNow();
    cleanUp();
  });
};

/** Below the range from which the kernel takes the near end of outgoing connections, of which the bench makes thousands. */
const PORTS = { first: 20_000, count: 12_000 };
const given = new Set<number>();

const canListen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });

/** A port that nobody listens on and that was not handed out before in this run. */
export const freePort = async (): Promise<number> => {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    if (given.has(port)) continue;
    given.add(port);
    if (await canListen(port)) return port;
  }
};

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Resolves when the port accepts; rejects with the child's own words when it ends first or takes too long. */
export const untilListening = async (child: Child, port: number, withinMs = 10_000): Promise<void> => {
  const end = Date.now() + withinMs;
  let over = false;
  void child.ended.then(() => {
    over = true;
  });
  while (!(await answers(port))) {
    if (over || Date.now() > end) {
      await child.stop();
      throw new Error(
        `${child.name} does not listen on port ${port}: ${child.output().trim().slice(-400) || "no output"}`,
      );
    }
    await pause(25);
  }
};
