// All targets of a worker, by host and port, shared by the definitions that name them. A new configuration keeps the
// pools it still names and retires the others.

import type { Logger } from "pino";
import type { ReadBlockPool } from "../../shared/base/read-block.js";
import type { ConnectionEvents, EngineShared } from "../../shared/http2/connection.js";
import type { EngineLimits } from "../../shared/http2/limits.js";
import type { Answer } from "../call/answers.js";
import type { Call } from "../call/call.js";
import type { Turn } from "../net/turn.js";
import type { Security } from "../tls/towards.js";
import type { Link } from "./link.js";
import { TargetPool } from "./target-pool.js";

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
}

/** Who runs calls on the connections found here. */
export interface CallRunner {
  begin(call: Call, link: Link): void;
  /** The endpoint cannot be reached now: another one may. */
  unreachable(call: Call, answer: Answer): void;
  /** The call ends with this answer. */
  fail(call: Call, answer: Answer): void;
}

export interface UpstreamContext {
  readonly turn: Turn;
  readonly pools: readonly ReadBlockPool[];
  readonly engine: EngineShared;
  readonly log: Logger;
  readonly runner: CallRunner;
  readonly events: ConnectionEvents;
  limits: EngineLimits;
  options: UpstreamOptions;
}

export class Upstreams {
  private readonly context: UpstreamContext;
  private readonly pools = new Map<string, TargetPool>();
  /** No longer named by the configuration; they go when their last call has ended. */
  private leaving: TargetPool[] = [];

  constructor(context: UpstreamContext) {
    this.context = context;
  }

  /** The pool of a target; made when it is new. */
  pool(host: string, port: number, security: Security | null = null): TargetPool {
    const key = security === null ? `${host} ${port}` : `${host} ${port} ${security.key}`;
    let pool = this.pools.get(key);
    if (pool === undefined) {
      pool = new TargetPool(host, port, this.context, security);
      this.pools.set(key, pool);
    }
    return pool;
  }

  /** Retires every pool that is not among `used`. */
  keepOnly(used: ReadonlySet<TargetPool>): void {
    for (const [key, pool] of this.pools) {
      if (used.has(pool)) continue;
      this.pools.delete(key);
      this.leaving.push(pool);
      pool.retire();
    }
  }

  tick(now: number): void {
    for (const pool of this.pools.values()) pool.tick(now);
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
