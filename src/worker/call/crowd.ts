// All callers' connections of one worker, and what is done to many of them at once: some are moved away, silent calls are timed out,
// what holds most memory is ended, and in the end everything. Must not know: how a connection came, what is served.
// Runs: a few times a second, and when memory or time is over; never per call.

import type { Logger } from "pino";
import { GrpcStatus } from "../../shared/grpc/status.js";
import type { Budget } from "../../shared/http2/budget.js";
import { ErrorCode } from "../../shared/http2/protocol.js";
import { resetStream } from "../../shared/http2/send-control.js";
import type { Stream } from "../../shared/http2/stream.js";
import type { Caller } from "../downstream/caller.js";
import { ANSWERS } from "./answers.js";
import type { Call } from "./call.js";
import type { Relay } from "./relay.js";

/** Over the budget streams end until so much of it is kept. */
const KEPT = 0.9;

export class Crowd {
  readonly callers = new Set<Caller>();
  private readonly relay: Relay;
  private readonly log: Logger;

  constructor(relay: Relay, log: Logger) {
    this.relay = relay;
    this.log = log;
  }

  /** Any of those that do something: which of them is busy changes, and moving an idle one is of no use. */
  move(connections: number): void {
    const active = [...this.callers].filter((caller) => caller.connection.streams.size > 0);
    for (let n = 0; n < connections && active.length > 0; n++) {
      const [caller] = active.splice(Math.floor(Math.random() * active.length), 1);
      caller?.drain();
    }
  }

  /** `stream_idle_timeout`: calls that neither side says anything on for `limit` ms. */
  endSilentCalls(now: number, limit: number): void {
    for (const caller of this.callers) {
      for (const stream of caller.connection.streams.all()) {
        const call = stream.owner as Call | null;
        // Whoever watches the gateway's health is told changes, and those are rare.
        if (call === null || call.plan.healthMethod !== null) continue;
        const active = Math.max(stream.lastActive, call.up?.lastActive ?? 0);
        if (now - active > limit) this.relay.timeOut(call, ANSWERS.idle);
      }
    }
  }

  /** Over the budget for slow receivers: the streams that hold most end until it is kept. */
  shed(budget: Budget): void {
    const holders: { stream: Stream; held: number }[] = [];
    for (const caller of this.callers) {
      for (const stream of caller.connection.streams.all()) {
        const up = (stream.owner as Call | null)?.up ?? null;
        const held = (stream.queue?.pinned ?? 0) + (up?.queue?.pinned ?? 0);
        if (held > 0) holders.push({ stream, held });
      }
    }
    holders.sort((a, b) => b.held - a.held);
    for (const { stream, held } of holders) {
      if (budget.held <= budget.limit * KEPT) return;
      this.log.warn({ held }, "call ended: the worker holds too much for slow receivers");
      const call = stream.owner as Call | null;
      if (call === null || call.control !== null) resetStream(stream, ErrorCode.ENHANCE_YOUR_CALM);
      else this.relay.cut(call, GrpcStatus.RESOURCE_EXHAUSTED, ANSWERS.overloaded.id, ErrorCode.ENHANCE_YOUR_CALM);
    }
  }

  /** The time is over: what still runs is told so, and goes. */
  endEverything(): void {
    for (const caller of [...this.callers]) {
      for (const stream of caller.connection.streams.all()) {
        const call = stream.owner as Call | null;
        if (call !== null) this.relay.fail(call, ANSWERS.shuttingDown, ErrorCode.CANCEL);
      }
      caller.end();
    }
  }
}
