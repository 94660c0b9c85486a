// Which targets are down, as one worker finds out for all: two workers that ask would ask twice, and might disagree.
// Responsible for who asks and for what the others are told. Must not know: how health is found out, what follows.
// Runs: when a worker comes or goes, and once per change of a target's health.

import type { WorkerProcess } from "./worker-process.js";

type Worker = Pick<WorkerProcess, "ready" | "targets">;

export class TargetHealth {
  readonly #workers: () => readonly Worker[];
  #asks: Worker | undefined;
  #down: readonly string[] = [];

  /** @param workers those that may be told something */
  constructor(workers: () => readonly Worker[]) {
    this.#workers = workers;
  }

  /** Named as workers name them; for those that look at it from outside. */
  get down(): readonly string[] {
    return this.#down;
  }

  ready(worker: Worker): void {
    if (this.#asks === undefined) this.#asks = worker;
    worker.targets(worker === this.#asks, this.#down);
  }

  ended(worker: Worker): void {
    if (worker !== this.#asks) return;
    this.#asks = this.#workers().find((other) => other !== worker && other.ready);
    this.#asks?.targets(true, this.#down);
  }

  /** The worker that asks has found out something else; a word of another one comes too late to count. */
  heard(worker: Worker, down: readonly string[]): void {
    if (worker !== this.#asks) return;
    this.#down = down;
    for (const other of this.#workers()) if (other !== worker && other.ready) other.targets(false, down);
  }
}
