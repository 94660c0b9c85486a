// Responsible for: a real gateway for a test file: its files, ports and processes, from start to proof of its end.
// Must not know: what is tested, the gateway's insides. Governed by: the command line and settings in Tyk's names.
// How often: once a test file.

import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { get as getSecurely } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

type Json = { [name: string]: unknown };

const MAIN = fileURLToPath(new URL("../../src/primary/main.js", import.meta.url));
const START_LIMIT = 60_000;
const STOP_LIMIT = 45_000;

export interface GatewayOptions {
  /** API definitions; `keyless()` makes usual ones. */
  definitions: Json[];
  /** Laid over the settings that every test gateway has. */
  settings?: Json;
  /** One unless said otherwise. */
  workers?: number;
  env?: Record<string, string>;
  /** For a control port that asks for a certificate. */
  operator?: ClientTls;
}

export interface ClientTls {
  readonly cert?: string;
  readonly key?: string;
}

export interface KeylessOptions {
  target: string;
  /** Default "/". */
  path?: string;
  /** Default "api". */
  id?: string;
  /** Laid over the definition. */
  more?: Json;
  /** Laid over its `proxy`. */
  proxy?: Json;
}

/** A definition without keys that forwards a listen path as it is. */
export function keyless(it: KeylessOptions): Json {
  const id = it.id ?? "api";
  return {
    api_id: id,
    org_id: "test",
    name: id,
    active: true,
    use_keyless: true,
    proxy: { listen_path: it.path ?? "/", target_url: it.target, strip_listen_path: false, ...it.proxy },
    version_data: { not_versioned: true, versions: { Default: { name: "Default" } } },
    ...it.more,
  };
}

/**
 * Below those that systems give to outgoing connections: a port of theirs may be taken again between the moment it was
 * found free and the moment a gateway binds it.
 */
const FIRST_PORT = 12_000;
const LAST_PORT = 30_000;

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });

/** Ports that were free a moment ago, all different; by chance, so that test files beside this one find others. */
export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports];
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function until(limit: number, holds: () => Promise<boolean> | boolean): Promise<boolean> {
  for (const end = Date.now() + limit; Date.now() < end; ) {
    if (await holds()) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
}

/** Status of a GET over HTTP/1.1; 0 if nobody answers. Over TLS whatever certificate is shown will do. */
const statusOf = (port: number, path: string, tls?: ClientTls): Promise<number> =>
  new Promise((resolve) => {
    const where = { host: "127.0.0.1", port, path, agent: false, timeout: 2_000 } as const;
    const answered = (response: IncomingMessage): void => {
      response.resume();
      resolve(response.statusCode ?? 0);
    };
    const request =
      tls === undefined ? get(where, answered) : getSecurely({ ...where, ...tls, rejectUnauthorized: false }, answered);
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(0));
  });

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
}

export class Gateway {
  logs = "";
  /** What the runtime says, of whichever process: the gateway's own log is on standard output. */
  complaints = "";
  private exit: { code: number | null; signal: string | null } | undefined;

  constructor(
    private readonly child: ChildProcess,
    readonly port: number,
    readonly controlPort: number,
    readonly directory: string,
    /** Undefined where the control port is in the clear. */
    private readonly controlTls?: ClientTls,
  ) {
    const note = (bytes: Buffer) => {
      this.logs = (this.logs + bytes.toString()).slice(-100_000);
    };
    child.stdout?.on("data", note);
    child.stderr?.on("data", (bytes: Buffer) => {
      note(bytes);
      this.complaints = (this.complaints + bytes.toString()).slice(-100_000);
    });
    child.on("exit", (code, signal) => {
      this.exit = { code, signal };
    });
    // A test process that is killed must not leave a gateway: its workers end themselves when the primary is gone.
    process.once("exit", this.kill);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** How the primary ended; undefined while it runs. */
  get exited(): { code: number | null; signal: string | null } | undefined {
    return this.exit;
  }

  get configPath(): string {
    return join(this.directory, "sluice.conf");
  }

  get appPath(): string {
    return join(this.directory, "apps");
  }

  /** Process ids of the workers: the children of the primary. */
  async workers(): Promise<number[]> {
    const children = await readFile(`/proc/${this.pid}/task/${this.pid}/children`, "utf8").catch(() => "");
    return children.trim().split(/\s+/).filter(Boolean).map(Number);
  }

  /** Resident bytes of all workers together. */
  async rss(): Promise<number> {
    const sizes = await Promise.all((await this.workers()).map(residentBytes));
    return sizes.reduce((sum, it) => sum + it, 0);
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name);
  }

  async untilReady(): Promise<void> {
    const ready = await until(START_LIMIT, async () => {
      if (this.exit)
        throw new Error(`the gateway ended (${JSON.stringify(this.exit)}) instead of starting:\n${this.logs}`);
      return (await statusOf(this.controlPort, "/ready", this.controlTls)) === 200;
    });
    if (!ready) throw new Error(`the gateway is not ready after ${START_LIMIT} ms:\n${this.logs}`);
  }

  /** SIGTERM; fails unless every process is gone afterwards. Safe to call again. */
  async stop(): Promise<void> {
    const pids = [this.pid, ...(await this.workers())];
    if (!this.exit) this.signal("SIGTERM");
    const gone = await until(STOP_LIMIT, () => !pids.some(isAlive));
    for (const pid of pids.filter(isAlive)) process.kill(pid, "SIGKILL");
    process.off("exit", this.kill);
    await rm(this.directory, { recursive: true, force: true });
    if (!gone) throw new Error(`the gateway left processes behind after SIGTERM:\n${this.logs}`);
  }

  private readonly kill = (): void => {
    this.child.kill("SIGKILL");
    rmSync(this.directory, { recursive: true, force: true });
  };
}

/** The control port speaks TLS where the main port does. */
const usesTls = (settings: Json): boolean =>
  (settings["http_server_options"] as Json | undefined)?.["use_ssl"] === true;

/** Starts a gateway on free ports of 127.0.0.1 and waits until it is ready. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const directory = await mkdtemp(join(tmpdir(), "sluice-test-"));
  const [port = 0, controlPort = 0] = await freePorts(2);
  const settings: Json = {
    listen_address: "127.0.0.1",
    listen_port: port,
    control_api_port: controlPort,
    secret: "test-secret",
    app_path: join(directory, "apps"),
    disable_ports_whitelist: true,
    graceful_shutdown_delay_seconds: 0,
    graceful_shutdown_timeout_duration: 2,
    ...options.settings,
  };
  await mkdir(join(directory, "apps"));
  await writeFile(join(directory, "sluice.conf"), JSON.stringify(settings, undefined, 2));
  for (const [at, it] of options.definitions.entries()) {
    await writeFile(join(directory, "apps", `${at}.json`), JSON.stringify(it, undefined, 2));
  }
  const args = ["start", "--conf", join(directory, "sluice.conf"), "--workers", String(options.workers ?? 1)];
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  // A test may have named the ports itself: those of a gateway that was killed.
  const gateway = new Gateway(
    child,
    Number(settings["listen_port"]),
    Number(settings["control_api_port"]) || Number(settings["listen_port"]),
    directory,
    usesTls(settings) ? (options.operator ?? {}) : undefined,
  );
  try {
    await gateway.untilReady();
  } catch (error) {
    await gateway.stop().catch(() => undefined);
    throw error;
  }
  return gateway;
}
