// One running gateway: ports, workers and the control port put together.
// Responsible for the order of starting, of replacing what is served, and of ending. Must not know: files, command
// lines, signals, a caller's bytes. Runs: at start, at a reload, at a rolling restart, when certificates change and at the end.

import type { Logger } from "pino";
import type { Certificates } from "../shared/certificates/collection.js";
import type { Settings } from "../shared/config.js";
import type { TicketKeys, WorkerConfig } from "../shared/messages.js";
import { needsKeys } from "../shared/model/gate-rules.js";
import type { Policy } from "../shared/model/policy.js";
import type { Sample } from "../shared/observe/figures.js";
import type { Inspection, InspectionQuery } from "../shared/observe/inspection.js";
import { CERTIFICATES_CHANGED, EVERYTHING_CHANGED, type StoreChange } from "../shared/store/store.js";
import { CertificatesInForce } from "./certificates-in-force.js";
import { controlApp } from "./control/app.js";
import { HealthService } from "./control/health-service.js";
import { ControlPort } from "./control-port.js";
import { ControlTls } from "./control-tls.js";
import type { CertificateExpiry } from "./expiry.js";
import { GatewayHealth } from "./gateway-health.js";
import { type LeftOut, SHUTTING_DOWN } from "./health.js";
import { Keyspace } from "./keyspace.js";
import type { Listener } from "./listeners.js";
import type { Loaded, LoadedSet } from "./loaded-set.js";
import { Collection } from "./metrics/collection.js";
import { OwnFigures } from "./metrics/own-figures.js";
import { leastConnections, Placement, roundRobin } from "./placement.js";
import { PortsInForce } from "./ports-in-force.js";
import { Rebalancer } from "./rebalance.js";
import { Reloader, type ReloadOutcome, refusedFor } from "./reload.js";
import { StoreNews } from "./store-news.js";
import { Supervisor } from "./supervisor.js";
import { Tickets } from "./tickets.js";
import { FileWatch, folderOf } from "./watch.js";

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
/** As long as an operator's request waits until a certificate counts. */
const CERTIFICATES_MS = 500;
/** As long as a worker may take to show its connections. */
const INSPECTION_MS = 1_000;

export class Gateway {
  readonly #options: GatewayOptions;
  readonly #ports: PortsInForce;
  readonly #supervisor: Supervisor;
  readonly #placement: Placement;
  readonly #ticketing: Tickets;
  readonly #certificates: CertificatesInForce;
  readonly #health: GatewayHealth;
  readonly #own = new OwnFigures();
  readonly #collection: Collection;
  readonly #ownHealth = new HealthService(() => this.#health.state.ready.status === 200);
  readonly #control: ControlPort;
  readonly #keyspace: Keyspace;
  readonly #reloader: Reloader;
  readonly #watch: FileWatch;
  readonly #rebalancer: Rebalancer;
  readonly #storeNews: StoreNews;
  #set: LoadedSet;
  #generation = 1;
  #tickets!: TicketKeys;
  /** One change of what workers have after the other. */
  #changing: Promise<unknown> = Promise.resolve();
  #serves = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
    const { config, leftOut, log } = options;
    const none: LoadedSet = { served: config, leftOut, policies: new Map(), documents: new Map(), problems: [] };
    this.#set = options.set ?? none;
    this.#keyspace = new Keyspace({
      settings: () => this.#settings,
      tell: (change) => this.#supervisor.changed(change),
      heard: (change) => this.#heard(change),
      healthChanged: () => this.#storeHealthChanged(),
    });
    this.#storeNews = new StoreNews(log);
    const open = async () => (await this.#keyspace.open()).store;
    this.#certificates = new CertificatesInForce(open, log);
    this.#ticketing = new Tickets({ open, changed: (keys) => this.#setTickets(keys), log });
    this.#health = new GatewayHealth({
      version: options.version,
      leftOut: () => this.#set.leftOut,
      store: () => this.#keyspace.health,
      storage: () => this.#settings.storage.type,
      certificates: () => this.#certificates.component,
      changed: (state) => {
        this.#supervisor.health(state);
        this.#ownHealth.changed();
      },
    });
    this.#collection = new Collection({ workers: () => this.#supervisor.workers, own: () => this.#ownFigures() });
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
    this.#control = new ControlPort(this.#app(), log, this.#ownHealth);
    this.#supervisor = new Supervisor({
      workerFile: options.workerFile,
      workers: options.workers,
      config: () => this.#workerConfig(this.#set),
      log,
      health: () => this.#health.state,
      tickets: () => this.#tickets,
      onGreeted: (worker) => this.#ports.share(worker),
      onRelieved: () => this.#placement.workersChanged(),
      onFigures: (worker, figures) => this.#collection.heard(worker, figures),
      onEnded: (worker, died) => {
        if (died) this.#own.deaths += 1;
        this.#collection.left(worker);
      },
      onReturned: (connections) => {
        for (const connection of connections) this.#placement.place(connection);
      },
    });
    const choose = config.settings.accept === "round_robin" ? roundRobin() : leastConnections();
    this.#placement = new Placement(choose, () => this.#supervisor.workers);
    this.#ports = new PortsInForce({
      log,
      workers: () => this.#supervisor.workers,
      shared: () => this.#settings.accept === "shared",
      place: (connection) => this.#placement.place(connection),
    });
    this.#rebalancer = new Rebalancer(() => this.#supervisor.workers, log);
  }

  /** Ports first: a busy one must be told before a worker exists. Rejects with the one message the operator needs. */
  async start(): Promise<void> {
    try {
      this.#ports.accept(await this.#ports.bindMore(this.#set.served), this.#set.served);
      const stored = await this.#certificates.read(this.#set.served);
      await this.#control.open(this.#settings, this.#controlTls(this.#set, stored));
      this.#certificates.enforce(this.#set.served, stored);
      this.#control.settle("new");
      if (needsStore(this.#set)) await this.#keyspace.open();
      await this.#ticketing.configure(this.#set.served);
      await this.#supervisor.start();
    } catch (error) {
      await this.#abandon();
      throw error;
    }
    this.#serves = true;
    this.#watchFiles();
    this.#rebalancer.set(this.#settings.connections.rebalance_interval * 1_000);
    this.#observe();
    this.#certificates.askAgain(() => void this.#recertify());
    this.#health.notReady = "";
  }

  /** Of every certificate in use, soonest first; for the metrics. */
  certificateExpiries(): readonly CertificateExpiry[] {
    return this.#certificates.expiries;
  }

  reload(): Promise<ReloadOutcome> {
    return this.#options.load === undefined
      ? Promise.resolve(refusedFor("there is nothing to read again"))
      : this.#reloader.reload();
  }

  /** A rolling restart: resolves with why the workers could not be replaced, empty when the new ones serve. */
  async renew(): Promise<string> {
    const { log } = this.#options;
    log.info("rolling restart: new workers are started");
    const problem = await this.#supervisor.renew(this.#settings.graceful_shutdown_timeout_duration * 1_000);
    this.#own.restarts[problem === "" ? "done" : "refused"] += 1;
    if (problem === "") log.info("rolling restart: every worker is new");
    else log.error({ problem }, "rolling restart refused: the workers go on as they are");
    return problem;
  }

  /** /ready says no from now on; everything is still served. */
  notReady(): void {
    this.#health.notReady = SHUTTING_DOWN;
  }

  /** Closes the ports and ends the workers; a second call may shorten the time. Resolves when nothing is left. */
  async end(timeoutMs: number): Promise<void> {
    this.#health.notReady = SHUTTING_DOWN;
    this.#close();
    await this.#supervisor.end(timeoutMs);
    await this.#control.close();
    await this.#keyspace.close();
  }

  /** Those in force. */
  get settings(): Settings {
    return this.#settings;
  }

  get #settings() {
    return this.#set.served.settings;
  }

  #apply(set: LoadedSet): Promise<ReloadOutcome> {
    return this.#inTurn(() => this.#putInForce(set));
  }

  #inTurn<Value>(change: () => Promise<Value>): Promise<Value> {
    const done = this.#changing.then(change);
    this.#changing = done.catch(() => {});
    return done;
  }

  /** Each step can be taken back until the workers have compiled the set; then it is in force. */
  async #putInForce(set: LoadedSet): Promise<ReloadOutcome> {
    const { ports, settings } = set.served;
    let fresh: readonly Listener[] = [];
    let stored: Certificates;
    try {
      fresh = await this.#ports.bindMore(set.served);
      stored = await this.#certificates.read(set.served);
      await this.#control.open(settings, this.#controlTls(set, stored));
      if (needsStore(set)) await this.#keyspace.open();
      for (const worker of this.#supervisor.workers) this.#ports.share(worker, fresh);
      const problem = await this.#supervisor.configure(this.#workerConfig(set, 1, stored));
      if (problem !== "") throw new Error(problem);
    } catch (error) {
      this.#ports.keepOnly(this.#set.served.ports);
      this.#control.settle("old");
      return refusedFor(error instanceof Error ? error.message : String(error));
    }
    this.#generation += 1;
    this.#set = set;
    this.#options.log.level = settings.log_level;
    this.#ports.accept(fresh, set.served);
    this.#ports.keepOnly(ports);
    this.#control.settle("new");
    this.#watchFiles();
    this.#rebalancer.set(this.#settings.connections.rebalance_interval * 1_000);
    this.#observe();
    const { isJudgedAnew, untimely } = this.#certificates.enforce(set.served, stored);
    if (isJudgedAnew) this.#health.changed();
    await this.#ticketing.configure(set.served);
    return { refused: "", notes: untimely };
  }

  /** True when every worker has what the store says; whatever runs goes on with what it has. */
  #recertify(): Promise<boolean> {
    return this.#inTurn(async () => {
      if (!this.#serves) return false;
      const { served } = this.#set;
      const stored = await this.#certificates.read(served);
      if (this.#certificates.isInForce(stored)) {
        if (this.#certificates.judge(served)) this.#health.changed();
        return true;
      }
      const problem = await this.#supervisor.configure(this.#workerConfig(this.#set, 1, stored));
      const { log } = this.#options;
      if (problem !== "") {
        log.error({ problem }, "certificates of the store cannot be put in force");
        return false;
      }
      this.#generation += 1;
      const { isJudgedAnew } = this.#certificates.enforce(served, stored);
      this.#control.secure(this.#controlTls(this.#set, stored));
      if (isJudgedAnew) this.#health.changed();
      log.info({ certificates: Object.keys(stored) }, "certificates of the store have changed");
      return true;
    });
  }

  #controlTls(set: LoadedSet, stored: Certificates): ControlTls | undefined {
    const { settings, definitions } = set.served;
    const certificates = this.#certificates.of(set.served, stored);
    return ControlTls.of({ settings, definitions, certificates, log: this.#options.log });
  }

  #workerConfig(set: LoadedSet, ahead = 0, stored?: Certificates): WorkerConfig {
    const { policies = [], ...served } = set.served;
    return {
      ...served,
      policies,
      certificates: this.#certificates.of(set.served, stored),
      generation: this.#generation + ahead,
      controlSocket: this.#control.socket,
    };
  }

  #app() {
    return controlApp({
      health: () => this.#health.state,
      settings: () => this.#settings,
      definitions: () => this.#set.served.definitions,
      documents: () => this.#set.documents,
      policies: () => this.#set.policies,
      keyspace: this.#keyspace,
      reload: () => this.reload(),
      renew: () => this.renew(),
      explain: async (question) => this.#supervisor.workers.find((worker) => worker.ready)?.explain(question),
      certificates: () => this.#certificates.of(this.#set.served),
      certificatesChanged: () => inTime(this.#recertify(), CERTIFICATES_MS),
      inspect: (query) => this.#inspect(query),
      metrics: async () => (this.#collection.enabled ? this.#collection.text() : undefined),
      log: this.#options.log,
    });
  }

  /** One that does not answer in time is named all the same. */
  #inspect(query: InspectionQuery): Promise<({ readonly pid: number } & Partial<Inspection>)[]> {
    const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), INSPECTION_MS).unref());
    const asked = this.#supervisor.workers.map(async (worker) => {
      const inspection = await Promise.race([worker.inspect(query), late]);
      return { pid: worker.pid, ...inspection };
    });
    return Promise.all(asked);
  }

  #observe(): void {
    const { settings, definitions } = this.#set.served;
    this.#collection.configure(
      settings,
      definitions.map((definition) => definition.api_id),
    );
  }

  #ownFigures(): Sample[] {
    const { served, leftOut } = this.#set;
    return this.#own.read({
      version: this.#options.version,
      workers: this.#supervisor.workers.filter((worker) => worker.ready).length,
      apis: served.definitions.length,
      leftOut: leftOut.length,
      ready: this.#health.isReady,
      reloadRefused: this.#health.reloadRefused,
      storeUp: this.#keyspace.health?.ok,
      certificates: this.certificateExpiries(),
    });
  }

  #storeHealthChanged(): void {
    this.#health.changed();
    const { health } = this.#keyspace;
    if (health !== undefined) this.#storeNews.heard(health, this.#settings.storage);
    // What it could not be asked at the start, or changed while it was away.
    if (health?.ok === true) void this.#recertify();
  }

  #heard({ command }: StoreChange): void {
    if (command === CERTIFICATES_CHANGED || command === EVERYTHING_CHANGED) void this.#recertify();
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
    this.#own.reloads[reason === "" ? "done" : "refused"] += 1;
    this.#health.reloaded(reason);
  }

  #close(): void {
    this.#ports.close();
    this.#placement.close();
    this.#serves = false;
    this.#ticketing.stop();
    this.#certificates.stop();
    this.#reloader.end();
    this.#watch.close();
    this.#rebalancer.stop();
    this.#collection.end();
  }

  async #abandon(): Promise<void> {
    this.#close();
    await this.#supervisor.end(0);
    await this.#control.close();
    await this.#keyspace.close();
  }
}

function inTime(done: Promise<boolean>, ms: number): Promise<boolean> {
  const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), ms).unref());
  return Promise.race([done, late]);
}

/** Without keys nothing asks the store, unless an operator does; over Redis the other replicas are heard all the same. */
function needsStore({ served }: LoadedSet): boolean {
  return served.settings.storage.type === "redis" || served.definitions.some(needsKeys);
}
