// Replacing settings, definitions and policies while calls run.
// Responsible for one reload at a time, for all or nothing, for saying why not. Must not know: files, sockets, HTTP.
// Everything is read, checked and compiled before anything changes. Runs: on SIGHUP, by the control API, by replicas.

import type { Logger } from "pino";
import { printProblem } from "../shared/model/problem.js";
import { keepFixed, type Loaded, type LoadedSet, newErrors, newProblems, tellProblems } from "./loaded-set.js";

export interface ReloadOutcome {
  /** Why everything stays as it was; empty when what was read is in force. */
  readonly refused: string;
  /** What an operator should know of a reload that succeeded. */
  readonly notes: readonly string[];
}

export interface ReloadOptions {
  readonly load: () => Loaded;
  readonly current: () => LoadedSet;
  readonly apply: (set: LoadedSet) => Promise<ReloadOutcome>;
  /** Empty when the last reload succeeded. */
  readonly refused: (reason: string) => void;
  readonly log: Logger;
}

/** As many reasons as one line can hold. */
const MOST_REASONS = 5;
const ENDED: ReloadOutcome = { refused: "the gateway is shutting down", notes: [] };

export class Reloader {
  readonly #options: ReloadOptions;
  #running: Promise<ReloadOutcome> | undefined;
  #next: Promise<ReloadOutcome> | undefined;
  #gathering: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(options: ReloadOptions) {
    this.#options = options;
  }

  /** Whoever asks while one runs gets the next, which reads the files anew. */
  reload(): Promise<ReloadOutcome> {
    if (this.#ended) return Promise.resolve(ENDED);
    if (this.#running === undefined) return this.#start();
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#ended ? ENDED : this.#start();
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

  #start(): Promise<ReloadOutcome> {
    this.#running = this.#reload().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #reload(): Promise<ReloadOutcome> {
    const { log, refused } = this.#options;
    const outcome = await this.#attempt().catch((error: unknown) => {
      log.error({ err: error }, "reload failed");
      return refusedFor(error instanceof Error ? error.message : String(error));
    });
    const reason = outcome.refused;
    refused(reason);
    if (reason === "") log.info("reloaded");
    else log.error({ reason }, "reload refused: everything stays as it was");
    return outcome;
  }

  async #attempt(): Promise<ReloadOutcome> {
    const { load, current, apply, log } = this.#options;
    const loaded = load();
    if (!("set" in loaded))
      return refusedFor(sentence(loaded.problems.filter(({ level }) => level === "error").map(printProblem)));
    const old = current();
    const broken = newErrors(old, loaded.set.problems);
    if (broken.length > 0) return refusedFor(sentence(broken.map(printProblem)));
    const { set, kept } = keepFixed(old.served.settings, loaded.set);
    if (kept.length > 0) log.warn({ settings: kept }, "settings that are in force only after a restart have changed");
    const { refused, notes } = await apply(set);
    if (refused !== "") return refusedFor(refused);
    tellProblems(log, newProblems(old, loaded.set.problems));
    const told = notes.length === 0 ? [] : [sentence(notes)];
    return { refused, notes: kept.length === 0 ? told : [sayKept(kept), ...told] };
  }
}

export function refusedFor(reason: string): ReloadOutcome {
  return { refused: reason, notes: [] };
}

function sayKept(kept: readonly string[]): string {
  return `in force only after a restart: ${kept.join(", ")}`;
}

function sentence(reasons: readonly string[]): string {
  const more = reasons.length > MOST_REASONS ? `; and ${reasons.length - MOST_REASONS} more` : "";
  return reasons.slice(0, MOST_REASONS).join("; ") + more;
}
