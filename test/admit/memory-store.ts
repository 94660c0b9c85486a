// The store's contract in a map, for tests of what stands on it and not of how it is kept. News are heard at once.
// Must not know: homes. Runs: tests only; what they do not use of a store is not there.

import type { CounterHome, PutOptions, Store, StoreChange, StoreHealth } from "../../src/shared/store/store.js";

export class MemoryStore implements Store {
  readonly home = "embedded";
  readonly values = new Map<string, Uint8Array>();
  readonly #listeners = new Set<(change: StoreChange) => void>();

  async open(): Promise<void> {}
  async close(): Promise<void> {}
  health(): StoreHealth {
    return { ok: true, since: 0 };
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    return this.values.get(name);
  }
  async getMany(names: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return names.map((name) => this.values.get(name));
  }
  async put(name: string, value: Uint8Array, _options?: PutOptions): Promise<boolean> {
    this.values.set(name, value);
    return true;
  }
  async delete(name: string): Promise<boolean> {
    return this.values.delete(name);
  }
  async *list(prefix: string): AsyncIterable<string[]> {
    yield [...this.values.keys()].filter((name) => name.startsWith(prefix));
  }
  async ttl(name: string): Promise<number> {
    return this.values.has(name) ? -1 : -2;
  }

  async listValues(): Promise<string[]> {
    return [];
  }
  async listAdd(): Promise<void> {}
  async listRemove(): Promise<void> {}

  async publish(change: StoreChange): Promise<void> {
    for (const listener of [...this.#listeners]) listener(change);
  }
  subscribe(listener: (change: StoreChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
  onHealth(): () => void {
    return () => undefined;
  }
  counters(): CounterHome {
    throw new Error("counts nothing");
  }
}
