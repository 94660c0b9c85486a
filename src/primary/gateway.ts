// One running gateway: ports, workers and the control port put together.
// Responsible for the order of starting, of replacing what is served, and of ending. Must not know: files, command
// lines, signals, a caller's bytes. Runs: at start, at a reload and at the end.

import type { Logger } from "pino";
import type { HealthState, Port, TicketKeys, WorkerConfig } from "../shared/messages.js";
import { needsKeys } from "../shared/model/gate-rules.js";
import type { Policy } from "../shared/model/policy.js";
import type { StoreChange } from "../shared/store/store.js";
import { controlApp } from "./control/app.js";
import { ControlPort } from "./control-port.js";
import { type Component, healthOf, type LeftOut, SHUTTING_DOWN, STARTING } from "./health.js";
import { Keyspace } from "./keyspace.js";
import { at, type Listener, Listeners } from "./listeners.js";
import type { Loaded, LoadedSet } from "./loaded-set.js";
import { leastConnections, Placement, roundRobin } from "./placement.js";
import { Rebalancer } from "./rebalance.js";
import { Reloader } from "./reload.js";
import { Supervisor } from "./supervisor.js";
import { LocalShelf, TicketRotation } from "./ticket-keys.js";
import { FileWatch, folderOf } from "./watch.js";
import type { WorkerProcess } from "./worker-process.js";

/** What the loader read and checked. */
export type ServedConfig = Omit<WorkerConfig, "generation" | "controlSocket" | "policies"> & {
  readonly policies?: readonly Policy[] | undefined;
};

export interface GatewayOptions {
  readonly config: ServedConfig;
  readonly leftOut: readonly LeftOut[];
  /** More of what `config` and `leftOut` are from; a gateway without it cannot show its definitions. */
  readonly set?: LoadedSet | undefined;
  /** Reads everything again; a gateway without it does not reload. */
  readonly load?: (() => Loaded) | undefined;
  /** The settings file, to be watched if it asks for that. */
  readonly file?: string | undefined;
  readonly version: string;
  readonly workers: number;
  /** The compiled entry file of a worker. */
  readonly workerFile: string;
  readonly log: Logger;
}

/** News of other replicas after which definitions and policies are read again. */
const RELOADING = new Set(["ApiUpdated", "ApiRemoved", "ApiAdded", "GroupReload", "PolicyChanged"]);
const DEFAULT_GATHERING_S = 1;

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #listeners = new Listeners();
  readonly #supervisor: Supervisor;
  readonly #placement: Placement;
  readonly #rotation: TicketRotation;
  readonly #control: ControlPort;
  readonly #keyspace: Keyspace;
  readonly #reloader: Reloader;
  readonly #watch: FileWatch;
  readonly #rebalancer: Rebalancer;
  #set: LoadedSet;
  #generation = 1;
  #refusedReload: Component | undefined;
  #notReady = STARTING;
  #tickets!: TicketKeys;
  #health: HealthState;

  constructor(options: GatewayOptions) {
    this.#options = options;
    const { config, leftOut, log } = options;
    const none: LoadedSet = { served: config, leftOut, policies: new Map(), documents: new Map(), problems: [] };
    this.#set = options.set ?? none;
    this.#keyspace = new Keyspace({
      settings: () => this.#settings,
      tell: (change) => this.#supervisor.changed(change),
      heard: (change) => this.#heard(change),
      healthChanged: () => this.#setHealth(this.#notReady),
    });
    this.#reloader = new Reloader({
      load: options.load ?? (() => ({ problems: [] })),
      current: () => this.#set,
      apply: (set) => this.#apply(set),
      refused: (reason) => this.#setRefused(reason),
      log,
    });
    this.#watch = new FileWatch(
      () => this.#reloadSoon(),
      (folder, error) => log.warn({ folder, err: error }, "a folder cannot be watched"),
    );
    this.#control = new ControlPort(this.#app(), log);
    this.#health = this.#healthBecause(STARTING);
    this.#supervisor = new Supervisor({
      workerFile: options.workerFile,
      workers: options.workers,
      config: () => this.#workerConfig(this.#set),
      log,
      health: () => this.#health,
      tickets: () => this.#tickets,
      onGreeted: (worker) => this.#share(worker),
      onRelieved: () => this.#placement.workersChanged(),
      onReturned: (connections) => {
        for (const connection of connections) this.#placement.place(connection);
      },
    });
    const choose = config.settings.accept === "round_robin" ? roundRobin() : leastConnections();
    const lifetime = config.settings.http_server_options.ticket_lifetime * 1_000;
    this.#rotation = new TicketRotation(new LocalShelf(), lifetime, (keys) => this.#setTickets(keys));
    this.#placement = new Placement(choose, () => this.#supervisor.workers);
    this.#rebalancer = new Rebalancer(() => this.#supervisor.workers, log);
  }

  /** Ports first: a busy one must be told before a worker exists. Rejects with the one message the operator needs. */
  async start(): Promise<void> {
    try {
      this.#accept(await this.#listeners.bindMore(this.#set.served.ports, this.#settingOf(this.#set)), this.#set);
      await this.#control.open(this.#settings);
      this.#control.settle("new");
      if (needsStore(this.#set)) await this.#keyspace.open();
      await this.#rotation.start();
      await this.#supervisor.start();
    } catch (error) {
      await this.#abandon();
      throw error;
    }
    this.#watchFiles();
    this.#rebalancer.set(this.#settings.connections.rebalance_interval * 1_000);
    this.#setHealth("");
  }

  /** Resolves with why it was refused, empty when what the files say is in force. */
  reload(): Promise<string> {
    return this.#options.load === undefined
      ? Promise.resolve("there is nothing to read again")
      : this.#reloader.reload();
  }

  /** A rolling restart: resolves with why the workers could not be replaced, empty when the new ones serve. */
  async renew(): Promise<string> {
    const { log } = this.#options;
    log.info("rolling restart: new workers are started");
    const problem = await this.#supervisor.renew(this.#settings.graceful_shutdown_timeout_duration * 1_000);
    if (problem === "") log.info("rolling restart: every worker is new");
    else log.error({ problem }, "rolling restart refused: the workers go on as they are");
    return problem;
  }

  /** /ready says no from now on; everything is still served. */
  notReady(): void {
    this.#setHealth(SHUTTING_DOWN);
  }

  /** Closes the ports and ends the workers; a second call may shorten the time. Resolves when nothing is left. */
  async end(timeoutMs: number): Promise<void> {
    this.#setHealth(SHUTTING_DOWN);
    this.#close();
    await this.#supervisor.end(timeoutMs);
    await this.#control.close();
    await this.#keyspace.close();
  }

  get #settings() {
    return this.#set.served.settings;
  }

  /** Each step can be taken back until the workers have compiled the set; then it is in force. */
  async #apply(set: LoadedSet): Promise<string> {
    const { ports, settings } = set.served;
    let fresh: readonly Listener[] = [];
    try {
      fresh = await this.#listeners.bindMore(ports, this.#settingOf(set));
      await this.#control.open(settings);
      if (needsStore(set)) await this.#keyspace.open();
      for (const worker of this.#supervisor.workers) this.#share(worker, fresh);
      const problem = await this.#supervisor.configure(this.#workerConfig(set, 1));
      if (problem !== "") throw new Error(problem);
    } catch (error) {
      this.#stopListening(this.#set.served.ports);
      this.#control.settle("old");
      return error instanceof Error ? error.message : String(error);
    }
    this.#generation += 1;
    this.#set = set;
    this.#options.log.level = settings.log_level;
    this.#accept(fresh, set);
    this.#stopListening(ports);
    this.#control.settle("new");
    this.#watchFiles();
    this.#rebalancer.set(this.#settings.connections.rebalance_interval * 1_000);
    return "";
  }

  #workerConfig(set: LoadedSet, ahead = 0): WorkerConfig {
    const { policies = [], ...served } = set.served;
    return { ...served, policies, generation: this.#generation + ahead, controlSocket: this.#control.socket };
  }

  /** When workers accept, the primary only holds the bound sockets; otherwise it accepts from here on. */
  #accept(fresh: readonly Listener[], set: LoadedSet): void {
    if (this.#settings.accept !== "shared")
      this.#listeners.accept((connection) => this.#placement.place(connection), this.#settingOf(set), fresh);
    for (const { port, address } of fresh)
      this.#options.log.info({ protocol: port.protocol, main: port.main }, `listening on ${at(address, port.port)}`);
  }

  #stopListening(kept: readonly Port[]): void {
    for (const { port, address } of this.#listeners.keepOnly(kept)) {
      this.#options.log.info(`no longer listening on ${at(address, port.port)}`);
      for (const worker of this.#supervisor.workers) worker.leave(port.port);
    }
  }

  #share(worker: WorkerProcess, listeners: readonly Listener[] = this.#listeners.open): void {
    if (this.#settings.accept !== "shared") return;
    for (const { handle, port } of listeners) worker.share(handle, port.port);
  }

  #settingOf(set: LoadedSet): (port: Port) => string {
    return (port) => settingOfPort(port, set.served);
  }

  #app() {
    return controlApp({
      health: () => this.#health,
      settings: () => this.#settings,
      definitions: () => this.#set.served.definitions,
      documents: () => this.#set.documents,
      policies: () => this.#set.policies,
      keyspace: this.#keyspace,
      reload: () => this.reload(),
      renew: () => this.renew(),
      log: this.#options.log,
    });
  }

  #heard({ command }: StoreChange): void {
    if (!RELOADING.has(command) || this.#settings.suppress_redis_signal_reload) return;
    this.#reloadSoon();
  }

  #reloadSoon(): void {
    this.#reloader.reloadSoon((this.#settings.reload_interval || DEFAULT_GATHERING_S) * 1_000);
  }

  #watchFiles(): void {
    const { watch_files, app_path, policies } = this.#settings;
    if (!watch_files || this.#options.load === undefined) this.#watch.close();
    else
      this.#watch.set([
        folderOf(this.#options.file),
        app_path,
        policies.policy_path,
        folderOf(policies.policy_record_name),
      ]);
  }

  #setTickets(keys: TicketKeys): void {
    this.#tickets = keys;
    this.#supervisor.tickets(keys);
  }

  #setRefused(reason: string): void {
    const failure = { name: "reload", componentType: "configuration", status: "fail", output: reason } as const;
    this.#refusedReload = reason === "" ? undefined : { ...failure, since: Date.now() };
    this.#setHealth(this.#notReady);
  }

  #setHealth(notReady: string): void {
    this.#notReady = notReady;
    this.#health = this.#healthBecause(notReady);
    this.#supervisor.health(this.#health);
  }

  #healthBecause(notReady: string): HealthState {
    const { version } = this.#options;
    const components = [this.#storeComponent(), this.#refusedReload].filter((each) => each !== undefined);
    return healthOf({ version, leftOut: this.#set.leftOut, components, notReady }, new Date());
  }

  #storeComponent(): Component | undefined {
    const health = this.#keyspace.health;
    if (health === undefined) return undefined;
    const status = health.ok ? "pass" : "fail";
    const name = this.#settings.storage.type;
    return { name, componentType: "datastore", status, output: health.output, since: health.since };
  }

  #close(): void {
    this.#listeners.close();
    this.#placement.close();
    this.#rotation.stop();
    this.#reloader.end();
    this.#watch.close();
    this.#rebalancer.stop();
  }

  async #abandon(): Promise<void> {
    this.#close();
    await this.#supervisor.end(0);
    await this.#control.close();
    await this.#keyspace.close();
  }
}

/** Without keys nothing asks the store, unless an operator does; over Redis the other replicas are heard all the same. */
function needsStore({ served }: LoadedSet): boolean {
  return served.settings.storage.type === "redis" || served.definitions.some(needsKeys);
}

function settingOfPort(port: Port, config: ServedConfig): string {
  if (port.main) return "listen_port";
  const names = config.definitions.filter((api) => api.port === port.port).map((api) => JSON.stringify(api.name));
  return `listen_port of API ${names.join(", ")}`;
}
