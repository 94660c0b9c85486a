// A worker with a data plane of lines instead of HTTP/2: what the process does around a data plane can be seen
// without one. A line is answered by the worker that carries the connection: `who` its pid, `port` the port beside
// the connection, `ready` what /ready would say, `connections` its load, anything else itself.

import { existsSync } from "node:fs";
import net from "node:net";
import { pino } from "pino";
import type { Load, TcpHandle, WorkerConfig } from "../../../src/shared/messages.js";
import { NO_FIGURES } from "../../../src/shared/observe/figures.js";
import { runWorker } from "../../../src/worker/control.js";
import type { DataPlane, PlaneHooks } from "../../../src/worker/plane.js";

class LinePlane implements DataPlane {
  readonly #hooks: PlaneHooks;
  readonly #sockets = new Set<net.Socket>();
  #health = "";
  #draining = false;
  #empty: (() => void) | undefined;
  #cut: NodeJS.Timeout | undefined;

  constructor(hooks: PlaneHooks) {
    this.#hooks = hooks;
  }

  async configure(config: WorkerConfig): Promise<void> {
    const wish = config.settings.secret;
    if (wish === "refuse") throw new Error("the stand-in refuses this configuration");
    if (wish.startsWith("while-exists:") && !existsSync(wish.slice(13))) throw new Error("the stand-in is out of date");
    if (wish === "die") process.kill(process.pid, "SIGKILL");
  }

  tickets(): void {}

  explain() {
    return Promise.reject(new Error("nothing is known here"));
  }

  figures() {
    return NO_FIGURES;
  }

  inspect() {
    return { connections: 0, streams: 0, waits: {}, callers: [], services: [] };
  }

  targets(): void {}

  changed(): void {}

  leave(): void {}

  move(): void {}

  health(state: { ready: { status: number } }): void {
    this.#health = String(state.ready.status);
  }

  accept(handle: TcpHandle, port: number): void {
    const socket = new net.Socket({ handle } as net.SocketConstructorOpts);
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#gone(socket));
    socket.on("data", (bytes) => {
      for (const line of bytes.toString().trim().split("\n")) socket.write(`${this.#answer(line, port)}\n`);
    });
    if (this.#draining) socket.write("goaway\n");
  }

  drain(timeoutMs: number): Promise<void> {
    this.#draining = true;
    for (const socket of this.#sockets) socket.write("goaway\n");
    clearTimeout(this.#cut);
    this.#cut = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, timeoutMs);
    return new Promise((resolve) => {
      this.#empty = resolve;
      if (this.#sockets.size === 0) resolve();
    });
  }

  load(): Load {
    return { connections: this.#sockets.size, calls: 0 };
  }

  #answer(line: string, port: number): string {
    if (line === "who") return String(process.pid);
    if (line === "port") return String(port);
    if (line === "ready") return this.#health;
    if (line === "connections") return String(this.#sockets.size);
    return line;
  }

  #gone(socket: net.Socket): void {
    this.#sockets.delete(socket);
    this.#hooks.loadChanged();
    if (this.#draining && this.#sockets.size === 0) {
      clearTimeout(this.#cut);
      this.#empty?.();
    }
  }
}

runWorker(
  (hooks) => new LinePlane(hooks),
  pino({ name: "worker" }, pino.destination({ fd: 1, sync: true })),
  (code) => process.exit(code),
);
