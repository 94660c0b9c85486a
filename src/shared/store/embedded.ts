/**
 * The embedded home: one lmdb environment at `storage.path` that all processes of the host open for themselves.
 * Responsible for: values with an end, lists, the log of changes, the environments of the counters.
 * Must not know: what the values mean, how processes talk to each other (it is handed `announce` and offers `poke`).
 * Governed by: the contract in `store.ts`; lmdb: open after the fork, one writer at a time, readers never wait.
 * Runs: reads are memory look-ups; writes only for the control port and first use.
 */

import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Database, open as openEnvironment, type RootDatabase, type RootDatabaseOptions } from "lmdb";
import { Emitter } from "./emitter.js";
import { DURABLE, VOLATILE } from "./folders.js";
import {
  type CounterHome,
  EVERYTHING_CHANGED,
  MAX_NAME_BYTES,
  type PutOptions,
  type Store,
  type StoreChange,
  StoreDown,
  type StoreHealth,
} from "./store.js";

/** A worker that missed more changes than this forgets everything it remembers instead of replaying them. */
const LOG_LENGTH = 1_024;
/** How long a change can stay unseen when nobody relays the poke. */
const POLL_MS = 1_000;
const PAGE = 512;
const SWEEP_LIMIT = 10_000;
/** Each value is preceded by the millisecond of its end as a float, 0 for none. */
const END_BYTES = 8;

export interface EmbeddedOptions {
  readonly path: string;
  readonly prefix?: string | undefined;
  /** Tells the other processes of the host that the log grew; they call `poke`. */
  readonly announce?: (() => void) | undefined;
  readonly now?: (() => number) | undefined;
}

interface Opened {
  readonly durable: RootDatabase<unknown, string>;
  readonly volatile: RootDatabase<unknown, string>;
  readonly values: Database<Buffer, string>;
  readonly ends: Database<boolean, [number, string]>;
  readonly lists: Database<string[], string>;
  readonly changes: Database<StoreChange, number>;
}

export class EmbeddedStore implements Store {
  readonly home = "embedded";
  readonly #options: EmbeddedOptions;
  readonly #now: () => number;
  readonly #changes = new Emitter<StoreChange>();
  readonly #healths = new Emitter<StoreHealth>();
  #opened: Opened | undefined;
  #poll: NodeJS.Timeout | undefined;
  #seen = 0;
  #health: StoreHealth;

  constructor(options: EmbeddedOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#health = { ok: false, since: this.#now(), output: "not opened" };
  }

  async open(): Promise<void> {
    if (this.#opened !== undefined) return;
    try {
      this.#opened = openAll(this.#options.path);
    } catch (error) {
      this.#health = { ok: false, since: this.#now(), output: `${this.#options.path}: ${(error as Error).message}` };
      return;
    }
    this.#seen = lastChange(this.#opened);
    // Slots of processes that were killed would otherwise keep old pages alive for ever.
    this.#opened.durable.readerCheck();
    this.#opened.volatile.readerCheck();
    this.#poll = setInterval(() => this.poke(), POLL_MS);
    this.#poll.unref();
    this.#health = { ok: true, since: this.#now() };
    this.#healths.emit(this.#health);
  }

  async close(): Promise<void> {
    clearInterval(this.#poll);
    const opened = this.#opened;
    this.#opened = undefined;
    this.#health = { ok: false, since: this.#now(), output: "closed" };
    if (opened === undefined) return;
    await opened.durable.close();
    await opened.volatile.close();
  }

  health(): StoreHealth {
    return this.#health;
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    return this.#read(name);
  }

  async getMany(names: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return names.map((name) => this.#read(name));
  }

  getManyNow(names: readonly string[]): (Uint8Array | undefined)[] {
    return names.map((name) => this.#read(name));
  }

  /** Reads of one turn of the loop share a snapshot, which may be older than the news that came in it. */
  renew(): void {
    this.#opened?.durable.resetReadTxn();
  }

  async put(name: string, value: Uint8Array, options: PutOptions = {}): Promise<boolean> {
    const { values, ends } = this.#home();
    if (!fits(name)) return false;
    const end = options.ttl !== undefined && options.ttl > 0 ? this.#now() + options.ttl : 0;
    const stored = Buffer.allocUnsafe(END_BYTES + value.length);
    stored.writeDoubleBE(end, 0);
    stored.set(value, END_BYTES);
    return values.transaction(() => {
      if (options.when !== undefined && (this.#read(name) !== undefined) !== (options.when === "present")) return false;
      values.put(name, stored);
      if (end > 0) ends.put([end, name], true);
      return true;
    });
  }

  async delete(name: string): Promise<boolean> {
    const { values } = this.#home();
    if (!fits(name)) return false;
    return values.transaction(() => {
      const found = this.#read(name) !== undefined;
      values.remove(name);
      return found;
    });
  }

  async *list(prefix: string): AsyncIterable<string[]> {
    const { values } = this.#home();
    let after: string | undefined;
    for (;;) {
      const start = after ?? prefix;
      const page: string[] = [];
      for (const { key, value } of values.getRange({ start, limit: PAGE + 1 })) {
        if (!key.startsWith(prefix)) break;
        if (key !== after && this.#alive(value)) page.push(key);
        after = key;
      }
      if (page.length > 0) yield page;
      if (after === undefined || after === start || !after.startsWith(prefix)) return;
      // Let go of the snapshot between pages: a walk over a million keys must not pin old pages or the loop.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async ttl(name: string): Promise<number> {
    const { values } = this.#home();
    const stored = fits(name) ? values.get(name) : undefined;
    if (stored === undefined || !this.#alive(stored)) return -2;
    const end = stored.readDoubleBE(0);
    return end === 0 ? -1 : Math.max(0, end - this.#now());
  }

  async listValues(name: string): Promise<string[]> {
    return [...(this.#home().lists.get(name) ?? [])];
  }

  async listAdd(name: string, value: string): Promise<void> {
    const { lists } = this.#home();
    await lists.transaction(() => lists.put(name, [...(lists.get(name) ?? []), value]));
  }

  async listRemove(name: string, value: string): Promise<void> {
    const { lists } = this.#home();
    await lists.transaction(() => {
      lists.put(
        name,
        (lists.get(name) ?? []).filter((entry) => entry !== value),
      );
    });
  }

  async publish(change: StoreChange): Promise<void> {
    const opened = this.#home();
    await opened.changes.transaction(() => {
      const next = lastChange(opened) + 1;
      opened.changes.put(next, { command: change.command, payload: change.payload });
      if (next > LOG_LENGTH) opened.changes.remove(next - LOG_LENGTH);
    });
    this.#options.announce?.();
    this.poke();
  }

  subscribe(listener: (change: StoreChange) => void): () => void {
    return this.#changes.add(listener);
  }

  onHealth(listener: (health: StoreHealth) => void): () => void {
    return this.#healths.add(listener);
  }

  counters(): CounterHome {
    const { durable, volatile } = this.#home();
    return { home: "embedded", durable, volatile, prefix: this.#options.prefix ?? "sluice-" };
  }

  /** Delivers what was logged since the last look. The primary's relay and the poll call this. */
  poke(): void {
    const opened = this.#opened;
    if (opened === undefined) return;
    opened.durable.resetReadTxn();
    const last = lastChange(opened);
    if (last === this.#seen) return;
    // A smaller number: somebody removed the folder's contents under us. A gap: more changes than the log holds.
    const missed = last < this.#seen || last - this.#seen > LOG_LENGTH;
    const from = this.#seen + 1;
    this.#seen = last;
    if (missed) {
      this.#changes.emit({ command: EVERYTHING_CHANGED, payload: "" });
      return;
    }
    for (let n = from; n <= last; n++) {
      const change = opened.changes.get(n);
      this.#changes.emit(change ?? { command: EVERYTHING_CHANGED, payload: "" });
    }
  }

  /** Removes values whose end has passed; one process of the host (the primary) calls it now and then. */
  async sweep(): Promise<number> {
    const { values, ends } = this.#home();
    const now = this.#now();
    return values.transaction(() => {
      let removed = 0;
      for (const key of [...ends.getKeys({ end: [now + 1, ""], limit: SWEEP_LIMIT })]) {
        if (key[0] > now) break;
        const stored = values.get(key[1]);
        // The name may have been written again with a later end since.
        if (stored !== undefined && !this.#alive(stored)) {
          values.remove(key[1]);
          removed++;
        }
        ends.remove(key);
      }
      return removed;
    });
  }

  #read(name: string): Uint8Array | undefined {
    const { values } = this.#home();
    const stored = fits(name) ? values.get(name) : undefined;
    return stored !== undefined && this.#alive(stored) ? stored.subarray(END_BYTES) : undefined;
  }

  #alive(stored: Buffer): boolean {
    const end = stored.readDoubleBE(0);
    return end === 0 || end > this.#now();
  }

  #home(): Opened {
    if (this.#opened === undefined) throw new StoreDown(this.#health.output ?? "not opened");
    return this.#opened;
  }
}

function openAll(path: string): Opened {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const limits = { maxReaders: 1_024, maxDbs: 32, noSubdir: false };
  const durable = openPrivate(join(path, DURABLE), limits);
  // Written in place: a lease writes a page or two, and copying them out would cost several times what the lease does.
  const inPlace = { noSync: true, useWritemap: true };
  const volatile = openPrivate(volatileFolder(path), { ...inPlace, ...limits });
  return {
    durable,
    volatile,
    values: durable.openDB<Buffer, string>({ name: "values", encoding: "binary" }),
    ends: durable.openDB<boolean, [number, string]>({ name: "ends" }),
    lists: durable.openDB<string[], string>({ name: "lists" }),
    changes: durable.openDB<StoreChange, number>({ name: "changes" }),
  };
}

/** The library makes folder and files for everybody to read. What is there already is left as somebody may have meant it. */
function openPrivate(path: string, options: RootDatabaseOptions): RootDatabase<unknown, string> {
  const isNew = !existsSync(path);
  if (isNew) mkdirSync(path, { recursive: true, mode: 0o700 });
  const opened = openEnvironment<unknown, string>({ path, ...options });
  if (isNew) for (const name of readdirSync(path)) chmodSync(join(path, name), 0o600);
  return opened;
}

/**
 * What is written in place and never synced outlives processes, not the host: after a loss of power it may be damaged. So it
 * is of one boot of the host, and what earlier ones left is removed. Nobody of this boot uses those.
 */
function volatileFolder(path: string): string {
  const name = `${VOLATILE}${bootOf()}`;
  for (const old of readdirSync(path)) {
    if (old.startsWith(VOLATILE) && old !== name) rmSync(join(path, old), { recursive: true, force: true });
  }
  return join(path, name);
}

/** Empty where the system does not tell. */
function bootOf(): string {
  try {
    return `-${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim().slice(0, 8)}`;
  } catch {
    return "";
  }
}

function lastChange(opened: Opened): number {
  for (const key of opened.changes.getKeys({ reverse: true, limit: 1 })) return key;
  return 0;
}

function fits(name: string): boolean {
  return name.length > 0 && Buffer.byteLength(name) <= MAX_NAME_BYTES;
}
