// The figures of the whole gateway: asked of the workers from time to time and when somebody wants to see them.
// Responsible for when they are asked, and for one answer to many who ask at once. Must not know: HTTP, what is counted.
// What a worker that is killed had counted since it was asked last is lost: that bounds the time between two.
// Runs: every ten seconds, and per scrape at most once a second.

import type { Settings } from "../../shared/config.js";
import type { Figures, MethodFigures, Sample } from "../../shared/observe/figures.js";
import { isSum } from "./catalogue.js";
import { joined } from "./states.js";
import { metricsText } from "./text.js";
import { Totals } from "./totals.js";
import { zeros } from "./zeros.js";

/** A worker that may be asked; figures come to `heard`. */
export interface Observable {
  /** Resolves when it has answered, or cannot any more. */
  observe(): Promise<void>;
}

export interface CollectionOptions {
  readonly workers: () => readonly Observable[];
  /** What the primary itself has to tell: states, and sums as they are. */
  readonly own: () => Sample[];
}

const EVERY_MS = 10_000;
/** A worker whose loop stands still is shown as it was. */
const ANSWER_MS = 1_000;
/** Whoever asks more often is told the same. */
const FRESH_MS = 1_000;

export class Collection {
  readonly #options: CollectionOptions;
  readonly #totals = new Totals(0);
  /** What each worker said last. */
  readonly #last = new Map<Observable, Figures>();
  #timer: NodeJS.Timeout | undefined;
  #enabled = false;
  #text: Promise<string> | undefined;
  #textAt = 0;

  constructor(options: CollectionOptions) {
    this.#options = options;
  }

  configure({ metrics }: Settings, apis: readonly string[]): void {
    this.#enabled = metrics.enabled;
    this.#totals.most = metrics.methods_per_api;
    this.#totals.keepOnly(new Set(apis));
    if (metrics.enabled) this.#totals.add(zeros(apis), isSum);
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (metrics.enabled) this.#timer = setInterval(() => void this.#ask(), EVERY_MS).unref();
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  heard(worker: Observable, figures: Figures): void {
    this.#totals.add(figures, isSum);
    this.#last.set(worker, figures);
  }

  left(worker: Observable): void {
    this.#last.delete(worker);
  }

  text(): Promise<string> {
    const now = performance.now();
    if (this.#text === undefined || now - this.#textAt > FRESH_MS) {
      this.#textAt = now;
      this.#text = this.#collect();
    }
    return this.#text;
  }

  end(): void {
    clearInterval(this.#timer);
  }

  async #collect(): Promise<string> {
    await this.#ask();
    // Fresh from here on: asking may have taken a while.
    this.#textAt = performance.now();
    const last = [...this.#last.values()];
    const own = this.#options.own();
    const states = joined([...last.flatMap(({ samples }) => samples), ...own]);
    const sums = [...this.#totals.sums, ...own.filter(({ name }) => isSum(name))];
    const { methods, ends } = this.#totals;
    return metricsText({ methods, ends, open: this.#open(last), samples: [...sums, ...states] });
  }

  #ask(): Promise<unknown> {
    const asked = Promise.all(this.#options.workers().map((worker) => worker.observe()));
    const late = new Promise((resolve) => setTimeout(resolve, ANSWER_MS).unref());
    return Promise.race([asked, late]);
  }

  #open(last: readonly Figures[]): { value: number; labels: Record<string, string> }[] {
    const found = new Map<string, { value: number; labels: Record<string, string> }>();
    const add = (figures: MethodFigures): void => {
      const labels = { api: figures.api, ...this.#totals.nameOf(figures) };
      const key = `${labels.api} ${labels.service}/${labels.method}`;
      const known = found.get(key);
      if (known === undefined) found.set(key, { value: figures.open, labels });
      else known.value += figures.open;
    };
    for (const { api, service, method } of this.#totals.methods)
      add({ api, service, method, proven: true, row: [], open: 0 });
    for (const { methods } of last) for (const each of methods) if (each.open > 0) add(each);
    return [...found.values()];
  }
}
