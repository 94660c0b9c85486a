// The primary's way to keys: the store, its records and counters, opened when somebody needs them first.
// Responsible for opening once, for the rules that settings give, for telling workers of a change.
// Must not know: HTTP, who may ask, which worker remembers what. Runs: per request of an operator.

import type { Settings } from "../shared/config.js";
import type { Counters } from "../shared/counters/counters.js";
import { type KeyRules, keyRules } from "../shared/keys/token.js";
import { Sessions } from "../shared/store/sessions.js";
import { KEYS_CHANGED, type Store, type StoreChange, type StoreHealth } from "../shared/store/store.js";

export interface KeyspaceOptions {
  /** Those in force; where the store is and how keys are hashed do not change while the process lives. */
  readonly settings: () => Settings;
  /** True when every worker of this host has applied it in time. */
  readonly tell: (change: StoreChange) => Promise<boolean>;
  /** News of this host and of other replicas. */
  readonly heard: (change: StoreChange) => void;
  readonly healthChanged: () => void;
}

export interface Opened {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly counters: Counters;
}

export class Keyspace {
  readonly #options: KeyspaceOptions;
  #opening: Promise<Opened> | undefined;
  #store: Store | undefined;

  constructor(options: KeyspaceOptions) {
    this.#options = options;
  }

  get rules(): KeyRules {
    return keyRules(this.#options.settings());
  }

  /** Resolves also when the home is down: what is asked of it then rejects with `StoreDown`. */
  open(): Promise<Opened> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /** Undefined while nobody needed the store. */
  get health(): StoreHealth | undefined {
    return this.#store?.health();
  }

  /** True when no worker of this host decides by what these keys were before. */
  forgotten(names: readonly string[]): Promise<boolean> {
    return this.#options.tell({ command: KEYS_CHANGED, payload: names.join(",") });
  }

  /** News for this host's workers and for every replica. True when the former go by it. */
  async announce(change: StoreChange): Promise<boolean> {
    const { store } = await this.open();
    await store.publish(change);
    return this.#options.tell(change);
  }

  async close(): Promise<void> {
    const opened = await this.#opening?.catch(() => undefined);
    await opened?.store.close();
  }

  async #open(): Promise<Opened> {
    const { settings, heard, healthChanged } = this.#options;
    const { storage, node_secret, allow_insecure_configs } = settings();
    // Both homes' libraries are loaded by those who need one: a gateway without keys starts without them.
    const { makeStore } = await import("../shared/store/homes.js");
    const { openCounters } = await import("../shared/counters/open.js");
    const store = makeStore(storage, { nodeSecret: node_secret, allowUnsigned: allow_insecure_configs });
    this.#store = store;
    await store.open();
    store.subscribe(heard);
    store.onHealth(healthChanged);
    healthChanged();
    const lifetime = {
      get force_global_session_lifetime() {
        return settings().force_global_session_lifetime;
      },
      get global_session_lifetime() {
        return settings().global_session_lifetime;
      },
      get session_lifetime_respects_key_expiration() {
        return settings().session_lifetime_respects_key_expiration;
      },
    };
    const sessions = new Sessions({ store, keys: this.rules, encoding: storage.encoding, lifetime });
    return { store, sessions, counters: lazyCounters(() => openCounters(store.counters(), `control-${process.pid}`)) };
  }
}

/** A home that is down at the start has no counters to open yet. */
function lazyCounters(open: () => Counters): Counters {
  let opened: Counters | undefined;
  const counters = (): Counters => {
    opened ??= open();
    return opened;
  };
  return {
    exchange: (asks, quota) => counters().exchange(asks, quota),
    slide: (asks) => counters().slide(asks),
    unslide: (key, at) => counters().unslide(key, at),
    fixed: (key, limit, seconds) => counters().fixed(key, limit, seconds),
    recall: (keys) => counters().recall(keys),
    beat: () => counters().beat(),
    leave: () => counters().leave(),
    read: (key, quota) => counters().read(key, quota),
    clear: (key, quota) => counters().clear(key, quota),
  };
}
