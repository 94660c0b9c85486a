// One caller's connection: an accepted socket that turns out to speak HTTP/2 (or, for health checks, HTTP/1.1), its
// timeouts and its end. Must not know routes or services. Runs once per connection, per tick and per ended stream.

import type { ReadBlockPool } from "../../shared/base/read-block.js";
import { Connection, type ConnectionEvents, type EngineShared } from "../../shared/http2/connection.js";
import { FAULTS, Fault } from "../../shared/http2/faults.js";
import type { EngineLimits } from "../../shared/http2/limits.js";
import { MAX_STREAM_ID } from "../../shared/http2/protocol.js";
import { endAdmission, sendOpening, startDrain } from "../../shared/http2/send-control.js";
import { BlockCache } from "../call/block-cache.js";
import { PlanCache } from "../call/plan-cache.js";
import type { Origin } from "../call/planner.js";
import { Keepalive } from "../net/keepalive.js";
import { Speech, speechOf } from "../net/sniff.js";
import type { Turn } from "../net/turn.js";
import { Wire, type WireOwner } from "../net/wire.js";
import { Http1Stream } from "./http1-stream.js";
import { Residence, type ResidenceLimits } from "./residence.js";
import type { Transport } from "./transport.js";

/** How long the drain's PING may stay unanswered before new streams are no longer awaited, ms. */
const DRAIN_PATIENCE = 2_000;
/** How long a peer may take to close its side after ours is closed, ms. */
const CLOSE_PATIENCE = 1_000;

/** What callers are served with; durations in ms. */
export interface CallerOptions {
  readonly readTimeout: number;
  readonly writeTimeout: number;
  readonly keepaliveTime: number;
  readonly keepaliveTimeout: number;
  readonly residence: ResidenceLimits;
}

export interface CallerContext {
  readonly turn: Turn;
  readonly pools: readonly ReadBlockPool[];
  readonly engine: EngineShared;
  readonly events: ConnectionEvents;
  limits: EngineLimits;
  options: CallerOptions;
  /** Serves HTTP/1.1 on a stream. */
  serveHttp1(stream: Http1Stream, port: number): void;
  callerFailed(caller: Caller, fault: number): void;
  callerClosed(caller: Caller): void;
  /** The worker holds more than its budget for slow receivers. */
  shed(): void;
}

export class Caller implements WireOwner {
  readonly wire: Wire;
  readonly connection: Connection;
  readonly origin: Origin;
  readonly plans = new PlanCache();
  readonly blocks = new BlockCache();
  private readonly context: CallerContext;
  private readonly keepalive: Keepalive;
  private speech: number = Speech.UNKNOWN;
  private heard = 0;
  private http1: Http1Stream | null = null;
  /** The handshake has said which protocol is spoken. */
  private readonly negotiated: boolean;
  private drainBy = -1;
  /** Frame count at which the parser stood in the middle of something, and since when. */
  private stuckAt = -1;
  private stuckSince = 0;
  readonly born: number;
  /** The setting whose time ran out where the gateway cut the connection; empty where it ended otherwise. */
  cutBy = "";
  private readonly residence: Residence;
  private queuedBefore = 0;

  constructor(transport: Transport, port: number, context: CallerContext) {
    this.context = context;
    this.born = context.turn.clock.now;
    this.residence = new Residence(this.born);
    this.keepalive = new Keepalive(context.options.keepaliveTime, context.options.keepaliveTimeout);
    const wire = new Wire(context.turn, context.pools, this);
    this.wire = wire;
    this.connection = new Connection(true, context.limits, context.engine, context.events);
    this.connection.owner = this;
    wire.connection = this.connection;
    const socket = transport.open(transport.secure ? () => wire.nextBuffer() : () => wire.changedBuffer(), (n) =>
      this.onRead(n),
    );
    wire.socket = socket;
    wire.direct = !transport.secure;
    socket.setNoDelay(true);
    socket.on("error", (error) => wire.onError(error));
    socket.on("close", () => wire.onClose());
    const { peer, secure } = transport;
    this.origin = { port, address: plainAddress(socket.remoteAddress ?? ""), secure, peer };
    this.negotiated = secure;
    if (transport.protocol === "h2") {
      this.speech = Speech.HTTP2;
      sendOpening(this.connection);
    }
  }

  /** For those that look at it from outside; empty while nothing has been said. */
  get protocol(): string {
    if (this.speech === Speech.HTTP2) return "h2";
    return this.http1 === null ? "" : "http/1.1";
  }

  get draining(): boolean {
    return this.drainBy >= 0;
  }

  private onRead(n: number): boolean {
    if (this.speech === Speech.HTTP2) return this.wire.onRead(n);
    if (this.http1 !== null) return this.http1.feed(Buffer.from(this.wire.consume(n)));
    return this.listen(n);
  }

  /** The first octets: whoever speaks HTTP/1.1 is served for its health checks, all else is held to HTTP/2. */
  private listen(n: number): boolean {
    const seen = this.wire.peek(this.heard + n, this.heard);
    const speech = speechOf(seen);
    if (speech === Speech.UNKNOWN) {
      this.heard += n;
      this.wire.keep(n);
      return true;
    }
    this.speech = speech;
    if (speech === Speech.HTTP2) {
      // Inside TLS it is chosen in the handshake or not at all (RFC 9113 section 3.2).
      if (this.negotiated) {
        this.wire.destroy();
        return false;
      }
      sendOpening(this.connection);
      if (this.drainBy >= 0) this.drainLate();
      return this.wire.onRead(n, this.heard);
    }
    const stream = new Http1Stream(this.wire.socket);
    this.http1 = stream;
    const first = Buffer.from(seen);
    this.wire.consume(n);
    this.context.serveHttp1(stream, this.origin.port);
    return stream.feed(first);
  }

  /** It speaks after it was to be drained: the calls that it begins with are served. */
  private drainLate(): void {
    this.drainBy = this.context.turn.clock.now + DRAIN_PATIENCE;
    startDrain(this.connection);
  }

  wake(): void {
    this.context.turn.add(this.wire);
  }

  shed(): void {
    this.context.shed();
  }

  failed(fault: number): void {
    this.context.callerFailed(this, fault);
    this.wire.endAfterFlush();
  }

  /** A stream has ended: a draining connection may be done. */
  streamClosed(): void {
    const c = this.connection;
    if (this.drainBy < 0 || c.dead || c.streams.size > 0 || c.goawayLast === MAX_STREAM_ID) return;
    this.wire.endAfterFlush();
  }

  /** Calls go on; new ones are asked to go elsewhere. @param hearUntil so long one that has said nothing may speak */
  drain(hearUntil = 0): void {
    if (this.drainBy >= 0) return;
    const { now } = this.context.turn.clock;
    this.drainBy = now + DRAIN_PATIENCE;
    if (this.speech === Speech.HTTP2) startDrain(this.connection);
    else this.http1?.finish();
    if (this.speech !== Speech.UNKNOWN) return;
    if (hearUntil <= now) this.wire.destroy();
    else this.drainBy = hearUntil;
  }

  /** The time for calls is over: what was said leaves, then the connection closes. */
  end(): void {
    if (this.speech === Speech.UNKNOWN) return this.wire.destroy();
    if (this.speech === Speech.HTTP2 && !this.connection.dead) {
      startDrain(this.connection);
      endAdmission(this.connection);
    }
    this.wire.endAfterFlush();
  }

  tick(now: number): void {
    const c = this.connection;
    const { wire } = this;
    // Whoever is known by a certificate is known as long as it is valid.
    if (this.origin.peer !== null && this.drainBy < 0 && Date.now() > this.origin.peer.notAfter) this.drain();
    if (wire.isEnding || c.dead) {
      if (now - wire.lastWrite > CLOSE_PATIENCE) wire.destroy();
      return;
    }
    if (this.writeStalled(now)) return this.cut("write_timeout");
    if (this.headerStalled(now)) return this.giveUp();
    if (this.speech !== Speech.HTTP2) {
      if (this.drainBy >= 0 && now >= this.drainBy) this.hurry();
      return;
    }
    if (this.keepalive.check(wire, now)) return this.cut("keepalive_timeout");
    if (
      this.drainBy < 0 &&
      this.residence.isOver(now, c.lastPeerStream, c.streams.size, this.context.options.residence)
    )
      this.drain();
    if (this.drainBy >= 0 && now >= this.drainBy) {
      endAdmission(c);
      this.streamClosed();
    }
  }

  /** Its calls end with the socket, and are told by then whose time it was. */
  private cut(setting: string): void {
    this.cutBy = setting;
    this.wire.destroy();
  }

  /** It was heard for long enough. */
  private hurry(): void {
    if (this.http1 === null) this.wire.destroy();
    else this.http1.finish();
  }

  private writeStalled(now: number): boolean {
    const { connection, wire } = this;
    if (!connection.output.inFlight) return false;
    const queued = wire.queued;
    if (queued !== this.queuedBefore) {
      this.queuedBefore = queued;
      wire.lastWrite = now;
    }
    return this.context.options.writeTimeout > 0 && now - wire.lastWrite > this.context.options.writeTimeout;
  }

  /** Says why where the caller speaks HTTP/2, and closes. */
  private giveUp(): void {
    if (this.speech !== Speech.HTTP2) this.wire.destroy();
    else this.connection.fail(this.connection.settingsSeen ? Fault.HEADER_TIMEOUT : Fault.SETTINGS_TIMEOUT);
  }

  /** The preface, a header block or a control frame that does not come to its end. */
  private headerStalled(now: number): boolean {
    const c = this.connection;
    const { readTimeout } = this.context.options;
    if (readTimeout === 0) return false;
    if (this.http1 !== null) return false;
    if (!c.settingsSeen) return now - this.born > readTimeout;
    if (c.blockStream === 0 && c.carried === 0) {
      this.stuckAt = -1;
      return false;
    }
    const at = c.blockStream !== 0 ? c.blockStream : c.frames;
    if (at !== this.stuckAt) {
      this.stuckAt = at;
      this.stuckSince = now;
    }
    return now - this.stuckSince > readTimeout;
  }

  wireClosed(_wire: Wire, error: Error | null): void {
    this.http1?.gone(error);
    this.context.callerClosed(this);
  }

  /** Why the connection ended, for the log. */
  static describe(fault: number): { rule: string; text: string } {
    const row = FAULTS[fault] ?? FAULTS[Fault.NONE]!;
    return { rule: row.section === "" ? "" : `RFC 9113 ${row.section}`, text: row.text };
  }
}

/** IPv4 addresses that a dual-stack socket shows as IPv6 are written as IPv4. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}
