// One target as an operator wrote it, host and port, and the addresses its name stands for, each an endpoint of its own.
// Responsible for asking the name again and for what comes and goes with the answers. Must not know: which endpoint a
// call gets (balance/). Runs: per tick, and once per answer about a name.

import { lookup } from "node:dns";
import { isIP } from "node:net";
import type { HealthPolicy } from "../../shared/model/target-policy.js";
import type { Balancer } from "../balance/balancer.js";
import { ANSWERS } from "../call/answers.js";
import type { Call } from "../call/call.js";
import type { Security } from "../tls/towards.js";
import { Endpoint } from "./endpoint.js";
import type { UpstreamContext } from "./upstreams.js";
import { WaitingCalls } from "./waiting-calls.js";

/** Of a name with more addresses the rest is left alone: each costs connections in every worker. */
const MAX_ADDRESSES = 256;
/** A name without an answer is asked again after so long, then after twice as long, ms. */
const FIRST_RETRY = 1_000;
/** Share of a time to wait by which it varies, so that neither all names nor all workers ask at once. */
const JITTER = 0.2;

/** Finds the addresses of a name. */
export type Lookup = (host: string, found: (problem: string, addresses: readonly string[]) => void) => void;

/** As the system does, with its hosts file. It does not say how long an answer is good for. */
export const systemLookup: Lookup = (host, found) =>
  lookup(host, { all: true }, (error, addresses) =>
    found(error === null ? "" : error.message, error === null ? addresses.map((each) => each.address) : []),
  );

export interface PoolParts {
  readonly security: Security | null;
  readonly health: HealthPolicy | null;
  /** Equal for what may share a pool, in every worker. */
  readonly key: string;
}

export class TargetPool {
  readonly host: string;
  readonly port: number;
  readonly key: string;
  /** How its endpoints are checked; null for not at all. */
  readonly health: HealthPolicy | null;
  endpoints: Endpoint[] = [];
  /** Who chooses among the endpoints, to be told of changes. */
  readonly watchers = new Set<Balancer>();
  private readonly security: Security | null;
  private readonly context: UpstreamContext;
  /** Addresses that the name no longer stands for: they go when their last call has ended. */
  private leaving: Endpoint[] = [];
  private readonly unresolved = new WaitingCalls();
  private resolved = false;
  private asking = false;
  private askAt = 0;
  private failures = 0;
  private retired = false;

  constructor(host: string, port: number, context: UpstreamContext, made: Partial<PoolParts> = {}) {
    const { security = null, health = null, key = "" } = made;
    this.host = host;
    this.port = port;
    this.security = security;
    this.health = health;
    this.context = context;
    this.key = key;
    // A forward proxy looks names up itself: they may mean nothing here.
    if (isIP(host) !== 0 || (security !== null && security.proxy !== null)) {
      this.endpoints = [new Endpoint(host, port, context, security)];
      this.resolved = true;
      this.askAt = Number.POSITIVE_INFINITY;
    } else this.ask();
  }

  get authority(): string {
    return isIP(this.host) === 6 ? `[${this.host}]:${this.port}` : `${this.host}:${this.port}`;
  }

  /** The first answer about its name is still to come. */
  get awaited(): boolean {
    return !this.resolved && this.failures === 0 && !this.retired;
  }

  /** Until the name is known. */
  wait(call: Call): void {
    if (!this.unresolved.add(call, this.context.options.maxWaitingCalls))
      this.context.runner.fail(call, ANSWERS.queueFull);
  }

  get inFlight(): number {
    let n = this.unresolved.size;
    for (const endpoint of this.endpoints) n += endpoint.inFlight;
    return n;
  }

  get hasLinks(): boolean {
    return [...this.endpoints, ...this.leaving].some((endpoint) => endpoint.links.length > 0);
  }

  private ask(): void {
    this.asking = true;
    this.context.lookup(this.host, (problem, addresses) => {
      this.asking = false;
      if (this.retired) return;
      if (addresses.length === 0) this.unanswered(problem === "" ? "the name has no address" : problem);
      else this.answered(addresses);
      for (const call of this.unresolved.takeAll()) this.context.runner.again(call);
    });
  }

  /** What was known before stays in use. */
  private unanswered(reason: string): void {
    const { log, options } = this.context;
    const kept = this.endpoints.length;
    if (this.failures === 0) log.warn({ host: this.host, reason, kept }, "name cannot be resolved");
    const pause = Math.min(options.resolveInterval, FIRST_RETRY * 2 ** Math.min(this.failures, 20));
    this.failures++;
    this.askAfter(pause);
  }

  private answered(addresses: readonly string[]): void {
    if (this.failures > 0) this.context.log.info({ host: this.host }, "name is resolved again");
    this.failures = 0;
    this.adopt([...new Set(addresses)].sort());
    this.resolved = true;
    this.askAfter(this.context.options.resolveInterval);
  }

  private askAfter(pause: number): void {
    this.askAt = this.context.turn.clock.now + pause * (1 + JITTER * (Math.random() - 0.5));
  }

  private adopt(addresses: readonly string[]): void {
    const { log } = this.context;
    const wanted = addresses.slice(0, MAX_ADDRESSES);
    const known = new Map(this.endpoints.map((endpoint) => [endpoint.address, endpoint]));
    const gone = this.endpoints.filter((endpoint) => !wanted.includes(endpoint.address));
    const fresh = wanted.filter((address) => !known.has(address));
    if (gone.length === 0 && fresh.length === 0) return;
    if (addresses.length > wanted.length)
      log.warn({ host: this.host, found: addresses.length, used: wanted.length }, "name has too many addresses");
    this.endpoints = wanted.map(
      (address) => known.get(address) ?? new Endpoint(address, this.port, this.context, this.security),
    );
    this.leaving.push(...gone);
    for (const balancer of this.watchers) balancer.moved();
    if (this.health !== null) this.context.checked();
    if (this.resolved) log.info({ host: this.host, gone: gone.map((each) => each.address), fresh }, "name moved");
    for (const endpoint of gone) endpoint.retire();
  }

  /** Its endpoints' health has changed. */
  changed(): void {
    for (const balancer of this.watchers) balancer.changed();
  }

  tick(now: number): void {
    for (const endpoint of this.endpoints) endpoint.tick(now);
    if (this.leaving.length > 0) {
      for (const endpoint of this.leaving) endpoint.tick(now);
      this.leaving = this.leaving.filter((endpoint) => endpoint.links.length > 0);
    }
    if (!this.asking && !this.retired && now >= this.askAt) this.ask();
  }

  retire(): void {
    this.retired = true;
    for (const endpoint of this.endpoints) endpoint.retire();
    for (const call of this.unresolved.takeAll()) this.context.runner.unreachable(call, ANSWERS.unreachable);
  }

  destroy(): void {
    this.retired = true;
    for (const endpoint of [...this.endpoints, ...this.leaving]) endpoint.destroy();
  }
}
