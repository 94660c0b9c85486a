/**
 * The shared counters in Redis: batches of asks as one script each.
 * Must not know: how the client reconnects or how long a command may take (its owner set that), what is counted.
 * Governed by: `counters.ts`; Redis Cluster allows one slot per script, so there each ask is a script of its own.
 * Runs: once per batch of leases; once per turn for exact limits.
 */

import { createHash, randomBytes } from "node:crypto";
import { type Cluster, Command, type Redis } from "ioredis";
import { RateLimiterRedis, RateLimiterRes } from "rate-limiter-flexible";
import {
  BEAT_LOST_MS,
  type Beat,
  type Counters,
  type FixedReply,
  RECALL_MS,
  RECALLS_MAX,
  type SlideAsk,
} from "./counters.js";
import type { Ask, Counter, Share } from "./exchange.js";
import { joinReplies, packAsks, unpackReplies } from "./packed.js";
import { BEAT, CLEAR, EXCHANGE, RECALL, SLIDE, UNSLIDE } from "./scripts.js";

/** Limiter objects of fixed windows, one per pair of limit and period; more than this many are made anew. */
const LIMITERS_MAX = 1_000;

interface Script {
  readonly text: string;
  readonly sha: string;
  /** Answers bytes. */
  readonly packed: boolean;
}

const scripts = {
  exchange: script(EXCHANGE, true),
  slide: script(SLIDE),
  unslide: script(UNSLIDE),
  recall: script(RECALL),
  beat: script(BEAT),
  clear: script(CLEAR),
} as const;

export class RedisCounters implements Counters {
  readonly #redis: Redis | Cluster;
  readonly #prefix: string;
  readonly #worker: string;
  readonly #limiters = new Map<string, RateLimiterRedis>();
  /** Makes members of the logs differ between workers and batches. */
  readonly #mark = randomBytes(4).toString("hex");
  #batches = 0;

  constructor(redis: Redis | Cluster, prefix: string, worker: string) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#worker = worker;
  }

  async exchange(asks: readonly Ask[]): Promise<ArrayLike<number>> {
    if (this.#redis.isCluster && asks.length > 1) {
      return joinReplies(await Promise.all(asks.map((ask) => this.exchange([ask]))));
    }
    const names = asks.map((ask) => this.#leaseName(ask.key));
    return unpackReplies((await this.#run(scripts.exchange, names, [0, packAsks(asks)])) as Buffer);
  }

  slide(asks: readonly SlideAsk[]): Promise<readonly number[]> {
    if (this.#redis.isCluster && asks.length > 1) return inOrder(asks.map((ask) => this.slide([ask])));
    this.#batches += 1;
    const values: (string | number)[] = [0, `${this.#mark}.${this.#batches}`];
    for (const ask of asks) values.push(ask.limit, ask.perMs);
    const keys = asks.map((ask) => this.#logName(ask.key));
    return this.#run(scripts.slide, keys, values) as Promise<number[]>;
  }

  async unslide(key: string, at: number): Promise<void> {
    await this.#run(scripts.unslide, [this.#logName(key)], [at]);
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

  async recall(keys: readonly string[]): Promise<readonly string[]> {
    const dry = `${this.#prefix}lease-dry`;
    return (await this.#run(scripts.recall, [dry], [RECALL_MS, RECALLS_MAX, ...keys])) as string[];
  }

  async beat(): Promise<Beat> {
    const set = `${this.#prefix}lease-workers`;
    const names = (await this.#run(scripts.beat, [set], [this.#worker, BEAT_LOST_MS])) as string[];
    return { epoch: Number(names.pop()), names };
  }

  async leave(): Promise<void> {
    await this.#redis.zrem(`${this.#prefix}lease-workers`, this.#worker);
  }

  async read(key: string): Promise<Counter | undefined> {
    const fields = await this.#redis.hgetall(this.#leaseName(key));
    if (fields["b"] === undefined) return undefined;
    const shares: Share[] = [];
    for (const [name, text] of Object.entries(fields)) {
      if (!name.startsWith("w")) continue;
      const [mine = 0, held = 0, second = 0] = text.split(" ").map(Number);
      shares.push([name.slice(1), mine, held, second]);
    }
    return { birth: Number(fields["b"]), end: Number(fields["e"]), taken: Number(fields["t"]), shares };
  }

  async clear(key: string): Promise<void> {
    await this.#run(scripts.clear, [this.#leaseName(key)], []);
    await this.#redis.del(this.#logName(key));
  }

  #leaseName(key: string): string {
    return `${this.#prefix}lease-${key}`;
  }

  #logName(key: string): string {
    return `${this.#prefix}slide-${key}`;
  }

  #limiter(points: number, duration: number): RateLimiterRedis {
    const name = `${points}/${duration}`;
    let limiter = this.#limiters.get(name);
    if (limiter === undefined) {
      const keyPrefix = `${this.#prefix}fixed-${duration}`;
      limiter = new RateLimiterRedis({ storeClient: this.#redis, keyPrefix, points, duration });
      if (this.#limiters.size >= LIMITERS_MAX) this.#limiters.clear();
      this.#limiters.set(name, limiter);
    }
    return limiter;
  }

  /** A Redis that was restarted has no scripts; the refusal says that nothing ran, so the text may be sent. */
  async #run(which: Script, keys: string[], values: (string | number | Buffer)[]): Promise<unknown> {
    try {
      return await this.#send(which, "evalsha", [which.sha, keys.length, ...keys, ...values]);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return this.#send(which, "eval", [which.text, keys.length, ...keys, ...values]);
    }
  }

  #send(which: Script, name: string, words: (string | number | Buffer)[]): Promise<unknown> {
    const command = new (isOperators(which) ? Command : Patient)(name, words, {
      replyEncoding: which.packed ? null : "utf8",
    });
    this.#redis.sendCommand(command);
    return command.promise as Promise<unknown>;
  }
}

/**
 * The client's own timeout counts while this process is busy with other things, and then takes a prompt answer that lies
 * unread in the socket for a store that is gone. The engine of the limits knows when its loop stood still, and gives up by that.
 */
class Patient extends Command {
  override setTimeout(): void {}
}

/** Nobody but the client's timeout ends the waiting for these. */
function isOperators(which: Script): boolean {
  return which === scripts.clear || which === scripts.unslide;
}

function script(text: string, packed = false): Script {
  return { text, packed, sha: createHash("sha1").update(text).digest("hex") };
}

async function inOrder(replies: Promise<readonly number[]>[]): Promise<readonly number[]> {
  return (await Promise.all(replies)).flat();
}
