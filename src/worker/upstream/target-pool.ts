// One target as an operator wrote it, host and port, and the addresses its name stands for. A name is asked again from
// time to time; every address counts as an endpoint of its own and calls take turns among those that can be reached.

import { lookup } from "node:dns";
import { isIP } from "node:net";
import { ANSWERS } from "../call/answers.js";
import type { Call } from "../call/call.js";
import type { Security } from "../tls/towards.js";
import { Endpoint } from "./endpoint.js";
import type { UpstreamContext } from "./upstreams.js";

/** Calls that may wait for the first answer about a name. */
const MAX_UNRESOLVED = 10_000;

export class TargetPool {
  readonly host: string;
  readonly port: number;
  private readonly security: Security | null;
  private readonly context: UpstreamContext;
  endpoints: Endpoint[] = [];
  private next = 0;
  private unresolved: Call[] = [];
  private resolved = false;
  private asking = false;
  private askAt = 0;
  private failed = false;
  private retired = false;

  constructor(host: string, port: number, context: UpstreamContext, security: Security | null = null) {
    this.host = host;
    this.port = port;
    this.security = security;
    this.context = context;
    // A forward proxy looks names up itself: they may mean nothing here.
    if (isIP(host) !== 0 || (security !== null && security.proxy !== null)) {
      this.endpoints = [new Endpoint(host, port, context, security)];
      this.resolved = true;
      this.askAt = Number.POSITIVE_INFINITY;
    } else this.ask();
  }

  give(call: Call): void {
    if (this.endpoints.length === 1) {
      this.endpoints[0]!.give(call);
      return;
    }
    if (!this.resolved || this.endpoints.length === 0) {
      if (this.failed || this.unresolved.length >= MAX_UNRESOLVED)
        this.context.runner.unreachable(call, ANSWERS.lookupFailed);
      else this.unresolved.push(call);
      return;
    }
    this.choose().give(call);
  }

  /** In turn, the next endpoint that is connected; else one that may be soon; else simply the next. */
  private choose(): Endpoint {
    const n = this.endpoints.length;
    this.next = (this.next + 1) % n;
    for (let i = 0; i < n; i++) {
      const endpoint = this.endpoints[(this.next + i) % n]!;
      if (endpoint.ready) return endpoint;
    }
    for (let i = 0; i < n; i++) {
      const endpoint = this.endpoints[(this.next + i) % n]!;
      if (endpoint.hopeful) return endpoint;
    }
    return this.endpoints[this.next]!;
  }

  /** Some endpoint is connected. */
  get ready(): boolean {
    for (const endpoint of this.endpoints) if (endpoint.ready) return true;
    return false;
  }

  /** Whether a call given now has a chance. */
  get hopeful(): boolean {
    if (!this.resolved) return !this.failed;
    for (const endpoint of this.endpoints) if (endpoint.hopeful) return true;
    return false;
  }

  get hasLinks(): boolean {
    return this.endpoints.some((endpoint) => endpoint.links.length > 0);
  }

  private ask(): void {
    this.asking = true;
    lookup(this.host, { all: true }, (error, addresses) => {
      this.asking = false;
      if (this.retired) return;
      const now = this.context.turn.clock.now;
      if (error !== null || addresses.length === 0) {
        if (!this.failed) this.context.log.warn({ host: this.host, reason: error?.message }, "name cannot be resolved");
        this.failed = true;
        this.askAt = now + 1_000;
      } else {
        this.failed = false;
        this.resolved = true;
        this.askAt = now + this.context.options.resolveInterval;
        this.adopt(addresses.map((found) => found.address));
      }
      this.release();
    });
  }

  private adopt(addresses: readonly string[]): void {
    const kept = this.endpoints.filter((endpoint) => addresses.includes(endpoint.address));
    for (const endpoint of this.endpoints) if (!kept.includes(endpoint)) endpoint.retire();
    for (const address of new Set(addresses)) {
      if (!kept.some((endpoint) => endpoint.address === address))
        kept.push(new Endpoint(address, this.port, this.context, this.security));
    }
    this.endpoints = kept;
  }

  private release(): void {
    const calls = this.unresolved;
    this.unresolved = [];
    for (const call of calls) if (!call.finished) this.give(call);
  }

  tick(now: number): void {
    for (const endpoint of this.endpoints) endpoint.tick(now);
    if (!this.asking && !this.retired && now >= this.askAt) this.ask();
  }

  retire(): void {
    this.retired = true;
    for (const endpoint of this.endpoints) endpoint.retire();
    const calls = this.unresolved;
    this.unresolved = [];
    for (const call of calls) if (!call.finished) this.context.runner.unreachable(call, ANSWERS.unreachable);
  }

  destroy(): void {
    this.retired = true;
    for (const endpoint of this.endpoints) endpoint.destroy();
  }
}
