/**
 * The shared counters of one host in lmdb: the same arithmetic in write transactions that all workers take turns in.
 * Must not know: what is counted, who opens the environments. Governed by: `counters.ts`, `exchange.ts`.
 * Runs: once per batch of leases; once per turn for exact limits. Rates are written without sync and synchronously (tens
 * of microseconds); quota goes to the durable environment, whose commit happens on lmdb's own thread.
 */

import { hash } from "node:crypto";
import type { Database, RootDatabase } from "lmdb";
import { RateLimiterRes } from "rate-limiter-flexible";
import {
  BEAT_LOST_MS,
  type Beat,
  type Counters,
  type FixedReply,
  RECALL_MS,
  RECALLS_MAX,
  type SlideAsk,
} from "./counters.js";
import { type Ask, type Counter, exchange, REPLY_SIZE, slide } from "./exchange.js";
import { LmdbLimiter } from "./lmdb-limiter.js";
import { endOf, readCounter, writeCounter } from "./record.js";

/** Under digests of the counters' names: lmdb compares and copies short keys of bytes several times faster than long texts. */
type Counted = Database<Buffer, Buffer>;

const NAME_BYTES = 16;
const BYTES = { encoding: "binary", keyEncoding: "binary" } as const;

/** Counters looked at per beat to remove those whose window ended long ago. */
const SWEEP_PAGE = 200;
const SWEEP_AFTER_MS = 60_000;
const LIMITERS_MAX = 1_000;

interface Sweep {
  readonly db: Counted;
  /** Where the last page ended. */
  after: Buffer;
}

const START: Buffer = Buffer.alloc(1);

export class LmdbCounters implements Counters {
  readonly #worker: string;
  readonly #prefix: string;
  readonly #rates: Counted;
  readonly #quotas: Counted;
  readonly #logs: Database<Buffer, string>;
  readonly #beats: Database<number, string>;
  readonly #dry: Database<number, string>;
  readonly #windows: Database<[number, number], string>;
  readonly #limiters = new Map<string, LmdbLimiter>();
  readonly #sweeps: Sweep[];

  constructor(
    durable: RootDatabase<unknown, string>,
    volatile: RootDatabase<unknown, string>,
    prefix: string,
    worker: string,
  ) {
    this.#worker = worker;
    this.#prefix = prefix;
    this.#quotas = durable.openDB<Buffer, Buffer>({ name: "quota", ...BYTES });
    this.#rates = volatile.openDB<Buffer, Buffer>({ name: "rate", ...BYTES });
    this.#logs = volatile.openDB<Buffer, string>({ name: "logs", encoding: "binary" });
    this.#beats = volatile.openDB<number, string>({ name: "beats" });
    this.#dry = volatile.openDB<number, string>({ name: "dry" });
    this.#windows = volatile.openDB<[number, number], string>({ name: "windows" });
    this.#sweeps = [
      { db: this.#rates, after: START },
      { db: this.#quotas, after: START },
    ];
  }

  async exchange(asks: readonly Ask[], quota: boolean): Promise<ArrayLike<number>> {
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

  /** Nearly always nothing is dry, and looking is a look into memory. */
  async recall(keys: readonly string[]): Promise<readonly string[]> {
    const now = Date.now();
    if (keys.length > 0) {
      this.#dry.transactionSync(() => {
        for (const key of keys) this.#dry.put(key, now);
      });
    }
    const dry: string[] = [];
    const old: string[] = [];
    for (const { key, value } of this.#dry.getRange({ limit: 2 * RECALLS_MAX })) {
      if (value <= now - RECALL_MS) old.push(key);
      else if (dry.length < RECALLS_MAX) dry.push(key);
    }
    if (old.length > 0) {
      this.#dry.transactionSync(() => {
        for (const key of old) this.#dry.remove(key);
      });
    }
    return dry;
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
    return readCounter((quota ? this.#quotas : this.#rates).getBinary(this.#place(key)));
  }

  async clear(key: string, quota: boolean): Promise<void> {
    const db = quota ? this.#quotas : this.#rates;
    const place = this.#place(key);
    await db.transaction(() => {
      const counter = readCounter(db.getBinary(place));
      if (counter !== undefined) db.put(place, writeCounter({ ...counter, taken: 0, shares: [] }));
    });
    await this.#logs.remove(this.#prefix + key);
  }

  #answer(db: Counted, asks: readonly Ask[]): Float64Array {
    const nowUs = hostMicroseconds();
    const replies = new Float64Array(asks.length * REPLY_SIZE);
    for (const [index, ask] of asks.entries()) {
      const place = this.#place(ask.key);
      const [next, reply] = exchange(readCounter(db.getBinaryFast(place)), ask, nowUs);
      db.put(place, writeCounter(next));
      replies.set(reply, index * REPLY_SIZE);
    }
    return replies;
  }

  #place(key: string): Buffer {
    return hash("sha1", this.#prefix + key, "buffer").subarray(0, NAME_BYTES);
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
  async #sweep(sweep: Sweep, now: number): Promise<void> {
    let last: Buffer = START;
    const gone: Buffer[] = [];
    for (const { key, value } of sweep.db.getRange({ start: sweep.after, limit: SWEEP_PAGE })) {
      last = key;
      if (isOver(value, now)) gone.push(key);
    }
    sweep.after = last.equals(sweep.after) ? START : last;
    if (gone.length === 0) return;
    await sweep.db.transaction(() => {
      for (const key of gone) {
        const value = sweep.db.getBinary(key);
        if (value !== undefined && isOver(value, now)) sweep.db.remove(key);
      }
    });
  }
}

/** The host's clock has milliseconds: the last microsecond of the current one, so that no lease outlives its window. */
function hostMicroseconds(): number {
  return Date.now() * 1_000 + 999;
}

function isOver(record: Buffer, now: number): boolean {
  const end = endOf(record);
  return end > 0 && end < now - SWEEP_AFTER_MS;
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
