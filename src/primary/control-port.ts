// Where the control API is reached: its own port, or a socket for the workers that relay it from the main port.
// Responsible for opening, moving and closing it. Must not know: routes, who may ask.
// Runs: at start, at the end, and when a reload moves it.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hono } from "hono";
import type { Logger } from "pino";
import type { Settings } from "../shared/config.js";
import type { HealthService } from "./control/health-service.js";
import { ControlServer } from "./control/server.js";
import type { ControlTls } from "./control-tls.js";
import { at, ListenError } from "./listeners.js";

interface Place {
  /** `address:port`, or the socket's path. */
  readonly name: string;
  readonly server: ControlServer;
  /** Empty for a port. */
  readonly socket: string;
}

export class ControlPort {
  readonly #app: Hono;
  readonly #health: HealthService | undefined;
  readonly #log: Logger;
  #place: Place | undefined;
  /** What is left if what was opened last is not to stay. */
  #before: Place | undefined;
  #folder: string | undefined;
  /** Of what was opened last. */
  #tls: ControlTls | undefined;

  constructor(app: Hono, log: Logger, health?: HealthService) {
    this.#app = app;
    this.#health = health;
    this.#log = log;
  }

  /** For the workers; empty when the control API has a port of its own. */
  get socket(): string {
    return this.#place?.socket ?? "";
  }

  /** Opens what these settings ask for beside what is open; `settle` then closes one of the two. */
  async open(settings: Settings, tls?: ControlTls): Promise<void> {
    this.#tls = tls;
    const { control_api_port: port } = settings;
    const address = settings.control_api_address || settings.listen_address;
    const name = port === 0 ? await this.#socketPath() : at(address, port);
    if (this.#place?.name === name) return;
    const server = new ControlServer(this.#app, port === 0, tls, this.#health);
    try {
      if (port === 0) await server.listenOn(name);
      else await server.listen(address, port);
    } catch (error) {
      throw ListenError.of(error, address, port, "control_api_port");
    }
    this.#place = { name, server, socket: port === 0 ? name : "" };
    if (port !== 0) this.#log.info({ tls: tls !== undefined }, `control port on ${name}`);
  }

  /** For connections from now on. */
  secure(tls: ControlTls | undefined): void {
    this.#place?.server.secure(tls);
  }

  settle(keep: "new" | "old"): void {
    const [kept, left] = keep === "new" ? [this.#place, this.#before] : [this.#before, this.#place];
    this.#place = kept;
    this.#before = kept;
    if (keep === "new") this.secure(this.#tls);
    if (left !== undefined && left !== kept) left.server.retire();
  }

  async close(): Promise<void> {
    this.#health?.end();
    this.settle("new");
    await this.#place?.server.close();
    this.#place = undefined;
    this.#before = undefined;
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = undefined;
  }

  // mkdtemp gives a folder that only this user can enter.
  async #socketPath(): Promise<string> {
    if (this.#folder === undefined) {
      await removeAbandoned();
      this.#folder = mkdtempSync(join(tmpdir(), FOLDER));
    }
    return join(this.#folder, SOCKET);
  }
}

const FOLDER = "sluice-control-";
const SOCKET = "control.sock";

/** A primary that was killed leaves its folder; where nobody answers any more, it goes. */
async function removeAbandoned(): Promise<void> {
  const names = readdirSync(tmpdir()).filter((name) => name.startsWith(FOLDER));
  for (const name of names) {
    const folder = join(tmpdir(), name);
    if (await isAbandoned(join(folder, SOCKET))) rmSync(folder, { recursive: true, force: true });
  }
}

// ENOENT is a gateway that is just starting, or a folder of nobody's: left alone.
function isAbandoned(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(socket);
    probe.once("connect", () => {
      probe.destroy();
      resolve(false);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
  });
}
