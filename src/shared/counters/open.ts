/**
 * The shared counters of whichever home the store has.
 * Must not know: settings. Governed by: `CounterHome` of the store. Runs: once per worker.
 */

import type { CounterHome } from "../store/store.js";
import type { Counters } from "./counters.js";
import { LmdbCounters } from "./lmdb.js";
import { RedisCounters } from "./redis.js";

/** `worker`: unique over all replicas and restarts, at most a few dozen characters without spaces. */
export function openCounters(home: CounterHome, worker: string): Counters {
  return home.home === "redis"
    ? new RedisCounters(home.redis, home.prefix, worker)
    : new LmdbCounters(home.durable, home.volatile, home.prefix, worker);
}
