/**
 * Chooses the home of the store by `storage.type`.
 * Must not know: the rest of the settings. Runs: once per process, after the fork.
 */

import { EmbeddedStore } from "./embedded.js";
import { RedisStore } from "./redis.js";
import type { RedisSettings } from "./redis-client.js";
import type { Store } from "./store.js";

export interface StorageSettings extends RedisSettings {
  readonly type: string;
  readonly path?: string | undefined;
}

export interface StoreSurroundings {
  readonly nodeSecret?: string | undefined;
  readonly allowUnsigned?: boolean | undefined;
  /** Embedded only: tells the primary to poke the other workers. */
  readonly announce?: (() => void) | undefined;
}

export function makeStore(storage: StorageSettings, around: StoreSurroundings = {}): Store {
  switch (storage.type) {
    case "embedded":
      return new EmbeddedStore({ path: storage.path || "./data", announce: around.announce });
    case "redis":
      return new RedisStore({
        ...storage,
        nodeSecret: around.nodeSecret ?? "",
        allowUnsigned: around.allowUnsigned ?? false,
      });
    default:
      throw new Error(`storage.type: found "${storage.type}", allowed are "embedded" and "redis"`);
  }
}
