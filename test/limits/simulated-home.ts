/** Shared counters in memory, on a clock that the test moves: the obvious twin of both homes. */

import {
  type Beat,
  type Counters,
  type FixedReply,
  RECALL_MS,
  type SlideAsk,
} from "../../src/shared/counters/counters.js";
import { type Ask, type Counter, exchange, slide } from "../../src/shared/counters/exchange.js";

/** The store's clock is this far from the workers': nothing may mix them up. */
export const STORE_OFFSET_MS = 7_000_000_123;

export class World {
  now = 1_000;
  counters = new Map<string, Counter>();
  logs = new Map<string, number[]>();
  living = new Set<string>();
  /** Counters that ran dry, and when. */
  dry = new Map<string, number>();
  /** What the store does with the next requests. */
  mode: "answer" | "refuse" | "silent" | "lose answers" = "answer";
  epoch = 1;
  requests = 0;
  asks = 0;
  clock = (): number => this.now;

  get storeUs(): number {
    return (this.now + STORE_OFFSET_MS) * 1_000;
  }

  empty(): void {
    this.counters.clear();
    this.logs.clear();
    this.living.clear();
    this.epoch += 1;
  }

  taken(key: string): number {
    return this.counters.get(key)?.taken ?? 0;
  }
}

export class SimulatedHome implements Counters {
  constructor(
    readonly world: World,
    readonly worker: string,
  ) {}

  exchange(asks: readonly Ask[]): Promise<readonly number[]> {
    return this.#through(() => {
      this.world.asks += asks.length;
      return asks.flatMap((ask) => {
        const found = this.world.counters.get(ask.key);
        const [next, reply] = exchange(found, ask, this.world.storeUs);
        this.world.counters.set(ask.key, next);
        return reply;
      });
    });
  }

  slide(asks: readonly SlideAsk[]): Promise<readonly number[]> {
    return this.#through(() =>
      asks.flatMap((ask) => {
        const [log, reply] = slide(this.world.logs.get(ask.key) ?? [], ask.limit, ask.perMs, this.world.storeUs);
        this.world.logs.set(ask.key, log);
        return reply;
      }),
    );
  }

  unslide(key: string, at: number): Promise<void> {
    return this.#through(() => {
      const log = this.world.logs.get(key) ?? [];
      const index = log.indexOf(at);
      if (index >= 0) log.splice(index, 1);
    });
  }

  fixed(): Promise<FixedReply> {
    return this.#through(() => ({ admitted: true, waitMs: 0 }));
  }

  recall(keys: readonly string[]): Promise<readonly string[]> {
    return this.#through(() => {
      for (const key of keys) this.world.dry.set(key, this.world.now);
      return [...this.world.dry.keys()].filter((key) => this.world.dry.get(key)! > this.world.now - RECALL_MS);
    });
  }

  beat(): Promise<Beat> {
    return this.#through(() => {
      this.world.living.add(this.worker);
      return { names: [...this.world.living], epoch: this.world.epoch };
    });
  }

  async leave(): Promise<void> {
    this.world.living.delete(this.worker);
  }

  async read(key: string): Promise<Counter | undefined> {
    return this.world.counters.get(key);
  }

  async clear(key: string): Promise<void> {
    const counter = this.world.counters.get(key);
    if (counter !== undefined) Object.assign(counter, { taken: 0, shares: [] });
  }

  #through<T>(action: () => T): Promise<T> {
    this.world.requests += 1;
    if (this.world.mode === "refuse") return Promise.reject(new Error("store away"));
    if (this.world.mode === "silent") return new Promise(() => undefined);
    const result = action();
    return this.world.mode === "lose answers" ? Promise.reject(new Error("answer lost")) : Promise.resolve(result);
  }
}

/** Lets everything that is under way arrive. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
}
