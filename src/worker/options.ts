// The settings as the data plane uses them: its own names, and durations in milliseconds.

import type { Settings } from "../shared/config.js";
import type { CallerOptions } from "./downstream/caller.js";
import type { CensusLimits } from "./downstream/census.js";
import type { UpstreamOptions } from "./upstream/upstreams.js";

const SECOND = 1_000;

export function callerOptions(settings: Settings): CallerOptions {
  return {
    readTimeout: settings.http_server_options.read_timeout * SECOND,
    writeTimeout: settings.http_server_options.write_timeout * SECOND,
    keepaliveTime: settings.upstream.keepalive_time * SECOND,
    keepaliveTimeout: settings.upstream.keepalive_timeout * SECOND,
    residence: {
      maxAge: settings.connections.max_age * SECOND,
      maxAgeJitter: settings.connections.max_age_jitter,
      maxIdle: settings.connections.max_idle * SECOND,
    },
  };
}

export function censusLimits(settings: Settings): CensusLimits {
  return { perWorker: settings.connections.max_per_worker, perAddress: settings.connections.max_per_address };
}

export function upstreamOptions(settings: Settings): UpstreamOptions {
  const up = settings.upstream;
  return {
    minConnections: up.min_connections,
    maxConnections: up.max_connections,
    connectTimeout: (up.connect_timeout || settings.proxy_default_timeout) * SECOND,
    keepaliveTime: up.keepalive_time * SECOND,
    keepaliveTimeout: up.keepalive_timeout * SECOND,
    maxAge: up.max_age * SECOND,
    maxAgeJitter: up.max_age_jitter,
    idleTimeout: up.idle_timeout * SECOND,
    backoffInitial: up.backoff_initial * SECOND,
    backoffMax: up.backoff_max * SECOND,
    backoffJitter: up.backoff_jitter,
    resolveInterval: up.resolve_interval * SECOND,
    maxWaitingCalls: up.max_waiting_calls,
    cancelBudget: up.cancel_budget,
  };
}
