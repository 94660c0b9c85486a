/**
 * The shared counters of one host in lmdb: the same arithmetic in write transactions that all workers take turns in.
 * Must not know: what is counted, who opens the environments. Governed by: `counters.ts`, `exchange.ts`.
 * Runs: once per batch of leases; once per turn for exact limits. Rates are written without sync and synchronously (tens
 * of microseconds); quota goes to the durable environment, whose commit happens on lmdb's own thread.
 */

import type { Database, RootDatabase } from "lmdb";
import { RateLimiterRes } from "rate-limiter-flexible";
import { BEAT_LOST_MS, type Beat, type Counters, type FixedReply, type SlideAsk } from "./counters.js";
import { type Ask, type Counter, exchange, type Share, slide } from "./exchange.js";
import { LmdbLimiter } from "./lmdb-limiter.js";

/** `[birth, end, taken, shares]`: arrays are stored without field names. */
type Stored = [number, number, number, Share[]];
type Counted = Database<Stored, string>;

/** Counters looked at per beat to remove those whose window ended long ago. */
const SWEEP_PAGE = 200;
const SWEEP_AFTER_MS = 60_000;
const LIMITERS_MAX = 1_000;

export class LmdbCounters implements Counters {
  readonly #worker: string;
  readonly #prefix: string;
  readonly #rates: Counted;
  readonly #quotas: Counted;
  readonly #logs: Database<Buffer, string>;
  readonly #beats: Database<number, string>;
  readonly #windows: Database<[number, number], string>;
  readonly #limiters = new Map<string, LmdbLimiter>();
  readonly #sweeps: { db: Counted; after: string }[];

  constructor(
    durable: RootDatabase<unknown, string>,
    volatile: RootDatabase<unknown, string>,
    prefix: string,
    worker: string,
  ) {
    this.#worker = worker;
    this.#prefix = prefix;
    this.#quotas = durable.openDB<Stored, string>({ name: "quotas" });
    this.#rates = volatile.openDB<Stored, string>({ name: "rates" });
    this.#logs = volatile.openDB<Buffer, string>({ name: "logs", encoding: "binary" });
    this.#beats = volatile.openDB<number, string>({ name: "beats" });
    this.#windows = volatile.openDB<[number, number], string>({ name: "windows" });
    this.#sweeps = [
      { db: this.#rates, after: "" },
      { db: this.#quotas, after: "" },
    ];
  }

  async exchange(asks: readonly Ask[], quota: boolean): Promise<readonly number[]> {
    if (!quota) return this.#rates.transactionSync(() => this.#answer(this.#rates, asks));
    // The transaction runs later: what the worker says is what it says now.
    const said = asks.map((ask) => copy(ask));
    return this.#quotas.transaction(() => this.#answer(this.#quotas, said));
  }

  async slide(asks: readonly SlideAsk[]): Promise<readonly number[]> {
    return this.#logs.transactionSync(() => {
      const replies: number[] = [];
      for (const ask of asks) {
        const name = this.#prefix + ask.key;
        const [log, reply] = slide(readLog(this.#logs.getBinary(name)), ask.limit, ask.perMs, hostMicroseconds());
        this.#logs.put(name, writeLog(log));
        replies.push(...reply);
      }
      return replies;
    });
  }

  async unslide(key: string, at: number): Promise<void> {
    this.#logs.transactionSync(() => {
      const log = readLog(this.#logs.getBinary(this.#prefix + key));
      const index = log.indexOf(at);
      if (index >= 0) this.#logs.put(this.#prefix + key, writeLog(log.toSpliced(index, 1)));
    });
  }

  async fixed(key: string, limit: number, seconds: number): Promise<FixedReply> {
    try {
      const { msBeforeNext } = await this.#limiter(limit, seconds).consume(key);
      return { admitted: true, waitMs: msBeforeNext };
    } catch (refusal) {
      if (refusal instanceof RateLimiterRes) return { admitted: false, waitMs: refusal.msBeforeNext };
      throw refusal;
    }
  }

  async beat(): Promise<Beat> {
    const now = Date.now();
    const living = this.#beats.transactionSync(() => {
      this.#beats.put(this.#worker, now);
      const names: string[] = [];
      for (const { key, value } of [...this.#beats.getRange()]) {
        if (value > now - BEAT_LOST_MS) names.push(key);
        else this.#beats.remove(key);
      }
      return names;
    });
    for (const sweep of this.#sweeps) await this.#sweep(sweep, now);
    // Workers and counters are on one host: nothing is lost that anybody would remember.
    return { names: living, epoch: 1 };
  }

  async leave(): Promise<void> {
    await this.#beats.remove(this.#worker);
  }

  async read(key: string, quota: boolean): Promise<Counter | undefined> {
    const stored = (quota ? this.#quotas : this.#rates).get(this.#prefix + key);
    return stored === undefined ? undefined : toCounter(stored);
  }

  async clear(key: string, quota: boolean): Promise<void> {
    const db = quota ? this.#quotas : this.#rates;
    const name = this.#prefix + key;
    await db.transaction(() => {
      const stored = db.get(name);
      if (stored !== undefined) db.put(name, [stored[0], stored[1], 0, []]);
    });
    await this.#logs.remove(name);
  }

  #answer(db: Counted, asks: readonly Ask[]): number[] {
    const nowUs = hostMicroseconds();
    const replies: number[] = [];
    for (const ask of asks) {
      const name = this.#prefix + ask.key;
      const stored = db.get(name);
      const [next, reply] = exchange(stored && toCounter(stored), ask, nowUs);
      db.put(name, [next.birth, next.end, next.taken, next.shares]);
      replies.push(...reply);
    }
    return replies;
  }

  #limiter(points: number, duration: number): LmdbLimiter {
    const name = `${points}/${duration}`;
    let limiter = this.#limiters.get(name);
    if (limiter === undefined) {
      limiter = new LmdbLimiter(this.#windows, { keyPrefix: `${this.#prefix}${duration}`, points, duration });
      if (this.#limiters.size >= LIMITERS_MAX) this.#limiters.clear();
      this.#limiters.set(name, limiter);
    }
    return limiter;
  }

  /** A page of counters per beat: nothing else would ever remove those of keys that are no longer used. */
  async #sweep(sweep: { db: Counted; after: string }, now: number): Promise<void> {
    let last = "";
    const gone: string[] = [];
    for (const { key, value } of sweep.db.getRange({ start: sweep.after, limit: SWEEP_PAGE })) {
      last = key;
      if (value[1] > 0 && value[1] < now - SWEEP_AFTER_MS) gone.push(key);
    }
    sweep.after = last === sweep.after ? "" : last;
    if (gone.length === 0) return;
    await sweep.db.transaction(() => {
      for (const key of gone) {
        const value = sweep.db.get(key);
        if (value !== undefined && value[1] > 0 && value[1] < now - SWEEP_AFTER_MS) sweep.db.remove(key);
      }
    });
  }
}

/** The host's clock has milliseconds: the last microsecond of the current one, so that no lease outlives its window. */
function hostMicroseconds(): number {
  return Date.now() * 1_000 + 999;
}

function toCounter(stored: Stored): Counter {
  return { birth: stored[0], end: stored[1], taken: stored[2], shares: stored[3] };
}

function copy(ask: Ask): Ask {
  const { key, holder, limit, perMs, aligned, need, want, held, mine, birth, end } = ask;
  return { key, holder, limit, perMs, aligned, need, want, held, mine, birth, end };
}

function readLog(bytes: Buffer | undefined): number[] {
  const log: number[] = [];
  for (let at = 0; bytes !== undefined && at + 8 <= bytes.length; at += 8) log.push(bytes.readDoubleLE(at));
  return log;
}

function writeLog(log: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(log.length * 8);
  for (const [index, at] of log.entries()) bytes.writeDoubleLE(at, index * 8);
  return bytes;
}
