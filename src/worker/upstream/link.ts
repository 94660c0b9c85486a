// One upstream connection of an endpoint: connects, keeps alive, ages, and is thrown away when it fails. Must not know
// calls beyond the streams it carries. Runs once per connection and per tick.

import { Connection, type ConnectionEvents } from "../../shared/http2/connection.js";
import { openRoom } from "../../shared/http2/open-stream.js";
import { ErrorCode } from "../../shared/http2/protocol.js";
import { sendGoaway, sendOpening } from "../../shared/http2/send-control.js";
import { Keepalive, REST } from "../net/keepalive.js";
import { Wire, type WireOwner } from "../net/wire.js";
import { dial } from "./dial.js";
import type { Endpoint } from "./endpoint.js";
import type { UpstreamContext } from "./upstreams.js";

export const LinkState = { CONNECTING: 0, READY: 1, RETIRING: 2, DEAD: 3 } as const;

/** Time pays a full budget of cancelled calls back in so long, ms. */
const CANCELS_PAID_IN = 20_000;
/** A connection that the service ended sooner, ms, and without taking a call, was of no use. */
const SHORT_LIFE = 1_000;

export class Link implements WireOwner {
  readonly endpoint: Endpoint;
  readonly wire: Wire;
  readonly connection: Connection;
  state: number = LinkState.CONNECTING;
  private readonly keepalive: Keepalive;
  private readonly connectBy: number;
  private readonly expires: number;
  private idleSince: number;
  private readyAt = 0;
  private failure = "";
  private readonly context: UpstreamContext;
  /** Calls cancelled on it, less what time has paid back. */
  private cancels = 0;
  private paidAt: number;

  constructor(endpoint: Endpoint, context: UpstreamContext, events: ConnectionEvents) {
    const now = context.turn.clock.now;
    const { options } = context;
    this.endpoint = endpoint;
    this.context = context;
    this.paidAt = now;
    this.connectBy = now + options.connectTimeout;
    const spread = 1 - options.maxAgeJitter * Math.random();
    this.expires = options.maxAge > 0 ? now + options.maxAge * spread : Number.POSITIVE_INFINITY;
    this.idleSince = now;
    this.keepalive = new Keepalive(options.keepaliveTime, options.keepaliveTimeout, options.keepaliveTime * REST);
    const wire = new Wire(context.turn, context.pools, this);
    this.wire = wire;
    this.connection = new Connection(false, context.limits, context.engine, events);
    this.connection.owner = this;
    wire.connection = this.connection;
    dial(endpoint.address, endpoint.port, endpoint.security, {
      buffer: endpoint.security === null ? () => wire.changedBuffer() : () => wire.nextBuffer(),
      read: (n) => wire.onRead(n),
      uses: (socket) => {
        wire.socket = socket;
        // Not before: writing to a socket that is still connecting would take its error away from the runtime.
        if (endpoint.security === null) {
          socket.once("connect", () => {
            wire.direct = true;
          });
        }
        socket.on("error", (error) => wire.onError(error));
        socket.on("close", () => wire.onClose());
      },
      open: () => sendOpening(this.connection),
    });
  }

  /** The peer's SETTINGS are here: calls may begin. */
  opened(): void {
    if (this.state !== LinkState.CONNECTING) return;
    this.state = LinkState.READY;
    this.readyAt = this.context.turn.clock.now;
    this.endpoint.linkReady(this);
  }

  /** How many more calls it can take. */
  get room(): number {
    return this.state === LinkState.READY ? openRoom(this.connection) : 0;
  }

  /**
   * A call on it was ended with RST_STREAM. Services bound these per connection (CVE-2023-44487), and end it for all its
   * calls when callers of ours cancel many: before that another connection takes over.
   */
  cancelled(): void {
    const { cancelBudget } = this.context.options;
    if (cancelBudget === 0 || this.state !== LinkState.READY) return;
    const now = this.context.turn.clock.now;
    const paid = ((now - this.paidAt) * cancelBudget) / CANCELS_PAID_IN;
    this.cancels = Math.max(0, this.cancels - paid) + 1;
    this.paidAt = now;
    if (this.cancels >= cancelBudget) this.endpoint.linkWorn(this);
  }

  /** The service said GOAWAY: it takes no stream above `last`. @returns false when it had said so before */
  dismissed(last: number): boolean {
    const first = this.state === LinkState.READY;
    this.retire();
    if (first) this.endpoint.linkEnded(this.wasUseless(last > 0));
    return first;
  }

  /** @param takes the service takes the calls that were begun */
  private wasUseless(takes: boolean): boolean {
    const taken = takes && this.connection.nextStream > 1;
    return !taken && this.context.turn.clock.now - this.readyAt < SHORT_LIFE;
  }

  /** Takes no new calls from here on; closes when the last one has ended. */
  retire(): void {
    if (this.state === LinkState.DEAD) return;
    this.state = LinkState.RETIRING;
    this.closeWhenIdle();
  }

  closeWhenIdle(): void {
    if (this.state !== LinkState.RETIRING || this.connection.streams.size > 0 || this.wire.isEnding) return;
    if (!this.connection.dead) sendGoaway(this.connection, 0, ErrorCode.NO_ERROR, "");
    this.wire.endAfterFlush();
  }

  /** Ends it now; its calls end or move as the connection's streams close. */
  abandon(reason: string): void {
    this.failure = reason;
    this.wire.destroy();
  }

  tick(now: number): void {
    if (this.state === LinkState.DEAD) return;
    if (this.state === LinkState.CONNECTING) {
      if (now >= this.connectBy) this.abandon("no connection within the time allowed");
      return;
    }
    if (this.connection.streams.size > 0) this.idleSince = now;
    const silent = this.keepalive.check(this.wire, now);
    if (silent) this.abandon("no answer to PING");
    else if (this.wire.isEnding && now - this.wire.lastWrite > 1_000) this.wire.destroy();
    else if (this.state === LinkState.READY && now >= this.expires) this.endpoint.linkExpired(this);
  }

  /** Milliseconds without a call. */
  idleFor(now: number): number {
    return this.connection.streams.size > 0 ? 0 : now - this.idleSince;
  }

  /** The service broke the protocol: the connection closes, and its end says why. */
  broken(rule: string, text: string): void {
    const hint = this.state === LinkState.CONNECTING ? " (does it speak HTTP/2 with prior knowledge?)" : "";
    this.failure = `${text}, ${rule}${hint}`;
    this.wire.endAfterFlush();
  }

  wireClosed(_wire: Wire, error: Error | null): void {
    const before = this.state;
    const useless = before === LinkState.READY && this.wasUseless(true);
    this.state = LinkState.DEAD;
    if (before === LinkState.READY) this.endpoint.linkEnded(useless);
    this.endpoint.linkClosed(this, before, this.failure || reasonOf(error));
  }
}

function reasonOf(error: Error | null): string {
  if (error === null) return "closed by the service";
  // OpenSSL's own sentence stands in a field; its message is a line of its error queue.
  const { reason } = error as { readonly reason?: string };
  return reason === undefined ? error.message : `TLS: ${reason}`;
}
