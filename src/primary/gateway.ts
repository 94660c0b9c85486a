// One running gateway: ports, workers and the control port put together.
// Responsible for the order of starting and ending. Must not know: files, command lines, signals, a caller's bytes.
// Runs: at start and at the end.

import type { Logger } from "pino";
import type { HealthState, Port, TicketKeys, WorkerConfig } from "../shared/messages.js";
import { controlApp } from "./control/app.js";
import { ControlServer } from "./control/server.js";
import { healthOf, type LeftOut, SHUTTING_DOWN, STARTING } from "./health.js";
import { at, ListenError, Listeners } from "./listeners.js";
import { leastConnections, Placement, roundRobin } from "./placement.js";
import { Supervisor } from "./supervisor.js";
import { LocalShelf, TicketRotation } from "./ticket-keys.js";
import type { WorkerProcess } from "./worker-process.js";

/** What the loader read and checked. */
export type ServedConfig = Omit<WorkerConfig, "generation">;

export interface GatewayOptions {
  readonly config: ServedConfig;
  readonly leftOut: readonly LeftOut[];
  readonly version: string;
  readonly workers: number;
  /** The compiled entry file of a worker. */
  readonly workerFile: string;
  readonly log: Logger;
}

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #listeners = new Listeners();
  readonly #supervisor: Supervisor;
  readonly #placement: Placement;
  readonly #rotation: TicketRotation;
  #tickets!: TicketKeys;
  #control: ControlServer | undefined;
  #health: HealthState;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#health = this.#healthBecause(STARTING);
    this.#supervisor = new Supervisor({
      workerFile: options.workerFile,
      workers: options.workers,
      config: { generation: 1, ...options.config },
      log: options.log,
      health: () => this.#health,
      tickets: () => this.#tickets,
      onGreeted: (worker) => this.#share(worker),
      onRelieved: () => this.#placement.workersChanged(),
      onReturned: (connections) => {
        for (const connection of connections) this.#placement.place(connection);
      },
    });
    const choose = options.config.settings.accept === "round_robin" ? roundRobin() : leastConnections();
    const lifetime = options.config.settings.http_server_options.ticket_lifetime * 1_000;
    this.#rotation = new TicketRotation(new LocalShelf(), lifetime, (keys) => this.#setTickets(keys));
    this.#placement = new Placement(choose, () => this.#supervisor.workers);
  }

  /** Ports first: a busy one must be told before a worker exists. Rejects with the one message the operator needs. */
  async start(): Promise<void> {
    try {
      await this.#openPorts();
      await this.#openControl();
      await this.#rotation.start();
      await this.#supervisor.start();
    } catch (error) {
      await this.#abandon();
      throw error;
    }
    this.#setHealth("");
  }

  /** /ready says no from now on; everything is still served. */
  notReady(): void {
    this.#setHealth(SHUTTING_DOWN);
  }

  /** Closes the ports and ends the workers; a second call may shorten the time. Resolves when nothing is left. */
  async end(timeoutMs: number): Promise<void> {
    this.#setHealth(SHUTTING_DOWN);
    this.#listeners.close();
    this.#placement.close();
    this.#rotation.stop();
    await this.#supervisor.end(timeoutMs);
    await this.#control?.close();
  }

  async #openPorts(): Promise<void> {
    const { config, log } = this.#options;
    const settingOf = (port: Port) => settingOfPort(port, config);
    await this.#listeners.bind(config.ports, settingOf);
    // When workers accept, the primary only holds the bound sockets; otherwise it accepts from here on.
    if (config.settings.accept !== "shared") {
      this.#listeners.accept((connection) => this.#placement.place(connection), settingOf);
    }
    for (const { port, address } of this.#listeners.open)
      log.info({ protocol: port.protocol, main: port.main }, `listening on ${at(address, port.port)}`);
  }

  async #openControl(): Promise<void> {
    const { settings } = this.#options.config;
    if (settings.control_api_port === 0) return;
    const address = settings.control_api_address || settings.listen_address;
    const app = controlApp({
      health: () => this.#health,
      helloName: settings.health_check_endpoint_name,
      readyName: settings.readiness_check_endpoint_name,
    });
    const control = new ControlServer(app);
    try {
      await control.listen(address, settings.control_api_port);
    } catch (error) {
      throw ListenError.of(error, address, settings.control_api_port, "control_api_port");
    }
    this.#control = control;
    this.#options.log.info(`control port on ${at(address, settings.control_api_port)}`);
  }

  #share(worker: WorkerProcess): void {
    if (this.#options.config.settings.accept !== "shared") return;
    for (const { handle, port } of this.#listeners.open) worker.share(handle, port.port);
  }

  #setTickets(keys: TicketKeys): void {
    this.#tickets = keys;
    this.#supervisor.tickets(keys);
  }

  #setHealth(notReady: string): void {
    this.#health = this.#healthBecause(notReady);
    this.#supervisor.health(this.#health);
  }

  #healthBecause(notReady: string): HealthState {
    const { leftOut, version } = this.#options;
    return healthOf({ version, leftOut, notReady }, new Date());
  }

  async #abandon(): Promise<void> {
    this.#listeners.close();
    this.#placement.close();
    this.#rotation.stop();
    await this.#supervisor.end(0);
    await this.#control?.close();
  }
}

function settingOfPort(port: Port, config: ServedConfig): string {
  if (port.main) return "listen_port";
  const names = config.definitions.filter((api) => api.port === port.port).map((api) => JSON.stringify(api.name));
  return `listen_port of API ${names.join(", ")}`;
}
