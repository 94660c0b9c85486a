// Keeps the wanted number of worker processes alive, renews them, and ends them together.
// Responsible for: starting, restarting with back-off, renewing, draining, killing what outlives its time.
// Must not know: ports' descriptors, signals, what a worker does with a connection.
// Runs: at start, at the end, at a rolling restart and when a worker dies.

import cluster from "node:cluster";
import type { Logger } from "pino";
import type { HealthState, TicketKeys, WorkerConfig } from "../shared/messages.js";
import type { Figures } from "../shared/observe/figures.js";
import type { StoreChange } from "../shared/store/store.js";
import { BackOff } from "./back-off.js";
import { TargetHealth } from "./target-health.js";
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
  /** What a worker has counted since it told last. */
  readonly onFigures: (worker: WorkerProcess, figures: Figures) => void;
  /** Its last word has been heard; `died`: nobody had told it to end. */
  readonly onEnded: (worker: WorkerProcess, died: boolean) => void;
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
// A successor that serves nothing after so long is given up, and the rolling restart with it.
const SUCCESSION_MS = 30_000;
// Memory for young objects, MiB, a third of what a worker may use for them. With thousands of keys in use fewer of them live
// through a collection than with Node's 16: bench/LOG.md.
const YOUNG = "--max-semi-space-size";
const YOUNG_MIB = 32;
// Sets of replaced workers that may finish calls beside those that serve.
const MOST_GENERATIONS = 3;
// What was connected to a worker a moment before it is replaced is heard, or its caller would see a connection that fails.
const SILENT_MS = 3_000;
// A new worker whose renewal failed may have taken connections by then.
const DISMISSAL_MS = 5_000;

interface Slot {
  worker: WorkerProcess | undefined;
  /** Takes the worker's place when all successors serve. */
  successor: Successor | undefined;
  restart: NodeJS.Timeout | undefined;
  readonly backOff: BackOff;
}

interface Successor {
  readonly worker: WorkerProcess;
  /** With why it cannot take over; empty when it serves. */
  readonly settle: (problem: string) => void;
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
  /** Replaced ones that still finish calls. */
  readonly #retired = new Set<WorkerProcess>();
  readonly #targetHealth = new TargetHealth(() => this.workers);
  readonly #started = deferred();
  readonly #ended = deferred();
  #config!: WorkerConfig;
  #changes = 0;
  #readyOnce = false;
  #ending = false;
  #killTimer: NodeJS.Timeout | undefined;
  #renewing: Promise<string> | undefined;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Living workers, those that only finish calls included; the array is new after each change, to be kept for one choice. */
  get workers(): WorkerProcess[] {
    const workers = this.#slots.flatMap((slot) => [slot.worker ?? [], slot.successor?.worker ?? []].flat());
    return this.#retired.size === 0 ? workers : [...workers, ...this.#retired];
  }

  /** Resolves when the first worker serves; rejects when none can. */
  start(): Promise<void> {
    if (this.#ending) return this.#started.promise;
    this.#config = this.#options.config();
    // An operator's own comes later, and wins.
    const execArgv = [`${YOUNG}=${YOUNG_MIB}`, ...process.execArgv];
    cluster.setupPrimary({ exec: this.#options.workerFile, args: [], execArgv, serialization: "advanced" });
    for (let index = 0; index < this.#options.workers; index += 1) {
      const slot: Slot = { worker: undefined, successor: undefined, restart: undefined, backOff: new BackOff() };
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
    let first: WorkerProcess | undefined;
    let problem = "";
    do {
      first = this.workers.find((worker) => worker.ready && !this.#retired.has(worker));
      if (first === undefined) break;
      problem = await this.#configureOne(first, config);
      if (problem !== "") first.revert(this.#config);
      // One that was replaced meanwhile has ended, and said nothing about the configuration.
    } while (problem !== "" && this.#retired.has(first));
    if (first !== undefined && problem !== "") return problem;
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

  /**
   * Every worker is replaced by one of the program as it is on disk now: the new ones are started one after the other,
   * and when all serve the old ones are drained, which have `drainMs` for their calls. Resolves when that has begun, or
   * with why a new one cannot serve; then nothing changes.
   */
  renew(drainMs: number): Promise<string> {
    this.#renewing ??= this.#renewAll(drainMs).finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  /** Resolves when no worker is left. Called again it may only shorten the time. */
  end(timeoutMs: number): Promise<void> {
    this.#ending = true;
    for (const slot of this.#slots) {
      clearTimeout(slot.restart);
      slot.successor?.settle("the gateway ends");
    }
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
    if (problem === late && !this.#retired.has(worker)) worker.kill();
    return problem;
  }

  /** The first worker took it: one that does not is replaced. One that was replaced already has its calls to finish, and its own end. */
  async #mustTake(worker: WorkerProcess, config: WorkerConfig): Promise<void> {
    const problem = await this.#configureOne(worker, config);
    if (problem === "" || this.#retired.has(worker)) return;
    this.#options.log.error({ worker: worker.pid, problem }, "worker cannot take the configuration: replaced");
    worker.kill();
  }

  /** All or none: the old ones are drained when every new one serves, so that callers move once and to a new worker. */
  async #renewAll(drainMs: number): Promise<string> {
    let problem = "";
    // Long streams hold replaced workers: with them a restart after the other would fill the host.
    if (this.#retired.size >= MOST_GENERATIONS * this.#slots.length)
      return "workers of earlier rolling restarts still finish their calls";
    for (const slot of this.#slots) problem ||= await this.#raiseSuccessor(slot);
    if (this.#ending) problem ||= "the gateway ends";
    if (this.#slots.some((slot) => slot.successor === undefined)) problem ||= "a new worker died soon after its start";
    for (const slot of this.#slots) {
      if (problem === "") this.#takeOver(slot, drainMs);
      else this.#dismiss(slot);
    }
    return problem;
  }

  /** Resolves with why it cannot take over; empty when it serves. */
  #raiseSuccessor(slot: Slot): Promise<string> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve("the new worker does not serve in time"), SUCCESSION_MS);
      slot.successor = {
        worker: this.#spawn(slot),
        settle: (problem) => {
          clearTimeout(timer);
          resolve(problem);
        },
      };
    });
  }

  #takeOver(slot: Slot, drainMs: number): void {
    const old = slot.worker;
    slot.worker = slot.successor?.worker;
    slot.successor = undefined;
    // The old one may have died meanwhile, and a third was about to be started.
    clearTimeout(slot.restart);
    slot.restart = undefined;
    slot.backOff.started(Date.now());
    if (old === undefined) return;
    this.#retired.add(old);
    this.#options.log.info({ worker: old.pid, successor: slot.worker?.pid }, "worker replaced: it finishes its calls");
    old.drain(drainMs, SILENT_MS);
    this.#killLater(old, drainMs);
  }

  /** Unreferenced: the end of the gateway has a timer of its own. */
  #killLater(retired: WorkerProcess, drainMs: number): void {
    setTimeout(() => {
      if (this.#retired.has(retired)) retired.kill();
    }, drainMs + KILL_AFTER_MS).unref();
  }

  #dismiss(slot: Slot): void {
    const worker = slot.successor?.worker;
    slot.successor = undefined;
    if (worker === undefined) return;
    this.#retired.add(worker);
    // Callers may be with it already.
    if (this.#ending) worker.drain(0);
    else worker.drain(DISMISSAL_MS, SILENT_MS);
    this.#killLater(worker, DISMISSAL_MS);
  }

  #fork(slot: Slot): void {
    slot.restart = undefined;
    slot.backOff.started(Date.now());
    slot.worker = this.#spawn(slot);
  }

  #spawn(slot: Slot): WorkerProcess {
    const { health, tickets } = this.#options;
    return new WorkerProcess(this.#config, health(), tickets, this.#eventsOf(slot));
  }

  #eventsOf(slot: Slot): WorkerEvents {
    return {
      greeted: this.#options.onGreeted,
      ready: (worker) => this.#ready(slot, worker),
      relieved: this.#options.onRelieved,
      targets: (worker, down) => this.#targetHealth.heard(worker, down),
      figures: (worker, figures) => this.#options.onFigures(worker, figures),
      refused: (worker, problem) => this.#refused(slot, worker, problem),
      ended: (worker, how) => this.#workerEnded(slot, worker, how),
    };
  }

  #ready(slot: Slot, worker: WorkerProcess): void {
    if (this.#ending) return;
    this.#options.log.info({ worker: worker.pid }, "worker serves");
    if (slot.successor?.worker === worker) slot.successor.settle("");
    this.#readyOnce = true;
    this.#targetHealth.ready(worker);
    this.#started.resolve();
    this.#options.onRelieved();
  }

  #refused(slot: Slot, worker: WorkerProcess, problem: string): void {
    if (slot.successor?.worker === worker) return slot.successor.settle(problem);
    if (!this.#readyOnce) this.#started.reject(new Error(problem));
    else this.#options.log.error({ worker: worker.pid, problem }, "worker cannot serve");
    worker.kill();
  }

  #workerEnded(slot: Slot, worker: WorkerProcess, how: string): void {
    const heir = slot.successor?.worker === worker;
    if (heir) {
      slot.successor?.settle(`the new worker died before it served (${how})`);
      slot.successor = undefined;
    }
    const retired = this.#retired.delete(worker) || heir;
    if (!retired) slot.worker = undefined;
    this.#targetHealth.ended(worker);
    this.#options.onEnded(worker, !retired && !this.#ending);
    const returned = worker.takeBack();
    if (this.#ending) {
      for (const connection of returned) connection.handle.close();
      this.#checkEnded();
      return;
    }
    if (retired) {
      this.#options.log.info({ worker: worker.pid, how }, "replaced worker ended");
      this.#options.onReturned(returned);
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
