/**
 * The keys that a worker remembers: decoded once, with their policies, until they change.
 * Responsible for: one look-up in flight per key, the memory of unknown keys, freshness, serving while the store is away.
 * Must not know: credentials, rights, calls. Governed by: the gate's issue, item 5: a change is seen at once through the
 * store's news, and within `REFRESH_MS` plus one tick even if the news are lost.
 * Runs: `peek` once per decision, `load` once per key, `tick` about once a second.
 *
 * Bounds: `maxSessions` keys and `maxUnknown` unknown ones, the least used leave; `MAX_LOOKUPS` look-ups in flight, more are
 * refused (`Busy`). Where the store is read in memory nobody waits: `peek` knows everything. While the store is away remembered keys are served for `staleMs`, then they are forgotten.
 */

import { LRUCache } from "lru-cache";
import { decodeSession } from "../../shared/keys/codec.js";
import { applyPolicies } from "../../shared/keys/policies.js";
import type { Policies } from "../../shared/model/policy.js";
import type { Session } from "../../shared/model/session.js";
import { EVERYTHING_CHANGED, KEYS_CHANGED, type Store, type StoreChange } from "../../shared/store/store.js";
import { SessionRef } from "./session-ref.js";
import { keptName, UnknownKeys } from "./unknown-keys.js";

export const KEY_PREFIX = "apikey-";
const REFRESH_MS = 8_000;
/** A key nobody asked about for this long is forgotten instead of being read again and again. */
const FORGET_MS = 180_000;
const BATCH = 500;
/** Credentials longer than this are hashed each time: the memory is counted in entries. */
const MAX_REMEMBERED = 512;
/** As many new keys as callers may bring in a burst; beyond it they are told to come back. */
const MAX_LOOKUPS = 16_384;
/** A worker that is to remember a hundred thousand decisions must know their keys. */
const MAX_SESSIONS = 131_072;
const MAX_UNKNOWN = 20_000;
const MAX_ANNOUNCED = 10_000;

export class Busy extends Error {
  override readonly name = "Busy";
}

export interface SessionCacheOptions {
  readonly store: Store;
  /** Before the names it is asked for; keys' unless said otherwise. */
  readonly prefix?: string | undefined;
  readonly policies: Policies;
  /** The worker's clock, milliseconds, monotonic. */
  readonly now: () => number;
  readonly maxSessions?: number | undefined;
  readonly maxUnknown?: number | undefined;
  /** How long remembered keys are served while the store cannot be asked. */
  readonly staleMs?: number | undefined;
  readonly unknownMs?: number | undefined;
  /** Told of sessions that cannot be decoded or given their policies: the name and a sentence without secrets. */
  readonly report?: ((name: string, problem: string) => void) | undefined;
}

interface Wanted {
  readonly key: string;
  readonly orgId: string;
  readonly names: readonly string[];
}

interface Lookup extends Wanted {
  readonly resolve: (ref: SessionRef) => void;
  readonly reject: (error: Error) => void;
}

export class SessionCache {
  readonly #options: SessionCacheOptions;
  readonly #known: LRUCache<string, SessionRef>;
  readonly #unknown: UnknownKeys;
  readonly #recalled: LRUCache<string, SessionRef>;
  /** Organisations of unknown keys; they are those of definitions, so few. */
  readonly #orgs = new Set<string>();
  readonly #byName = new Map<string, Set<SessionRef>>();
  /** What `#known` holds, to be walked through without looking each up. */
  readonly #all = new Set<SessionRef>();
  readonly #lookups = new Map<string, Promise<SessionRef>>();
  readonly #prefix: string;
  readonly #staleMs: number;
  readonly #unknownMs: number;
  readonly #unsubscribe: () => void;
  #waiting: Lookup[] = [];
  #policies: Policies;
  #policyEpoch = 1;
  /** Counts the news. An answer that was asked for before news about its key is not believed. */
  #news = 0;
  /** Names that were announced while look-ups are in flight, and when. */
  readonly #announced = new Map<string, number>();
  #everything = 0;
  #refreshing = false;

  constructor(options: SessionCacheOptions) {
    this.#options = options;
    this.#policies = options.policies;
    this.#prefix = options.prefix ?? KEY_PREFIX;
    this.#staleMs = options.staleMs ?? 300_000;
    this.#unknownMs = options.unknownMs ?? 8_000;
    const dispose = (ref: SessionRef): void => this.#left(ref);
    this.#known = new LRUCache({ max: options.maxSessions ?? MAX_SESSIONS, dispose });
    this.#unknown = new UnknownKeys(options.maxUnknown ?? MAX_UNKNOWN);
    this.#recalled = new LRUCache({ max: options.maxSessions ?? MAX_SESSIONS });
    this.#unsubscribe = options.store.subscribe((change) => this.heard(change));
  }

  close(): void {
    this.#unsubscribe();
    this.#known.clear();
    this.#unknown.clear();
    this.#recalled.clear();
  }

  get size(): number {
    return this.#known.size;
  }

  get unknownSize(): number {
    return this.#unknown.size;
  }

  /** What a credential stood for when it was last seen, without hashing it again. */
  recall(credential: string): SessionRef | undefined {
    const ref = this.#recalled.get(credential);
    if (ref === undefined) return undefined;
    const now = this.#options.now();
    const old = ref.session === undefined && now - ref.checkedAt >= this.#unknownMs;
    if (ref.gone || old) {
      this.#recalled.delete(credential);
      return undefined;
    }
    return this.#touch(ref);
  }

  remember(credential: string, ref: SessionRef): void {
    if (!ref.gone && credential.length <= MAX_REMEMBERED) this.#recalled.set(credential, ref);
  }

  /** What is known about the first of these names; undefined when the store must be asked and waited for. */
  peek(orgId: string, names: readonly string[]): SessionRef | undefined {
    const key = keyOf(orgId, names);
    const now = this.#options.now();
    const ref = this.#known.get(key);
    if (ref !== undefined) return this.#touch(ref);
    const first = names[0] ?? "";
    const place = keptName(first) === first ? key : unknownKeyOf(orgId, first);
    const unknown = this.#unknown.get(place);
    if (unknown !== undefined) {
      if (!unknown.gone && now - unknown.checkedAt < this.#unknownMs) return unknown;
      this.#unknown.delete(place);
    }
    return this.#readNow({ key, orgId, names });
  }

  #readNow(wanted: Wanted): SessionRef | undefined {
    const { store } = this.#options;
    if (store.getManyNow === undefined) return undefined;
    try {
      return this.#found(wanted, store.getManyNow(wanted.names.map((name) => this.#prefix + name)));
    } catch {
      // Whoever asks and waits is told why.
      return undefined;
    }
  }

  /** Rejects with `StoreDown` or `Busy`. */
  load(orgId: string, names: readonly string[]): Promise<SessionRef> {
    const known = this.peek(orgId, names);
    if (known !== undefined) return Promise.resolve(known);
    const key = keyOf(orgId, names);
    const running = this.#lookups.get(key);
    if (running !== undefined) return running;
    if (this.#lookups.size >= MAX_LOOKUPS) return Promise.reject(new Busy());
    const lookup = new Promise<SessionRef>((resolve, reject) => this.#enqueue({ key, orgId, names, resolve, reject }));
    this.#lookups.set(key, lookup);
    return lookup;
  }

  /** A session that no one stored: a token that brings its policies. `name` is where it would be stored. */
  derive(orgId: string, name: string, session: Session): SessionRef {
    const key = `${orgId}\n${name}\n${(session.apply_policies ?? []).join("\n")}`;
    const held = this.#known.get(key);
    if (held !== undefined) return this.#touch(held);
    const ref = new SessionRef(key, name, orgId);
    this.#fill(ref, session, undefined);
    this.#keep(ref);
    return ref;
  }

  /**
   * Other policies. A key gets them when it is asked for next: applying them to all at once would hold every call up. The
   * gate's own epoch makes the decisions of before miss.
   */
  setPolicies(policies: Policies): void {
    this.#policies = policies;
    this.#policyEpoch++;
  }

  #touch(ref: SessionRef): SessionRef {
    ref.touchedAt = this.#options.now();
    if (ref.policyEpoch !== this.#policyEpoch && ref.stored !== undefined) {
      this.#fill(ref, ref.stored, ref.bytes);
      ref.raise();
    }
    return ref;
  }

  /** Reads again what was not compared for a while. Its owner calls it about once a second. */
  async tick(): Promise<void> {
    if (this.#refreshing) return;
    this.#refreshing = true;
    try {
      const due = this.#due();
      for (let at = 0; at < due.length; at += BATCH) {
        await this.#refresh(due.slice(at, at + BATCH));
        // A home in memory answers at once: calls get their turn in between all the same.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch {
      // The store is away; what is remembered goes on until it is too old.
      this.#dropStale();
    } finally {
      this.#refreshing = false;
    }
  }

  #due(): SessionRef[] {
    const now = this.#options.now();
    const due: SessionRef[] = [];
    for (const ref of this.#all) {
      if (!ref.suspect && now - ref.checkedAt < REFRESH_MS) continue;
      if (now - ref.touchedAt > FORGET_MS || ref.bytes === undefined) this.#known.delete(ref.key);
      else due.push(ref);
    }
    return due;
  }

  #dropStale(): void {
    const now = this.#options.now();
    for (const ref of this.#all) {
      if (now - ref.checkedAt > this.#staleMs) this.#known.delete(ref.key);
    }
  }

  async #refresh(refs: readonly SessionRef[]): Promise<void> {
    const everything = this.#everything;
    const values = await this.#options.store.getMany(refs.map((ref) => this.#prefix + ref.name));
    if (everything !== this.#everything) return;
    const now = this.#options.now();
    for (const [n, ref] of refs.entries()) {
      const bytes = values[n];
      if (this.#known.peek(ref.key) !== ref) continue;
      ref.checkedAt = now;
      ref.suspect = false;
      if (bytes === undefined) this.#known.delete(ref.key);
      else if (ref.bytes === undefined || Buffer.compare(bytes, ref.bytes) !== 0) this.#replace(ref, bytes);
    }
  }

  #replace(ref: SessionRef, bytes: Uint8Array): void {
    const decoded = decodeSession(bytes);
    ref.raise();
    // What was derived from it is derived again.
    for (const other of [...(this.#byName.get(ref.name) ?? [])]) if (other !== ref) this.#known.delete(other.key);
    if ("session" in decoded) {
      this.#fill(ref, decoded.session, bytes);
      return;
    }
    this.#options.report?.(ref.name, decoded.problem);
    this.#known.delete(ref.key);
  }

  /** All keys first seen in one turn of the loop are asked for together. */
  #enqueue(lookup: Lookup): void {
    this.#waiting.push(lookup);
    if (this.#waiting.length === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let at = 0; at < waiting.length; at += BATCH) void this.#read(waiting.slice(at, at + BATCH));
  }

  async #read(lookups: readonly Lookup[]): Promise<void> {
    const news = this.#news;
    try {
      const names = lookups.flatMap((lookup) => lookup.names.map((name) => this.#prefix + name));
      const values = await this.#options.store.getMany(names);
      let at = 0;
      for (const lookup of lookups) {
        const own = values.slice(at, at + lookup.names.length);
        at += lookup.names.length;
        // News about this key while the answer was under way: it may be from before.
        const overtaken = lookup.names.some((name) => (this.#announced.get(name) ?? 0) > news);
        if (overtaken || this.#everything > news) this.#enqueue(lookup);
        else {
          this.#done(lookup);
          lookup.resolve(this.#found(lookup, own));
        }
      }
    } catch (error) {
      for (const lookup of lookups) {
        this.#done(lookup);
        lookup.reject(error as Error);
      }
    }
  }

  #found(wanted: Wanted, values: readonly (Uint8Array | undefined)[]): SessionRef {
    const found = values.findIndex((value) => value !== undefined);
    const [bytes, name] = [values[found], wanted.names[found]];
    if (bytes === undefined || name === undefined) return this.#keepUnknown(wanted);
    const decoded = decodeSession(bytes);
    if ("problem" in decoded) {
      this.#options.report?.(name, decoded.problem);
      return this.#keepUnknown(wanted);
    }
    const ref = new SessionRef(wanted.key, name, wanted.orgId);
    this.#fill(ref, decoded.session, bytes);
    this.#keep(ref);
    return ref;
  }

  #done(lookup: Lookup): void {
    this.#lookups.delete(lookup.key);
    if (this.#lookups.size === 0) this.#announced.clear();
  }

  #fill(ref: SessionRef, stored: Session, bytes: Uint8Array | undefined): void {
    const applied = applyPolicies(stored, this.#policies, { orgId: ref.orgId });
    ref.policyEpoch = this.#policyEpoch;
    ref.stored = stored;
    ref.bytes = bytes;
    ref.session = applied.session;
    ref.problem = applied.error;
    if (applied.error !== undefined) this.#options.report?.(ref.name, applied.error);
  }

  #keep(ref: SessionRef): void {
    const now = this.#options.now();
    ref.checkedAt = now;
    ref.touchedAt = now;
    this.#unknown.delete(unknownKeyOf(ref.orgId, ref.key.slice(ref.orgId.length + 1)));
    this.#index(ref);
    this.#known.set(ref.key, ref);
  }

  #keepUnknown({ orgId, names }: Wanted): SessionRef {
    const kept = keptName(names[0] ?? "");
    const ref = new SessionRef(keyOf(orgId, [kept]), kept, orgId);
    ref.checkedAt = this.#options.now();
    this.#orgs.add(orgId);
    // Under each name that it may be stored by: news tell one of them.
    for (const name of names) this.#unknown.set(unknownKeyOf(orgId, name), ref);
    return ref;
  }

  #index(ref: SessionRef): void {
    this.#all.add(ref);
    const refs = this.#byName.get(ref.name);
    if (refs === undefined) this.#byName.set(ref.name, new Set([ref]));
    else refs.add(ref);
  }

  #left(ref: SessionRef): void {
    ref.leave();
    this.#all.delete(ref);
    const refs = this.#byName.get(ref.name);
    refs?.delete(ref);
    if (refs?.size === 0) this.#byName.delete(ref.name);
  }

  #announce(name: string): void {
    if (this.#lookups.size === 0) return;
    if (this.#announced.size >= MAX_ANNOUNCED) {
      this.#announced.clear();
      this.#everything = this.#news;
    }
    this.#announced.set(name, this.#news);
  }

  /** Forgets what the change is about; from here on no decision is made by what was before. */
  heard(change: StoreChange): void {
    this.#options.store.renew?.();
    if (change.command === EVERYTHING_CHANGED) {
      this.#everything = ++this.#news;
      this.#unknown.clear();
      // Not dropped: reading them again in batches costs the store less than every call asking on its own.
      for (const ref of this.#all) ref.suspect = true;
      void this.tick();
      return;
    }
    if (change.command !== KEYS_CHANGED) return;
    this.#news++;
    for (const part of change.payload.split(",")) {
      const name = part.trim();
      this.#announce(name);
      for (const org of this.#orgs) this.#unknown.delete(unknownKeyOf(org, name));
      for (const ref of [...(this.#byName.get(name) ?? [])]) this.#known.delete(ref.key);
    }
  }
}

function keyOf(orgId: string, names: readonly string[]): string {
  return `${orgId}\n${names[0] ?? ""}`;
}

function unknownKeyOf(orgId: string, name: string): string {
  return `${orgId}\n${keptName(name)}`;
}
