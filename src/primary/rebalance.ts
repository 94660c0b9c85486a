// When a worker carries far more than its share, and how many of its connections should go elsewhere.
// Responsible for the arithmetic only: shares of time come in, a request to one worker goes out. Must not know: processes,
// connections, GOAWAY. gRPC callers keep one connection for hours; what was placed evenly by number may be busy on one
// core and idle on the others. Runs: once per interval.

import type { Logger } from "pino";

/** A worker as this decision sees it. */
export interface Carrier {
  /** Share of time in which its loop had something to do, from 0 to 1; below 0 while it is not known. */
  readonly busy: number;
  readonly connections: number;
}

/** A worker below this has room, however little the others do. */
const HOT_FROM = 0.7;
/** … and so much above the mean is more than its share. */
const ABOVE_MEAN = 0.2;
/** What a caller does changes: only what lasts is acted on. */
const LOOKS = 2;
/** What moved must be seen before more is moved. */
const REST = 3;
/** Of a worker's connections at most, at once. */
const MOST = 0.25;

export function isHot(worker: Carrier, workers: readonly Carrier[]): boolean {
  const known = workers.filter((each) => each.busy >= 0);
  if (worker.busy < HOT_FROM || known.length < 2) return false;
  const mean = known.reduce((sum, each) => sum + each.busy, 0) / known.length;
  return worker.busy - mean >= ABOVE_MEAN;
}

/** A worker that can be told. */
export interface Tellable extends Carrier {
  readonly pid: number;
  hot: boolean;
  move(connections: number): void;
}

/** Looks at the workers again and again, and tells the one that should give some up. */
export class Rebalancer {
  readonly #workers: () => readonly Tellable[];
  readonly #log: Logger;
  #rebalance = new Rebalance<Tellable>();
  #everyMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(workers: () => readonly Tellable[], log: Logger) {
    this.#workers = workers;
    this.#log = log;
  }

  /** 0 = not at all. */
  set(everyMs: number): void {
    if (everyMs === this.#everyMs) return;
    this.#everyMs = everyMs;
    clearInterval(this.#timer);
    this.#rebalance = new Rebalance();
    this.#timer = everyMs === 0 ? undefined : setInterval(() => this.#look(), everyMs).unref();
  }

  stop(): void {
    this.set(0);
  }

  #look(): void {
    const workers = this.#workers();
    // New connections keep away from a hot one, or those that leave it would come back to it.
    for (const worker of workers) worker.hot = isHot(worker, workers);
    const move = this.#rebalance.look(workers);
    if (move === undefined) return;
    const { worker, connections } = move;
    this.#log.info(
      { worker: worker.pid, busy: Math.round(worker.busy * 100) / 100, connections },
      "worker carries more than its share: connections are asked to come back elsewhere",
    );
    worker.move(connections);
  }
}

export interface Move<Worker> {
  readonly worker: Worker;
  readonly connections: number;
}

export class Rebalance<Worker extends Carrier> {
  #hottest: Worker | undefined;
  #looks = 0;
  #rest = 0;

  /** Undefined when nothing should move. */
  look(workers: readonly Worker[]): Move<Worker> | undefined {
    if (this.#rest > 0) {
      this.#rest -= 1;
      return undefined;
    }
    const hottest = workers.reduce<Worker | undefined>(
      (best, each) => (best === undefined || each.busy > best.busy ? each : best),
      undefined,
    );
    // One connection cannot be divided.
    if (hottest === undefined || !isHot(hottest, workers) || hottest.connections < 2) {
      this.#hottest = undefined;
      return undefined;
    }
    this.#looks = hottest === this.#hottest ? this.#looks + 1 : 1;
    this.#hottest = hottest;
    if (this.#looks < LOOKS) return undefined;
    this.#hottest = undefined;
    this.#rest = REST;
    const known = workers.filter((each) => each.busy >= 0);
    const mean = known.reduce((sum, each) => sum + each.busy, 0) / known.length;
    const surplus = (hottest.connections * (hottest.busy - mean)) / hottest.busy;
    const most = Math.ceil(hottest.connections * MOST);
    return { worker: hottest, connections: Math.max(1, Math.min(Math.floor(surplus), most)) };
  }
}
