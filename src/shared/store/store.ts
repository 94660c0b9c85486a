/**
 * The store: where keys, organisations, certificates and shared counters live, as one interface with two homes
 * (`embedded`: lmdb, one host; `redis`: any number of replicas).
 * Must not know: what a session contains, who asks, which process it runs in.
 * Governed by: the key names of Tyk's Redis layout, so that either home can be filled from the other.
 * Runs: never per call. A worker asks for a key when it first sees it and again when it changed.
 *
 * Contract
 * - Values are bytes; names are strings of at most `MAX_NAME_BYTES`. What the bytes mean is the caller's business.
 * - Every operation either settles or rejects with a `StoreDown` within the command timeout. It never waits for a
 *   connection to come back: a caller with a cached answer must be able to use it now.
 * - `publish` resolves once the change is durable (embedded) or handed to Redis; listeners of this process hear their own
 *   changes too. Delivery is at most once; the backstop is the reader's own re-reading (see session cache).
 */

import type { Cluster, Redis } from "ioredis";
import type { RootDatabase } from "lmdb";

/** lmdb allows 1,978 bytes in a key; Redis has no bound worth using. Longer names are answered as absent. */
export const MAX_NAME_BYTES = 1_900;

/** The home cannot be asked at the moment. Anything else that is thrown is a defect. */
export class StoreDown extends Error {
  override readonly name = "StoreDown";
}

export interface PutOptions {
  /** Milliseconds until the value disappears; absent or 0 means it stays. */
  readonly ttl?: number | undefined;
  /** Write only if the name is (not) there already; the promise then says whether it was written. */
  readonly when?: "absent" | "present" | undefined;
}

/** What replicas and workers tell each other, in the form of Tyk's `tyk.cluster.notifications`. */
export interface StoreChange {
  /** For example `KeySpaceUpdateNotification`, `ApiUpdated`, `PolicyChanged`, `GroupReload`. */
  readonly command: string;
  /** For key changes a comma list of key names without the `apikey-` prefix. */
  readonly payload: string;
}

export const KEYS_CHANGED = "KeySpaceUpdateNotification";
/** Ours: certificates came, were replaced or went; the payload is a comma list of ids, or empty for any. */
export const CERTIFICATES_CHANGED = "SluiceCertificatesChanged";
/** Keys that sign tokens are to be fetched anew; the payload is an API's id, or empty for all. */
export const TOKEN_KEYS_CHANGED = "InvalidateJWKSCacheForAPI";
/** Ours: more changed than the log of changes holds, so everything remembered must be read again. */
export const EVERYTHING_CHANGED = "SluiceForgetAll";

export interface StoreHealth {
  readonly ok: boolean;
  /** `Date.now()` of the last change of `ok`. */
  readonly since: number;
  /** Why not, for `/hello`; never holds a credential. */
  readonly output?: string | undefined;
}

/**
 * The way to the shared counters for the limits, which bring their own scripts and transactions.
 * `prefix` goes before every name of ours that Tyk does not have.
 */
export type CounterHome =
  | { readonly home: "redis"; readonly redis: Redis | Cluster; readonly prefix: string }
  | {
      readonly home: "embedded";
      /** Survives a crash of the machine: quota. */
      readonly durable: RootDatabase<unknown, string>;
      /** Written without sync, survives a crash of a process: rates. */
      readonly volatile: RootDatabase<unknown, string>;
      readonly prefix: string;
    };

export interface Store {
  readonly home: "embedded" | "redis";
  /** Connects or opens; call it after the fork. Resolves also when the home is down: `health()` says so. */
  open(): Promise<void>;
  close(): Promise<void>;
  health(): StoreHealth;

  get(name: string): Promise<Uint8Array | undefined>;
  /** Answers in the order of the names. One round trip. */
  getMany(names: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  /** The same without waiting, in a home that is read in memory; absent elsewhere. Throws `StoreDown`. */
  getManyNow?(names: readonly string[]): (Uint8Array | undefined)[];
  /** From here on `getManyNow` sees all that was written before, by whichever process. */
  renew?(): void;
  put(name: string, value: Uint8Array, options?: PutOptions): Promise<boolean>;
  delete(name: string): Promise<boolean>;
  /** Names with this prefix, in pages, in no stated order; a name written meanwhile may be missing. */
  list(prefix: string): AsyncIterable<string[]>;
  /** Milliseconds left, -1 without end, -2 when absent (as Redis answers). */
  ttl(name: string): Promise<number>;

  /** Ordered lists (`cert-<org>-index`). */
  listValues(name: string): Promise<string[]>;
  listAdd(name: string, value: string): Promise<void>;
  listRemove(name: string, value: string): Promise<void>;

  publish(change: StoreChange): Promise<void>;
  /** Answers the function that ends the subscription. */
  subscribe(listener: (change: StoreChange) => void): () => void;
  /** Called when the home is lost or is back. Answers the function that ends it. */
  onHealth(listener: (health: StoreHealth) => void): () => void;

  counters(): CounterHome;
}
