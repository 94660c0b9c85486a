// The life of a call between its two streams: where it begins, how it moves on when a service has not processed it, and
// how it ends. The events of the caller's side are in caller-events.ts, those of the service's in service-events.ts;
// both work on the Call and come back here. Must not know sockets. Runs a few times per call.

import type { Logger } from "pino";
import type { ReadBlock } from "../../shared/base/read-block.js";
import { openStream } from "../../shared/http2/open-stream.js";
import { ErrorCode, Flag } from "../../shared/http2/protocol.js";
import { resetStream } from "../../shared/http2/send-control.js";
import { giveCredit, sendData, sendEnd } from "../../shared/http2/send-data.js";
import { sendHeaderBlock } from "../../shared/http2/send-headers.js";
import type { Stream } from "../../shared/http2/stream.js";
import { State } from "../../shared/http2/stream-state.js";
import type { HealthState } from "../../shared/messages.js";
import type { Link } from "../upstream/link.js";
import type { TargetPool } from "../upstream/target-pool.js";
import type { CallRunner } from "../upstream/upstreams.js";
import { sendAnswer, sendStatusTrailers } from "./answer.js";
import { ANSWERS, type Answer } from "./answers.js";
import type { Call } from "./call.js";
import { HeldRequests } from "./held-request.js";
import { block as encodedBlock } from "./plan.js";
import type { Rules } from "./planner.js";

/** How often a call may move on unseen. */
const MAX_MOVES = 2;
/** What a stream that was answered early may still send before it is told to stop. */
const LINGER_BYTES = 65_536;
/** …and for how long, ms: the rest of a request is mostly on its way already. */
const LINGER_MS = 1_000;

/** A stream whose answer is complete while its request is not. */
interface Lingering {
  readonly stream: Stream;
  readonly until: number;
}

export class Relay implements CallRunner {
  readonly log: Logger;
  rules!: Rules;
  health!: HealthState;
  /** By route number, the pools of its targets in order. */
  pools: readonly (readonly TargetPool[])[] = [];
  /** By route number, whose turn it is. */
  turns: Int32Array = new Int32Array(0);
  held: HeldRequests = new HeldRequests(65_536, 8_388_608);
  calls = 0;
  private lingering: Lingering[] = [];

  constructor(log: Logger) {
    this.log = log;
  }

  /** Gives a new call to the next of its route's targets. */
  start(call: Call): void {
    this.calls++;
    const route = call.plan.route!.id;
    const pools = this.pools[route]!;
    if (pools.length > 1) call.target = this.turns[route] = (this.turns[route]! + 1) % pools.length;
    pools[call.target]!.give(call);
  }

  begin(call: Call, link: Link): void {
    const c = link.connection;
    const up = openStream(c);
    call.up = up;
    call.unprocessed = false;
    up.owner = call;
    up.peer = call.down;
    up.bodyless = call.plan.head;
    call.down.peer = up;
    const length = call.plan.outgoing[call.target]!.encode(c, call.volatile);
    const bare = call.heldBlock === null && call.requestTrailers === null;
    sendHeaderBlock(up, encodedBlock, length, call.requestEnded && bare);
    if (!bare) this.sendHeld(call, up);
  }

  /** Sends again, or at last, what was held of the request. */
  private sendHeld(call: Call, up: Stream): void {
    if (call.heldBlock !== null) {
      sendData(up, null, call.heldBlock, -1, call.heldStart, call.heldEnd, 0);
      if (call.heldMore !== null)
        for (const piece of call.heldMore) sendData(up, null, piece.block, -1, piece.start, piece.end, 0);
    }
    if (call.uncredited > 0) {
      giveCredit(call.down, call.uncredited, true);
      call.uncredited = 0;
    }
    if (call.requestTrailers !== null) this.sendRequestTrailers(call, up);
    else if (call.requestEnded) sendEnd(up);
  }

  sendRequestTrailers(call: Call, up: Stream): void {
    const send = (): void => {
      const { encoder } = up.connection;
      const fields = call.requestTrailers!;
      const length = encoder.encode(fields, fields.length);
      sendHeaderBlock(up, encoder.out, length, true);
    };
    if (up.queue === null) send();
    else up.queue.trailers = send;
  }

  /** DATA of a call that has no upstream stream yet. */
  holdBack(call: Call, block: ReadBlock, start: number, end: number, ends: boolean): void {
    if (this.held.hold(call, block, start, end)) {
      call.uncredited += end - start;
      if (ends) call.requestEnded = true;
    } else this.fail(call, ANSWERS.overloaded);
  }

  unreachable(call: Call, answer: Answer): void {
    if (!this.move(call)) this.fail(call, answer);
  }

  /** The call goes to another target or connection, if it may. @returns false when it may not */
  move(call: Call): boolean {
    if (call.responded || call.heldLost || call.moves >= MAX_MOVES || call.finished) return false;
    call.moves++;
    const pools = this.pools[call.plan.route!.id];
    // A configuration that came meanwhile may no longer know the route.
    if (pools === undefined || call.plan.version !== this.rules.version) return false;
    for (let i = 1; i <= pools.length; i++) {
      const target = (call.target + i) % pools.length;
      if (!pools[target]!.hopeful) continue;
      call.target = target;
      call.up = null;
      call.down.peer = null;
      pools[target]!.give(call);
      return true;
    }
    return false;
  }

  /** The gateway ends the call: with an answer where nothing was sent yet, with trailers or a reset otherwise. */
  fail(call: Call, answer: Answer, code: number = ErrorCode.INTERNAL_ERROR): void {
    if (call.finished) return;
    const { down, up } = call;
    const responded = call.responded;
    this.finish(call);
    if (up !== null) resetStream(up, ErrorCode.CANCEL);
    if (down.state === State.CLOSED) return;
    if (!responded) this.answer(down, answer, call.plan.grpc, call.plan.head);
    else if (call.plan.grpc && (call.meter === null || call.meter.atBoundary)) {
      sendStatusTrailers(down, answer);
      this.linger(down);
    } else resetStream(down, code);
  }

  /** A stream of its own, never proxied, gets `answer`. */
  answer(down: Stream, answer: Answer, grpc: boolean, head: boolean): void {
    sendAnswer(down, answer, grpc, head, this.rules.generator);
    this.linger(down);
  }

  /**
   * The reply is complete and the request is not: the caller is told to stop with NO_ERROR (RFC 9113 section 8.1), but
   * not before what is on its way had time to come, so that a malformed rest still gets its own error.
   */
  linger(down: Stream): void {
    down.peer = null;
    if (down.state === State.CLOSED || down.state === State.HALF_CLOSED_REMOTE) return;
    this.lingering.push({ stream: down, until: down.connection.shared.clock.now + LINGER_MS });
  }

  /** DATA of a stream that was answered already: thrown away, up to a point. */
  discard(down: Stream, length: number, flags: number): void {
    if ((flags & Flag.END_STREAM) !== 0) return;
    if (down.received > LINGER_BYTES && down.queue === null) resetStream(down, ErrorCode.NO_ERROR);
    else giveCredit(down, length, false);
  }

  tick(now: number): void {
    if (this.lingering.length === 0) return;
    this.lingering = this.lingering.filter(({ stream, until }) => {
      if (stream.state === State.CLOSED) return false;
      if (now < until) return true;
      if (stream.queue === null) resetStream(stream, ErrorCode.NO_ERROR);
      else stream.queue.resetAfter = ErrorCode.NO_ERROR;
      return false;
    });
  }

  /** Nothing more happens to the call; its streams may still have something to send. */
  finish(call: Call): void {
    if (call.finished) return;
    call.finished = true;
    call.waitingAt = null;
    this.calls--;
    if (call.heldBlock !== null) this.held.release(call);
    call.down.owner = null;
  }
}
