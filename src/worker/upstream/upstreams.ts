// All targets of a worker, by host and port, shared by the definitions that name them, and the choice of each definition
// among them. A new configuration keeps what it still names and retires the rest. Runs: per configuration and tick.

import type { Logger } from "pino";
import type { ReadBlockPool } from "../../shared/base/read-block.js";
import type { ConnectionEvents, EngineShared } from "../../shared/http2/connection.js";
import type { EngineLimits } from "../../shared/http2/limits.js";
import type { Target } from "../../shared/model/api-definition.js";
import type { HealthPolicy, TargetPolicy } from "../../shared/model/target-policy.js";
import { Balancer, type Place } from "../balance/balancer.js";
import type { Answer } from "../call/answers.js";
import type { Call } from "../call/call.js";
import type { Turn } from "../net/turn.js";
import type { Security } from "../tls/towards.js";
import type { Link } from "./link.js";
import { type Lookup, TargetPool } from "./target-pool.js";

/** What upstream connections are made with; all durations in ms. */
export interface UpstreamOptions {
  readonly minConnections: number;
  readonly maxConnections: number;
  readonly connectTimeout: number;
  readonly keepaliveTime: number;
  readonly keepaliveTimeout: number;
  /** 0 = for ever. */
  readonly maxAge: number;
  /** Share of maxAge, 0 to 1. */
  readonly maxAgeJitter: number;
  readonly idleTimeout: number;
  readonly backoffInitial: number;
  readonly backoffMax: number;
  readonly backoffJitter: number;
  readonly resolveInterval: number;
  readonly maxWaitingCalls: number;
  /** Cancelled calls after which a connection is replaced; 0 = never. */
  readonly cancelBudget: number;
}

/** Who runs calls on the connections found here. */
export interface CallRunner {
  begin(call: Call, link: Link): void;
  /** The endpoint cannot be reached now: another one may. */
  unreachable(call: Call, answer: Answer): void;
  /** The call ends with this answer. */
  fail(call: Call, answer: Answer): void;
  /** What the call waited for is known: it is given to a target anew. */
  again(call: Call): void;
}

export interface UpstreamContext {
  readonly turn: Turn;
  readonly pools: readonly ReadBlockPool[];
  readonly engine: EngineShared;
  readonly log: Logger;
  readonly runner: CallRunner;
  readonly events: ConnectionEvents;
  readonly lookup: Lookup;
  /** Endpoints that are to be checked for health came or went. */
  checked(): void;
  limits: EngineLimits;
  options: UpstreamOptions;
}

/** Services that rewrites name, at most: their hosts may come from what callers send. */
const MOST_ELSEWHERE = 256;

export class Upstreams {
  private readonly context: UpstreamContext;
  private readonly pools = new Map<string, TargetPool>();
  private readonly balancers = new Map<string, Balancer>();
  /** Of services that rewrites name; the one that was used first comes first. */
  private elsewhere = new Map<TargetPool, Balancer>();
  /** No longer named by the configuration; they go when their last call has ended. */
  private leaving: TargetPool[] = [];

  constructor(context: UpstreamContext) {
    this.context = context;
  }

  /** The pool of a target; made when it is new. */
  pool(host: string, port: number, security: Security | null = null, health: HealthPolicy | null = null): TargetPool {
    const key = poolKey(host, port, security, health);
    let pool = this.pools.get(key);
    if (pool === undefined) {
      const checked = health === null || health.type === "" ? null : health;
      pool = new TargetPool(host, port, this.context, { security, health: checked, key });
      this.pools.set(key, pool);
    }
    return pool;
  }

  /** Those that the configuration names. */
  all(): Iterable<TargetPool> {
    return this.pools.values();
  }

  /** The choice among an API's targets, whose pools are given in their order; the one of before where nothing changed. */
  balancer(
    api: string,
    targets: readonly Target[],
    pools: readonly TargetPool[],
    policy: TargetPolicy | null,
  ): Balancer {
    const places = placesOf(targets, pools, policy?.balance.weights ?? []);
    const named = places.map(({ pool, target, weight }) => [pool.key, target, weight]);
    const key = JSON.stringify([api, named, policy]);
    let balancer = this.balancers.get(key);
    if (balancer === undefined) {
      balancer = this.makeBalancer(api, places, policy);
      this.balancers.set(key, balancer);
    }
    return balancer;
  }

  /** For a service that is no target of any API; null when there are too many of them in use. */
  single(api: string, host: string, port: number, security: Security | null): Balancer | null {
    const pool = this.pool(host, port, security);
    const known = this.elsewhere.get(pool);
    if (known !== undefined) return known;
    if (this.elsewhere.size >= MOST_ELSEWHERE && !this.forgetOneElsewhere()) {
      if (pool.watchers.size === 0) this.drop(pool);
      return null;
    }
    const again = (): Balancer | null => this.single(api, host, port, security);
    const balancer = this.makeBalancer(api, [{ pool, target: 0, weight: 1 }], null, again);
    this.elsewhere.set(pool, balancer);
    return balancer;
  }

  private forgetOneElsewhere(): boolean {
    for (const [pool, balancer] of this.elsewhere) {
      if (pool.inFlight > 0) continue;
      this.elsewhere.delete(pool);
      balancer.leave();
      if (pool.watchers.size === 0) this.drop(pool);
      return true;
    }
    return false;
  }

  private makeBalancer(
    api: string,
    places: readonly Place[],
    policy: TargetPolicy | null,
    again?: () => Balancer | null,
  ): Balancer {
    const { runner, log, turn } = this.context;
    const now = (): number => turn.clock.now;
    return new Balancer({ api, places, policy, runner, log, now, ...(again === undefined ? {} : { again }) });
  }

  /** Only these are named by the configuration from here on: the others, and pools that nobody chooses from, retire. */
  keepOnly(used: ReadonlySet<Balancer>): void {
    for (const [key, balancer] of this.balancers) {
      if (used.has(balancer)) continue;
      this.balancers.delete(key);
      balancer.leave();
    }
    for (const balancer of this.elsewhere.values()) balancer.leave();
    this.elsewhere = new Map();
    for (const pool of this.pools.values()) if (pool.watchers.size === 0) this.drop(pool);
  }

  private drop(pool: TargetPool): void {
    this.pools.delete(pool.key);
    this.leaving.push(pool);
    pool.retire();
  }

  tick(now: number): void {
    for (const pool of this.pools.values()) pool.tick(now);
    for (const balancer of this.balancers.values()) balancer.tick(now);
    if (this.leaving.length === 0) return;
    for (const pool of this.leaving) pool.tick(now);
    this.leaving = this.leaving.filter((pool) => pool.hasLinks);
  }

  /** The worker ends: every connection is closed now. */
  destroy(): void {
    for (const pool of this.pools.values()) pool.destroy();
    for (const pool of this.leaving) pool.destroy();
    this.pools.clear();
    this.leaving = [];
  }
}

function poolKey(host: string, port: number, security: Security | null, health: HealthPolicy | null): string {
  const checked = health === null || health.type === "" ? "" : JSON.stringify(health);
  return `${host} ${port} ${security?.key ?? ""} ${checked}`;
}

/** Entries of the list that send the same to the same place are one that weighs more. */
function placesOf(targets: readonly Target[], pools: readonly TargetPool[], weights: readonly number[]): Place[] {
  const places = new Map<string, Place>();
  for (const [index, pool] of pools.entries()) {
    const { scheme, authority, basePath, query } = targets[index]!;
    const key = JSON.stringify([pool.key, scheme, authority, basePath, query]);
    const known = places.get(key);
    const weight = (known?.weight ?? 0) + (weights[index] ?? 1);
    places.set(key, { pool, target: known?.target ?? index, weight });
  }
  return [...places.values()];
}
