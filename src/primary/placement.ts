// Which worker gets a new connection, and where connections wait while no worker can take one.
// Responsible for the choice and the queue. Must not know: processes, sockets' contents, signals.
// gRPC callers keep one connection for hours: where it is placed decides how the cores are used.
// Runs: once per new connection.

import type { Connection } from "./worker-process.js";

/** What a choice is made from; a worker process in life, a plain record in tests. */
export interface Candidate {
  readonly takesConnections: boolean;
  readonly connections: number;
  readonly calls: number;
  /** It carries far more than its share of the work. */
  readonly hot?: boolean;
  give(connection: Connection): void;
}

export type Choose = (workers: readonly Candidate[]) => Candidate | undefined;

/** Each in turn, whatever it carries. */
export function roundRobin(): Choose {
  let next = 0;
  return (workers) => {
    for (let step = 0; step < workers.length; step += 1) {
      const worker = workers[(next + step) % workers.length]!;
      if (worker.takesConnections) {
        next = (next + step + 1) % workers.length;
        return worker;
      }
    }
    return undefined;
  };
}

/** One that is not hot, with the fewest connections, then the fewest open calls, then whose turn it is. */
export function leastConnections(): Choose {
  let next = 0;
  return (workers) => {
    let best: Candidate | undefined;
    for (let step = 0; step < workers.length; step += 1) {
      const worker = workers[(next + step) % workers.length]!;
      if (worker.takesConnections && (best === undefined || lighter(worker, best))) best = worker;
    }
    if (best !== undefined) next = (workers.indexOf(best) + 1) % workers.length;
    return best;
  };
}

function lighter(one: Candidate, other: Candidate): boolean {
  if ((one.hot === true) !== (other.hot === true)) return one.hot !== true;
  if (one.connections !== other.connections) return one.connections < other.connections;
  return one.calls < other.calls;
}

/** About what the kernel's own backlog would hold. Past it a new connection is closed at once: it is told, not kept. */
export const MOST_WAITING = 4_096;

export class Placement {
  readonly #choose: Choose;
  readonly #workers: () => readonly Candidate[];
  #waiting: Connection[] = [];
  #closed = false;

  constructor(choose: Choose, workers: () => readonly Candidate[]) {
    this.#choose = choose;
    this.#workers = workers;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  place(connection: Connection): void {
    const worker = this.#closed ? undefined : this.#choose(this.#workers());
    if (worker !== undefined) worker.give(connection);
    else if (this.#closed || this.#waiting.length >= MOST_WAITING) connection.handle.close();
    else this.#waiting.push(connection);
  }

  /** To be called when a worker has become able to take connections. */
  workersChanged(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const connection of waiting) this.place(connection);
  }

  /** From now on nothing is placed; what waits is closed, for no worker will come for it. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#waiting.splice(0)) connection.handle.close();
  }
}
