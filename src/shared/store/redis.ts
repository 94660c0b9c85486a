/**
 * The Redis home: values, lists and news shared by all replicas.
 * Responsible for: failing fast while Redis is away, knowing when it is back, keeping the names of Tyk.
 * Must not know: what the values mean; the limits' scripts (they get the client from `counters`).
 * Governed by: the contract in `store.ts`.
 * Runs: per first sight of a key on a worker and per change, never per call.
 */

import { type Cluster, Redis } from "ioredis";
import { Emitter } from "./emitter.js";
import { CHANNEL, decodeNotification, encodeNotification, type NotificationRules } from "./notification.js";
import { makeRedisClient, type RedisClient, type RedisSettings } from "./redis-client.js";
import {
  type CounterHome,
  EVERYTHING_CHANGED,
  type PutOptions,
  type Store,
  type StoreChange,
  StoreDown,
  type StoreHealth,
} from "./store.js";

const DEFAULT_TIMEOUT_MS = 1_000;
const PROBE_MS = 500;
/** ioredis gives a command up after so many timeouts of ours: it counts the time in which this process stood still. */
const GIVEN_UP = 3;
/** A peer that answered no probe for this long is dialled anew: its host may be gone without a word. */
const PROBES_BEFORE_REDIAL = 6;
const SCAN_COUNT = 1_000;
/** The operating system's own words and Redis's error codes; nothing in them comes from the settings. */
const MAX_OUTPUT = 200;
const TOO_LATE = "Command timed out";

export interface RedisStoreOptions extends RedisSettings, NotificationRules {
  readonly prefix?: string | undefined;
  readonly commandTimeoutMs?: number | undefined;
}

export class RedisStore implements Store {
  readonly home = "redis";
  readonly #options: RedisStoreOptions;
  readonly #changes = new Emitter<StoreChange>();
  readonly #healths = new Emitter<StoreHealth>();
  #client: RedisClient | undefined;
  #subscriber: RedisClient | undefined;
  #probe: NodeJS.Timeout | undefined;
  #probing: Promise<void> | undefined;
  #failedProbes = 0;
  #opened = false;
  #health: StoreHealth = { ok: false, since: Date.now(), output: "not connected yet" };

  constructor(options: RedisStoreOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    if (this.#client !== undefined) return;
    const timeout = this.#commandTimeout();
    const client = makeRedisClient(this.#options, GIVEN_UP * timeout);
    const subscriber = makeRedisClient(this.#options, timeout, true);
    this.#client = client;
    this.#subscriber = subscriber;
    client.on("error", (error: Error) => this.#lost(error));
    client.on("close", () => this.#lost(new Error("connection closed")));
    client.on("ready", () => void this.#look());
    const listening = this.#listen(subscriber);
    this.#probe = setInterval(() => void this.#look(), PROBE_MS);
    this.#probe.unref();
    await client.connect().catch((error: Error) => this.#lost(error));
    await this.#look();
    // Whoever reads after this will hear of changes; without a server nobody can read, so there is nothing to wait for.
    if (this.#health.ok)
      await Promise.race([listening, new Promise((resolve) => setTimeout(resolve, timeout).unref())]);
    this.#opened = true;
  }

  async close(): Promise<void> {
    clearInterval(this.#probe);
    const clients = [this.#client, this.#subscriber];
    this.#client = undefined;
    this.#subscriber = undefined;
    this.#health = { ok: false, since: Date.now(), output: "closed" };
    // `disconnect` also ends the waiting for the next attempt; `quit` would wait for an answer of a dead server.
    for (const client of clients) client?.disconnect();
  }

  health(): StoreHealth {
    return this.#health;
  }

  get(name: string): Promise<Uint8Array | undefined> {
    return this.#ask(async (client) => (await client.getBuffer(name)) ?? undefined);
  }

  getMany(names: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    if (names.length === 0) return Promise.resolve([]);
    return this.#ask(async (client) => {
      // In a cluster the names live on several nodes; automatic pipelining makes one round trip per node of these.
      const values =
        client instanceof Redis
          ? await client.mgetBuffer([...names])
          : await Promise.all(names.map((name) => client.getBuffer(name)));
      return values.map((value) => value ?? undefined);
    });
  }

  put(name: string, value: Uint8Array, options: PutOptions = {}): Promise<boolean> {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const words: (string | number)[] = [];
    if (options.ttl !== undefined && options.ttl > 0) words.push("PX", Math.max(1, Math.round(options.ttl)));
    if (options.when !== undefined) words.push(options.when === "absent" ? "NX" : "XX");
    return this.#ask(async (client) => (await client.call("SET", [name, bytes, ...words])) !== null);
  }

  delete(name: string): Promise<boolean> {
    return this.#ask(async (client) => (await client.del(name)) > 0);
  }

  async *list(prefix: string): AsyncIterable<string[]> {
    const nodes = await this.#ask(async (client) => (client instanceof Redis ? [client] : client.nodes("master")));
    for (const node of nodes) {
      let cursor = "0";
      do {
        const [next, names] = await this.#ask(() =>
          node.scan(cursor, "MATCH", `${escapePattern(prefix)}*`, "COUNT", SCAN_COUNT),
        );
        cursor = next;
        if (names.length > 0) yield names;
      } while (cursor !== "0");
    }
  }

  ttl(name: string): Promise<number> {
    return this.#ask((client) => client.pttl(name));
  }

  listValues(name: string): Promise<string[]> {
    return this.#ask((client) => client.lrange(name, 0, -1));
  }

  async listAdd(name: string, value: string): Promise<void> {
    await this.#ask((client) => client.rpush(name, value));
  }

  async listRemove(name: string, value: string): Promise<void> {
    await this.#ask((client) => client.lrem(name, 0, value));
  }

  async publish(change: StoreChange): Promise<void> {
    const message = encodeNotification(change, this.#options);
    await this.#ask((client) => client.publish(CHANNEL, message));
  }

  subscribe(listener: (change: StoreChange) => void): () => void {
    return this.#changes.add(listener);
  }

  onHealth(listener: (health: StoreHealth) => void): () => void {
    return this.#healths.add(listener);
  }

  counters(): CounterHome {
    if (this.#client === undefined) throw new StoreDown("not opened");
    return { home: "redis", redis: this.#client, prefix: this.#options.prefix ?? "sluice-" };
  }

  #commandTimeout(): number {
    const seconds = this.#options.timeout ?? 0;
    return this.#options.commandTimeoutMs ?? (seconds > 0 ? seconds * 1_000 : DEFAULT_TIMEOUT_MS);
  }

  /** Every question to Redis passes here: while it is known to be away the answer is immediate. */
  async #ask<Answer>(question: (client: RedisClient) => Promise<Answer>): Promise<Answer> {
    const client = this.#client;
    if (client === undefined || !this.#health.ok) throw new StoreDown(this.#health.output ?? "Redis is away");
    try {
      return await this.#within(question(client));
    } catch (error) {
      const reason = reasonOf(error);
      // A refused command (wrong type, no rights) says nothing about the connection.
      if (!isReply(error)) this.#lost(error as Error);
      throw new StoreDown(reason);
    }
  }

  /**
   * The command timeout. A loop that stood still finds the timer due before it has read a single answer: what lies in the
   * socket is read first, so that a burst of new keys is not taken for a dead server.
   */
  #within<Answer>(answer: Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const late = (): void => reject(new Error(TOO_LATE));
      const timer = setTimeout(() => setImmediate(late), this.#commandTimeout());
      answer.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  /** One probe at a time; who asks meanwhile gets the one under way. */
  #look(): Promise<void> {
    this.#probing ??= this.#probeOnce().finally(() => {
      this.#probing = undefined;
    });
    return this.#probing;
  }

  async #probeOnce(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    try {
      await this.#within(client.ping());
      this.#failedProbes = 0;
      this.#found();
    } catch (error) {
      this.#lost(error as Error);
      if (++this.#failedProbes < PROBES_BEFORE_REDIAL || client.status !== "ready") return;
      this.#failedProbes = 0;
      if (client instanceof Redis) client.disconnect(true);
      if (this.#subscriber instanceof Redis) this.#subscriber.disconnect(true);
    }
  }

  #lost(error: Error): void {
    if (this.#client === undefined) return;
    const wasOk = this.#health.ok;
    this.#health = { ok: false, since: wasOk ? Date.now() : this.#health.since, output: reasonOf(error) };
    if (wasOk) this.#healths.emit(this.#health);
  }

  #found(): void {
    if (this.#client === undefined || this.#health.ok) return;
    this.#health = { ok: true, since: Date.now() };
    this.#healths.emit(this.#health);
  }

  #listen(subscriber: RedisClient): Promise<void> {
    // The command client reports trouble; this listener only keeps Node from treating it as unhandled.
    subscriber.on("error", () => undefined);
    subscriber.on("message", (channel: string, message: string) => {
      if (channel !== CHANNEL) return;
      const change = decodeNotification(message, this.#options);
      if (change !== undefined) this.#changes.emit(change);
    });
    subscriber.on("ready", () => {
      // What was said while we were deaf cannot be asked for: everything remembered is to be read again.
      if (this.#opened) this.#changes.emit({ command: EVERYTHING_CHANGED, payload: "" });
    });
    return connectAndSubscribe(subscriber);
  }
}

async function connectAndSubscribe(subscriber: Redis | Cluster): Promise<void> {
  // Both wait for the connection inside the client and are repeated by it; closing the store rejects them.
  await subscriber.connect().catch(() => undefined);
  await subscriber.subscribe(CHANNEL).catch(() => undefined);
}

function isReply(error: unknown): boolean {
  const name = (error as Error).name;
  const message = (error as Error).message;
  if (name !== "ReplyError") return false;
  return !/^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|NOAUTH|WRONGPASS|OOM|MISCONF|TRYAGAIN)/.test(message);
}

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const text = typeof message === "string" && message !== "" ? message : typeof code === "string" ? code : "unknown";
  return text.slice(0, MAX_OUTPUT);
}

function escapePattern(text: string): string {
  return text.replace(/[\\*?[\]^-]/g, "\\$&");
}
