/**
 * Makes ioredis clients from the `storage` settings: single node, cluster, sentinels, TLS, Unix socket.
 * Must not know: what is stored. Governed by: Tyk's `storage` names; `socket_path` is ours.
 * Runs: twice per process at start (commands, subscription).
 */

import { readFileSync } from "node:fs";
import type { ConnectionOptions, SecureVersion } from "node:tls";
import { Cluster, type DNSLookupFunction, Redis } from "ioredis";
import { addresses, type RedisPlace } from "./redis-addresses.js";

export interface RedisSettings extends RedisPlace {
  readonly master_name?: string | undefined;
  readonly sentinel_password?: string | undefined;
  readonly enable_cluster?: boolean | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly database?: number | undefined;
  /** Seconds, of dialling and of a command. */
  readonly timeout?: number | undefined;
  readonly use_ssl?: boolean | undefined;
  readonly ssl_insecure_skip_verify?: boolean | undefined;
  readonly ca_file?: string | undefined;
  readonly cert_file?: string | undefined;
  readonly key_file?: string | undefined;
  readonly tls_min_version?: string | undefined;
  readonly tls_max_version?: string | undefined;
}

export type RedisClient = Redis | Cluster;

const BACKOFF_FIRST_MS = 50;
const BACKOFF_LAST_MS = 2_000;
const TLS_VERSIONS: Readonly<Record<string, SecureVersion>> = {
  "1.0": "TLSv1",
  "1.1": "TLSv1.1",
  "1.2": "TLSv1.2",
  "1.3": "TLSv1.3",
};

/**
 * A client that refuses at once while it is not connected. `waiting` makes one that queues instead: only a
 * subscription may wait, nobody stands behind it.
 */
export function makeRedisClient(settings: RedisSettings, commandTimeout: number, waiting = false): RedisClient {
  const common = commonOptions(settings, commandTimeout, waiting);
  const nodes = addresses(settings);
  if (settings.enable_cluster === true) return makeCluster(nodes, common, settings, waiting);
  if (settings.master_name !== undefined && settings.master_name !== "") {
    return new Redis({
      ...common,
      retryStrategy: (times: number) => backoff(times),
      enableOfflineQueue: waiting,
      db: settings.database ?? 0,
      sentinels: nodes,
      name: settings.master_name,
      sentinelRetryStrategy: (times: number) => backoff(times),
      ...(settings.sentinel_password ? { sentinelPassword: settings.sentinel_password } : {}),
      ...(common.tls === undefined ? {} : { enableTLSForSentinelMode: true, sentinelTLS: common.tls }),
    });
  }
  const first = nodes[0]!;
  return new Redis({
    ...common,
    retryStrategy: (times: number) => backoff(times),
    enableOfflineQueue: waiting,
    db: settings.database ?? 0,
    ...(settings.socket_path ? { path: settings.socket_path } : first),
  });
}

/** Half fixed, half random: replicas that lost Redis together do not come back in the same instant. */
export function backoff(times: number, random = Math.random): number {
  const ceiling = Math.min(BACKOFF_LAST_MS, BACKOFF_FIRST_MS * 2 ** Math.min(times, 10));
  return Math.ceil(ceiling / 2 + (ceiling / 2) * random());
}

type Common = ReturnType<typeof commonOptions>;

function commonOptions(settings: RedisSettings, commandTimeout: number, waiting: boolean) {
  return {
    // Replies in the shapes of RESP2, whatever the server speaks.
    replyMapping: "legacy" as const,
    lazyConnect: true,
    connectTimeout: Math.max(commandTimeout, 1_000),
    // A subscription may be silent for hours.
    ...(waiting ? {} : { commandTimeout }),
    maxRetriesPerRequest: waiting ? null : 1,
    // A script that was sent may have counted: sending it again after a lost connection would count twice.
    autoResendUnfulfilledCommands: false,
    enableAutoPipelining: !waiting,
    connectionName: "sluice",
    ...(settings.username ? { username: settings.username } : {}),
    ...(settings.password ? { password: settings.password } : {}),
    ...(settings.use_ssl === true ? { tls: tlsOptions(settings) } : {}),
  };
}

function makeCluster(
  nodes: { host: string; port: number }[],
  common: Common,
  settings: RedisSettings,
  waiting: boolean,
): Cluster {
  const { lazyConnect: _lazy, enableAutoPipelining: pipelining, ...redisOptions } = common;
  return new Cluster(nodes, {
    redisOptions,
    clusterRetryStrategy: (times) => backoff(times),
    enableOfflineQueue: waiting,
    enableAutoPipelining: pipelining ?? false,
    lazyConnect: true,
    slotsRefreshTimeout: 2_000,
    // Names in certificates would not match addresses looked up in advance.
    ...(settings.use_ssl === true ? { dnsLookup: lookUpNothing } : {}),
  });
}

const lookUpNothing: DNSLookupFunction = (address, callback) => callback(null, address);

function tlsOptions(settings: RedisSettings): ConnectionOptions {
  const version = (name: string | undefined): SecureVersion | undefined => {
    if (name === undefined || name === "") return undefined;
    const found = TLS_VERSIONS[name];
    if (found === undefined) throw new Error(`storage: TLS version "${name}" is none of 1.0, 1.1, 1.2, 1.3`);
    return found;
  };
  const minVersion = version(settings.tls_min_version) ?? "TLSv1.2";
  const maxVersion = version(settings.tls_max_version);
  return {
    minVersion,
    ...(maxVersion === undefined ? {} : { maxVersion }),
    rejectUnauthorized: settings.ssl_insecure_skip_verify !== true,
    ...(settings.ca_file ? { ca: readFileSync(settings.ca_file) } : {}),
    ...(settings.cert_file ? { cert: readFileSync(settings.cert_file) } : {}),
    ...(settings.key_file ? { key: readFileSync(settings.key_file) } : {}),
  };
}
