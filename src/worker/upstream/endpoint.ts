// One upstream address and its few connections, shared by all calls of the worker. Opens them on demand and ahead of
// need, backs off when connecting fails, and keeps calls waiting, bounded, while there is hope. Runs once per call.

import { ANSWERS } from "../call/answers.js";
import type { Call } from "../call/call.js";
import type { Security } from "../tls/towards.js";
import { Link, LinkState } from "./link.js";
import type { UpstreamContext } from "./upstreams.js";
import { WaitingCalls } from "./waiting-calls.js";

/** Above this share of its streams a connection is helped by another one, while more are allowed. */
const CROWDED = 0.75;
/** Connections that cancelled calls have worn out and that still carry others, at most. */
const MOST_WORN = 16;
/** Time between two replacements, ms, and between two words about them. */
const RENEW_PAUSE = 100;
const TELL_PAUSE = 60_000;
/** So many useless connections in a row are replaced at once: a service may be restarting. */
const USELESS_AT_ONCE = 2;

export class Endpoint {
  readonly address: string;
  readonly port: number;
  /** Null in the clear. */
  readonly security: Security | null;
  private readonly context: UpstreamContext;
  readonly links: Link[] = [];
  private readonly waiting = new WaitingCalls();
  /** Its health checks fail: see balance/. */
  down = false;
  private failures = 0;
  private retryAt = 0;
  /** Connections in a row that the service ended as soon as they were there. */
  private useless = 0;
  private retired = false;
  /** Not before then is a connection replaced because of cancelled calls, and told about. */
  private renewAt = 0;
  private tellAt = 0;

  constructor(address: string, port: number, context: UpstreamContext, security: Security | null = null) {
    this.address = address;
    this.port = port;
    this.security = security;
    this.context = context;
    this.ensure();
  }

  get name(): string {
    return this.address.includes(":") ? `[${this.address}]:${this.port}` : `${this.address}:${this.port}`;
  }

  /** A call given now can begin, or will when a connection under way is ready. */
  get hopeful(): boolean {
    if (this.retired) return false;
    for (const link of this.links) if (link.state <= LinkState.READY) return true;
    return this.context.turn.clock.now >= this.retryAt;
  }

  get ready(): boolean {
    for (const link of this.links) if (link.state === LinkState.READY) return true;
    return false;
  }

  /** Begins the call on a connection, or lets it wait for one, or gives it back as unreachable. */
  give(call: Call): void {
    const link = this.pick();
    if (link !== null) {
      this.context.runner.begin(call, link);
      return;
    }
    this.ensure();
    if (!this.hopeful) {
      this.context.runner.unreachable(call, ANSWERS.unreachable);
      return;
    }
    if (!this.waiting.add(call, this.context.options.maxWaitingCalls))
      this.context.runner.fail(call, ANSWERS.queueFull);
  }

  /** A connection for a question of our own; one is opened where none is. */
  linkToAsk(): Link | null {
    for (const link of this.links) if (link.room > 0) return link;
    if (this.live === 0 && !this.retired && this.context.turn.clock.now >= this.retryAt) this.connect();
    return null;
  }

  /** Calls it has, those that wait included. */
  get inFlight(): number {
    let n = this.waiting.size;
    for (const link of this.links) n += link.connection.streams.size;
    return n;
  }

  /** The first connection that is not crowded, so that calls share writes; else the one with most room. */
  private pick(): Link | null {
    let best: Link | null = null;
    let bestRoom = 0;
    const links = this.links;
    for (let i = 0; i < links.length; i++) {
      const link = links[i]!;
      const room = link.room;
      if (room <= 0) continue;
      const open = link.connection.streams.size;
      if (open <= (open + room) * CROWDED) return link;
      if (room > bestRoom) {
        best = link;
        bestRoom = room;
      }
    }
    if (best !== null) this.grow();
    return best;
  }

  /** All connections are crowded: one more, unless one is under way. */
  private grow(): void {
    if (this.live >= this.context.options.maxConnections) return;
    for (const link of this.links) if (link.state === LinkState.CONNECTING) return;
    this.connect();
  }

  private get live(): number {
    let n = 0;
    for (const link of this.links) if (link.state <= LinkState.READY) n++;
    return n;
  }

  /** Opens what is missing: `min` connections, or one when calls wait. */
  private ensure(): void {
    if (this.retired || this.context.turn.clock.now < this.retryAt) return;
    const { minConnections, maxConnections } = this.context.options;
    const wanted = this.waiting.size > 0 ? Math.max(1, minConnections) : minConnections;
    while (this.live < wanted) this.connect();
    if (this.waiting.size > 0 || wanted === 0) {
      const connecting = this.links.some((link) => link.state === LinkState.CONNECTING);
      if (!connecting && this.live < maxConnections && this.pickable === 0) this.connect();
    }
  }

  private get pickable(): number {
    let room = 0;
    for (const link of this.links) room += Math.max(0, link.room);
    return room;
  }

  private connect(): void {
    this.links.push(new Link(this, this.context, this.context.events));
  }

  linkReady(link: Link): void {
    if (this.failures > 0) this.context.log.info({ endpoint: this.name }, "service is reachable again");
    this.failures = 0;
    this.retryAt = 0;
    if (this.retired) link.retire();
    this.dispatch();
  }

  /** A stream ended or SETTINGS changed: calls that wait may begin. */
  dispatch(): void {
    while (this.waiting.size > 0) {
      const link = this.pick();
      if (link === null) {
        this.ensure();
        return;
      }
      this.context.runner.begin(this.waiting.take()!, link);
    }
  }

  wake(link: Link): void {
    this.context.turn.add(link.wire);
  }

  get hasWaiting(): boolean {
    return this.waiting.size > 0;
  }

  /** Too old: another one takes over, then it goes. */
  linkExpired(link: Link): void {
    let others = false;
    for (const other of this.links) if (other !== link && other.state === LinkState.READY) others = true;
    if (others) link.retire();
    else if (!this.links.some((other) => other.state === LinkState.CONNECTING)) this.connect();
  }

  /** Many calls on it were cancelled: another one takes over, unless too many of such still end their calls. */
  linkWorn(link: Link): void {
    const { turn, options, log } = this.context;
    const now = turn.clock.now;
    if (now < this.renewAt || this.links.length >= options.maxConnections + MOST_WORN) return;
    this.renewAt = now + RENEW_PAUSE;
    if (now >= this.tellAt) {
      log.info({ endpoint: this.name }, "connections are replaced: many calls on them were cancelled");
      this.tellAt = now + TELL_PAUSE;
    }
    this.linkExpired(link);
  }

  linkClosed(link: Link, before: number, reason: string): void {
    const at = this.links.indexOf(link);
    if (at >= 0) this.links.splice(at, 1);
    if (this.retired) return;
    if (before === LinkState.CONNECTING) this.connectFailed(reason);
    else if (before === LinkState.READY) {
      this.context.log.warn({ endpoint: this.name, reason }, "connection to the service lost");
      this.ensure();
    } else this.ensure();
  }

  /**
   * The service ended a connection that was ready. One that greets and ends each at once would be dialled thousands of times a
   * second, so it is treated like one that cannot be reached.
   */
  linkEnded(useless: boolean): void {
    this.useless = useless ? this.useless + 1 : 0;
    if (this.useless <= USELESS_AT_ONCE || this.retired) return;
    this.pause(this.useless - USELESS_AT_ONCE - 1);
    if (this.live === 0) this.giveBack();
  }

  private connectFailed(reason: string): void {
    if (this.failures === 0) this.context.log.warn({ endpoint: this.name, reason }, "service cannot be reached");
    this.pause(this.failures++);
    if (this.live === 0) this.giveBack();
  }

  /** Not dialled for a while, which is twice as long each time. */
  private pause(before: number): void {
    const { backoffInitial, backoffMax, backoffJitter } = this.context.options;
    const delay = Math.min(backoffMax, backoffInitial * 2 ** Math.min(before, 20));
    this.retryAt = this.context.turn.clock.now + delay * (1 + backoffJitter * (Math.random() - 0.5));
  }

  /** Calls that wait here in vain. */
  private giveBack(): void {
    for (const call of this.waiting.takeAll()) this.context.runner.unreachable(call, ANSWERS.unreachable);
  }

  tick(now: number): void {
    for (const link of [...this.links]) link.tick(now);
    this.ensure();
    const { idleTimeout, minConnections } = this.context.options;
    if (idleTimeout === 0 || this.live <= Math.max(1, minConnections)) return;
    for (const link of this.links) {
      if (link.state !== LinkState.READY || link.idleFor(now) < idleTimeout) continue;
      link.retire();
      return;
    }
  }

  /** No longer part of the configuration: running calls end by themselves. */
  retire(): void {
    this.retired = true;
    for (const link of [...this.links]) link.retire();
    this.giveBack();
  }

  destroy(): void {
    this.retired = true;
    for (const link of [...this.links]) link.abandon("the gateway ends");
  }
}
