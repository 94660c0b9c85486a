/** A real redis-server of the test's own, on a free port, without anything on disk unless asked for. */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface RedisServer {
  readonly port: number;
  readonly pid: number;
  readonly folder: string;
  freeze(): void;
  thaw(): void;
  /** Ends it at once; `again` starts it on the same port with the same folder. */
  kill(): Promise<void>;
  again(): Promise<void>;
  stop(): Promise<void>;
}

/** Undefined when the tool is missing: a visible skip for the caller, but a failure on CI. */
export function redisMissing(): string | false {
  const found = spawnSync("redis-server", ["--version"]).status === 0;
  if (!found && process.env.CI === "true") throw new Error("redis-server is required when CI=true");
  return found ? false : "redis-server is not installed";
}

export async function startRedis(extra: readonly string[] = []): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-redis-"));
  const port = await freePort();
  const words = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", ...extra];
  let child = await spawnReady(words);
  const running = new Set<ChildProcess>([child]);
  const killNow = (): void => {
    for (const one of running) one.kill("SIGKILL");
  };
  process.once("exit", killNow);
  const end = async (one: ChildProcess): Promise<void> => {
    if (one.exitCode === null && one.signalCode === null) {
      const ended = new Promise((resolve) => one.once("exit", resolve));
      one.kill("SIGKILL");
      await ended;
    }
    running.delete(one);
  };
  return {
    port,
    folder,
    get pid() {
      return child.pid ?? -1;
    },
    freeze: () => void child.kill("SIGSTOP"),
    thaw: () => void child.kill("SIGCONT"),
    kill: () => end(child),
    again: async () => {
      child = await spawnReady(words);
      running.add(child);
    },
    stop: async () => {
      await end(child);
      process.removeListener("exit", killNow);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function spawnReady(words: readonly string[]): Promise<ChildProcess> {
  const child = spawn("redis-server", words, { stdio: ["ignore", "pipe", "pipe"] });
  await new Promise<void>((resolve, reject) => {
    let seen = "";
    child.stdout.on("data", (chunk: Buffer) => {
      seen += chunk.toString();
      if (/ready to accept connections/i.test(seen)) resolve();
    });
    child.once("exit", (code) => reject(new Error(`redis-server ended with ${code}: ${seen}`)));
    child.once("error", reject);
  });
  return child;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
