// Keeps the wanted number of worker processes alive, and ends them together.
// Responsible for: starting, restarting with back-off, draining, killing what outlives its time.
// Must not know: ports' descriptors, signals, what a worker does with a connection.
// Runs: at start, at the end and when a worker dies.

import cluster from "node:cluster";
import type { Logger } from "pino";
import type { HealthState, TicketKeys, WorkerConfig } from "../shared/messages.js";
import type { StoreChange } from "../shared/store/store.js";
import { BackOff } from "./back-off.js";
import { type Connection, type WorkerEvents, WorkerProcess } from "./worker-process.js";

export interface SupervisorOptions {
  /** The compiled entry file of a worker. */
  readonly workerFile: string;
  readonly workers: number;
  /** What workers begin with; asked for once, when the first one is started. */
  readonly config: () => WorkerConfig;
  readonly log: Logger;
  readonly health: () => HealthState;
  readonly tickets: () => TicketKeys;
  /** A worker can be spoken to: what is shared goes to it before its configuration. */
  readonly onGreeted: (worker: WorkerProcess) => void;
  /** Workers can take more than before. */
  readonly onRelieved: () => void;
  /** Connections that a dead worker never took over. */
  readonly onReturned: (connections: Connection[]) => void;
}

// Deaths in a row before any worker has ever been ready: this start leads nowhere.
const HOPELESS_DEATHS = 3;
// Beyond the drain's timeout a worker first has its own last resort (2 s); then it is killed.
const KILL_AFTER_MS = 4_000;

// A worker whose loop stands still for so long is replaced by one that has the new configuration from the start.
const CONFIGURE_MS = 10_000;
// As long as an operator's change may wait for the workers.
const CHANGE_MS = 200;

interface Slot {
  worker: WorkerProcess | undefined;
  restart: NodeJS.Timeout | undefined;
  readonly backOff: BackOff;
}

interface Deferred {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(reason: Error): void;
}

// Promise.withResolvers is younger than the oldest Node we run on.
function deferred(): Deferred {
  let settle: Omit<Deferred, "promise"> | undefined;
  const promise = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...settle! };
}

function after<Value>(ms: number, value: Value): Promise<Value> {
  return new Promise((resolve) => setTimeout(() => resolve(value), ms).unref());
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #slots: Slot[] = [];
  readonly #started = deferred();
  readonly #ended = deferred();
  #config!: WorkerConfig;
  #changes = 0;
  #readyOnce = false;
  #ending = false;
  #killTimer: NodeJS.Timeout | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Living workers; the array is new after each change and may be kept for one choice. */
  get workers(): WorkerProcess[] {
    return this.#slots.flatMap((slot) => slot.worker ?? []);
  }

  /** Resolves when the first worker serves; rejects when none can. */
  start(): Promise<void> {
    if (this.#ending) return this.#started.promise;
    this.#config = this.#options.config();
    cluster.setupPrimary({ exec: this.#options.workerFile, args: [], serialization: "advanced" });
    for (let index = 0; index < this.#options.workers; index += 1) {
      const slot: Slot = { worker: undefined, restart: undefined, backOff: new BackOff() };
      this.#slots.push(slot);
      this.#fork(slot);
    }
    return this.#started.promise;
  }

  health(state: HealthState): void {
    for (const worker of this.workers) worker.health(state);
  }

  tickets(keys: TicketKeys): void {
    for (const worker of this.workers) worker.tickets(keys);
  }

  /**
   * Puts a configuration in force on every worker, or on none: the first one tries it, and keeps the old one when it
   * cannot be compiled. Resolves with the reason then, otherwise with nothing when every worker has it.
   */
  async configure(config: WorkerConfig): Promise<string> {
    const [first] = this.workers.filter((worker) => worker.ready);
    if (first !== undefined) {
      const problem = await this.#configureOne(first, config);
      if (problem !== "") {
        first.revert(this.#config);
        return problem;
      }
    }
    this.#config = config;
    const others = this.workers.filter((worker) => worker !== first);
    await Promise.all(others.map((worker) => this.#mustTake(worker, config)));
    return "";
  }

  /** True when every worker has applied it in time. */
  async changed(change: StoreChange): Promise<boolean> {
    this.#changes += 1;
    const id = this.#changes;
    const workers = this.workers;
    const applied = Promise.all(workers.map((worker) => worker.changed(id, change))).then(() => true);
    const inTime = await Promise.race([applied, after(CHANGE_MS, false)]);
    for (const worker of workers) worker.forgetChange(id);
    return inTime;
  }

  /** Resolves when no worker is left. Called again it may only shorten the time. */
  end(timeoutMs: number): Promise<void> {
    this.#ending = true;
    for (const slot of this.#slots) clearTimeout(slot.restart);
    for (const worker of this.workers) worker.drain(timeoutMs);
    clearTimeout(this.#killTimer);
    this.#killTimer = setTimeout(() => this.#killAll(), timeoutMs + KILL_AFTER_MS);
    this.#checkEnded();
    return this.#ended.promise;
  }

  async #configureOne(worker: WorkerProcess, config: WorkerConfig): Promise<string> {
    const late = "the worker did not answer";
    const problem = await Promise.race([worker.configure(config), after(CONFIGURE_MS, late)]);
    // Nobody knows which configuration it has now.
    if (problem === late) worker.kill();
    return problem;
  }

  /** The first worker took it: one that does not is replaced. */
  async #mustTake(worker: WorkerProcess, config: WorkerConfig): Promise<void> {
    const problem = await this.#configureOne(worker, config);
    if (problem === "") return;
    this.#options.log.error({ worker: worker.pid, problem }, "worker cannot take the configuration: replaced");
    worker.kill();
  }

  #fork(slot: Slot): void {
    slot.restart = undefined;
    slot.backOff.started(Date.now());
    const { health, tickets } = this.#options;
    slot.worker = new WorkerProcess(this.#config, health(), tickets, this.#eventsOf(slot));
  }

  #eventsOf(slot: Slot): WorkerEvents {
    return {
      greeted: this.#options.onGreeted,
      ready: (worker) => this.#ready(worker),
      relieved: this.#options.onRelieved,
      refused: (worker, problem) => this.#refused(worker, problem),
      ended: (worker, how) => this.#workerEnded(slot, worker, how),
    };
  }

  #ready(worker: WorkerProcess): void {
    if (this.#ending) return;
    this.#options.log.info({ worker: worker.pid }, "worker serves");
    this.#readyOnce = true;
    this.#started.resolve();
    this.#options.onRelieved();
  }

  #refused(worker: WorkerProcess, problem: string): void {
    if (!this.#readyOnce) this.#started.reject(new Error(problem));
    else this.#options.log.error({ worker: worker.pid, problem }, "worker cannot serve");
    worker.kill();
  }

  #workerEnded(slot: Slot, worker: WorkerProcess, how: string): void {
    slot.worker = undefined;
    const returned = worker.takeBack();
    if (this.#ending) {
      for (const connection of returned) connection.handle.close();
      this.#checkEnded();
      return;
    }
    const delay = slot.backOff.died(Date.now());
    this.#options.log.error({ worker: worker.pid, how, restartInMs: delay }, "worker died");
    this.#options.onReturned(returned);
    if (!this.#readyOnce && slot.backOff.deaths >= HOPELESS_DEATHS) {
      this.#started.reject(new Error(`workers die before they serve (${how}); their own log lines say why`));
      return;
    }
    slot.restart = setTimeout(() => this.#fork(slot), delay);
  }

  #killAll(): void {
    for (const worker of this.workers) {
      this.#options.log.error({ worker: worker.pid }, "worker did not end in time: killed");
      worker.kill();
    }
  }

  #checkEnded(): void {
    if (this.workers.length > 0) return;
    clearTimeout(this.#killTimer);
    this.#ended.resolve();
  }
}
