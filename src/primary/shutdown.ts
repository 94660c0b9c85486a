// From the first signal to the end of the process.
// Responsible for the order and the times. Must not know: how ports close, what a worker does meanwhile.
// Contract: SIGTERM and SIGINT are the same; a second one skips what is left of the waiting. Runs: once.

import type { Logger } from "pino";

export interface Ending {
  notReady(): void;
  end(timeoutMs: number): Promise<void>;
}

export interface ShutdownTimes {
  /** /ready says no and the ports still accept: balancers take their time to notice. */
  readonly delayMs: number;
  /** Running calls may finish for so long. */
  readonly timeoutMs: number;
}

export class Shutdown {
  readonly #gateway: Ending;
  readonly #times: () => ShutdownTimes;
  readonly #log: Logger;
  readonly #done: () => void;
  #signals = 0;
  #delay: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(gateway: Ending, times: () => ShutdownTimes, log: Logger, done: () => void) {
    this.#gateway = gateway;
    this.#times = times;
    this.#log = log;
    this.#done = done;
  }

  signal(name: string): void {
    this.#signals += 1;
    if (this.#signals === 1) this.#begin(name);
    else this.#hurry(name);
  }

  #begin(name: string): void {
    // Those in force now: a reload may have changed them.
    const { delayMs, timeoutMs } = this.#times();
    this.#log.info({ signal: name, delayMs, timeoutMs }, "ending: a second signal ends running calls at once");
    this.#gateway.notReady();
    this.#delay = setTimeout(() => this.#end(timeoutMs), delayMs);
  }

  #hurry(name: string): void {
    this.#log.info({ signal: name }, "ending at once");
    clearTimeout(this.#delay);
    this.#end(0);
  }

  #end(timeoutMs: number): void {
    this.#gateway.end(timeoutMs).then(
      () => this.#finish(),
      (error: unknown) => {
        this.#log.error({ err: error }, "ending failed");
        this.#finish();
      },
    );
  }

  /** After a second signal both ways of ending arrive here. */
  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#done();
  }
}
