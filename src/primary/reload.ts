// Replacing settings, definitions and policies while calls run.
// Responsible for one reload at a time, for all or nothing, for saying why not. Must not know: files, sockets, HTTP.
// Everything is read, checked and compiled before anything changes. Runs: on SIGHUP, by the control API, by replicas.

import type { Logger } from "pino";
import { printProblem } from "../shared/model/problem.js";
import { keepFixed, type Loaded, type LoadedSet, newErrors, newProblems, tellProblems } from "./loaded-set.js";

export interface ReloadOptions {
  readonly load: () => Loaded;
  readonly current: () => LoadedSet;
  /** Resolves with why it could not be put in force, empty when it is. */
  readonly apply: (set: LoadedSet) => Promise<string>;
  /** Empty when the last reload succeeded. */
  readonly refused: (reason: string) => void;
  readonly log: Logger;
}

/** As many reasons as one line can hold. */
const MOST_REASONS = 5;

export class Reloader {
  readonly #options: ReloadOptions;
  #running: Promise<string> | undefined;
  #next: Promise<string> | undefined;
  #gathering: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(options: ReloadOptions) {
    this.#options = options;
  }

  /** Whoever asks while one runs gets the next, which reads the files anew. */
  reload(): Promise<string> {
    if (this.#ended) return Promise.resolve("the gateway is shutting down");
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#ended ? "the gateway is shutting down" : this.#start();
    });
    return this.#next;
  }

  /** For those who ask often and wait for nothing. */
  reloadSoon(delayMs: number): void {
    if (this.#ended) return;
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      void this.reload();
    }, delayMs).unref();
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#gathering);
  }

  #start(): Promise<string> {
    this.#running = this.#reload().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #reload(): Promise<string> {
    const { log, refused } = this.#options;
    const reason = await this.#attempt().catch((error: unknown) => {
      log.error({ err: error }, "reload failed");
      return error instanceof Error ? error.message : String(error);
    });
    refused(reason);
    if (reason === "") log.info("reloaded");
    else log.error({ reason }, "reload refused: everything stays as it was");
    return reason;
  }

  async #attempt(): Promise<string> {
    const { load, current, apply, log } = this.#options;
    const loaded = load();
    if (!("set" in loaded)) return sentence(loaded.problems.filter((each) => each.level === "error").map(printProblem));
    const old = current();
    const broken = newErrors(old, loaded.set.problems);
    if (broken.length > 0) return sentence(broken.map(printProblem));
    const { set, kept } = keepFixed(old.served.settings, loaded.set);
    if (kept.length > 0) log.warn({ settings: kept }, "settings that are in force only after a restart have changed");
    const reason = await apply(set);
    if (reason === "") tellProblems(log, newProblems(old, loaded.set.problems));
    return reason;
  }
}

function sentence(reasons: readonly string[]): string {
  const more = reasons.length > MOST_REASONS ? `; and ${reasons.length - MOST_REASONS} more` : "";
  return reasons.slice(0, MOST_REASONS).join("; ") + more;
}
