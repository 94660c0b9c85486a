// The ports of a gateway: bound before what is served changes, accepted on or shared with the workers after it, and closed last.
// Must not know: how a socket is bound, which worker a connection is for. Governed by: the order of changes in gateway.ts.
// Runs: at start, at a reload, for each new worker, and at the end.

import type { Logger } from "pino";
import type { Port } from "../shared/messages.js";
import type { ServedConfig } from "./gateway.js";
import { at, type Listener, Listeners } from "./listeners.js";
import type { Connection, WorkerProcess } from "./worker-process.js";

export interface PortsOptions {
  readonly log: Logger;
  readonly workers: () => readonly WorkerProcess[];
  /** The workers accept by themselves. */
  readonly shared: () => boolean;
  readonly place: (connection: Connection) => void;
}

export class PortsInForce {
  readonly #options: PortsOptions;
  readonly #listeners = new Listeners();

  constructor(options: PortsOptions) {
    this.#options = options;
  }

  /** Binds those that are not bound yet. Rejects with a message that names the port and the setting, and then none is. */
  bindMore(served: ServedConfig): Promise<readonly Listener[]> {
    return this.#listeners.bindMore(served.ports, settingsOf(served));
  }

  /** When workers accept, the primary only holds the bound sockets; otherwise it accepts from here on. */
  accept(fresh: readonly Listener[], served: ServedConfig): void {
    const { log, shared, place } = this.#options;
    if (!shared()) this.#listeners.accept(place, settingsOf(served), fresh);
    for (const { port, address } of fresh)
      log.info({ protocol: port.protocol, main: port.main }, `listening on ${at(address, port.port)}`);
  }

  keepOnly(kept: readonly Port[]): void {
    for (const { port, address } of this.#listeners.keepOnly(kept)) {
      this.#options.log.info(`no longer listening on ${at(address, port.port)}`);
      for (const worker of this.#options.workers()) worker.leave(port.port);
    }
  }

  share(worker: WorkerProcess, listeners: readonly Listener[] = this.#listeners.open): void {
    if (!this.#options.shared()) return;
    for (const { handle, port } of listeners) worker.share(handle, port.port);
  }

  close(): void {
    this.#listeners.close();
  }
}

function settingsOf(served: ServedConfig): (port: Port) => string {
  return (port) => {
    if (port.main) return "listen_port";
    const names = served.definitions.filter((api) => api.port === port.port).map((api) => JSON.stringify(api.name));
    return `listen_port of API ${names.join(", ")}`;
  };
}
