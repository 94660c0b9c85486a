// The life of a call between its two streams: where it begins, how it moves on when a service has not processed it, and
// how it ends. The events of the caller's side are in caller-events.ts, those of the service's in service-events.ts;
// both work on the Call and come back here. Must not know sockets. Runs a few times per call.

import type { Logger } from "pino";
import type { ReadBlock } from "../../shared/base/read-block.js";
import { openStream } from "../../shared/http2/open-stream.js";
import { ErrorCode, Flag } from "../../shared/http2/protocol.js";
import { resetStream } from "../../shared/http2/send-control.js";
import { giveCredit, sendData } from "../../shared/http2/send-data.js";
import { sendHeaderBlock } from "../../shared/http2/send-headers.js";
import type { Stream } from "../../shared/http2/stream.js";
import { State } from "../../shared/http2/stream-state.js";
import type { HealthState } from "../../shared/messages.js";
import type { Turn } from "../net/turn.js";
import type { Link } from "../upstream/link.js";
import type { CallRunner } from "../upstream/upstreams.js";
import type { Admission } from "./admission.js";
import { sendAnswer, sendStatusTrailers } from "./answer.js";
import { ANSWERS, type Answer } from "./answers.js";
import type { Call } from "./call.js";
import { HeldRequests } from "./held-request.js";
import { block as encodedBlock } from "./outgoing.js";
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
  held: HeldRequests = new HeldRequests(65_536, 8_388_608);
  /** Set while some API has a gate. */
  admission: Admission | null = null;
  calls = 0;
  private lingering: Lingering[] = [];
  private readonly starting: Call[] = [];
  private readonly turn: Turn;

  constructor(log: Logger, turn: Turn) {
    this.log = log;
    this.turn = turn;
  }

  /**
   * A new call: given to a target when the turn's reads are done. A caller that opens and resets streams in one breath
   * (CVE-2023-44487) so costs its service nothing, and what came of the request meanwhile leaves together.
   */
  start(call: Call): void {
    this.starting.push(call);
    this.turn.ask();
  }

  /** The reads of the turn are done: see Turn. */
  endOfReads(): void {
    const calls = this.starting;
    for (let i = 0; i < calls.length; i++) {
      const call = calls[i]!;
      if (call.finished || call.given) continue;
      try {
        this.give(call);
      } catch (error) {
        this.turn.onDefect(error);
        this.fail(call, ANSWERS.internal);
      }
    }
    calls.length = 0;
  }

  /** Gives the call to one of its route's targets. */
  private give(call: Call): void {
    call.given = true;
    const { targets } = call.prepared!;
    if (targets === null) this.fail(call, ANSWERS.noTargetPath);
    else targets.give(call);
  }

  again(call: Call): void {
    if (!call.finished) this.give(call);
  }

  begin(call: Call, link: Link): void {
    const c = link.connection;
    const outgoing = call.prepared!.outgoing[call.target]!;
    // A service may close the connection of all callers over a list above its bound.
    if (outgoing.sizeWith(call.volatile) > c.peerMaxHeaderList) return this.fail(call, ANSWERS.headersTooLarge);
    const up = openStream(c);
    call.up = up;
    call.unprocessed = false;
    up.owner = call;
    up.peer = call.down;
    up.bodyless = call.plan.head;
    call.down.peer = up;
    const length = outgoing.encode(c, call.volatile);
    const bare = call.heldBlock === null && call.requestTrailers === null;
    sendHeaderBlock(up, encodedBlock, length, call.requestEnded && bare);
    if (!bare) this.sendHeld(call, up);
  }

  /** Sends at last, or again, what was held of the request. */
  private sendHeld(call: Call, up: Stream): void {
    const end = call.requestEnded && call.requestTrailers === null ? Flag.END_STREAM : 0;
    const first = call.heldBlock;
    if (first !== null) {
      const more = call.heldMore;
      sendData(up, null, first, -1, call.heldStart, call.heldEnd, more === null ? end : 0);
      if (more !== null) {
        for (let i = 0; i < more.length; i++) {
          const piece = more[i]!;
          sendData(up, null, piece.block, -1, piece.start, piece.end, i === more.length - 1 ? end : 0);
        }
      }
    }
    // What still waits gives its credit when it leaves, a second time for what was credited before: taken off here.
    const waiting = up.queue === null ? 0 : up.queue.bytes;
    giveCredit(call.down, call.uncredited - waiting, true);
    call.uncredited = 0;
    if (call.requestTrailers !== null) this.sendRequestTrailers(call, up);
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
      return;
    }
    if (!call.given && call.prepared !== null && call.limits === null) this.give(call);
    if (call.finished) return;
    if (call.up === null) return this.fail(call, ANSWERS.overloaded);
    if (ends) call.requestEnded = true;
    sendData(call.up, call.down, block, -1, start, end, ends ? Flag.END_STREAM : 0);
  }

  unreachable(call: Call, answer: Answer): void {
    if (!this.move(call)) this.fail(call, answer);
  }

  /** The call goes to another target or connection, if it may. @returns false when it may not */
  move(call: Call): boolean {
    if (call.responded || call.heldLost || call.moves >= MAX_MOVES || call.finished) return false;
    call.moves++;
    call.up = null;
    call.down.peer = null;
    // The rules it began with: a configuration that came meanwhile is for later calls.
    return call.prepared!.targets!.move(call);
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
    else if (call.plan.grpc && !call.measured && (call.meter === null || call.meter.atBoundary)) {
      sendStatusTrailers(down, answer);
      this.linger(down);
    } else resetStream(down, code);
  }

  /** The coarse clock, ms. */
  get now(): number {
    return this.turn.clock.now;
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
    if (call.waiting !== null) call.waiting.leave();
    if (call.seat !== null) call.seat.balancer.ended(call);
    call.limits?.cancel();
    this.calls--;
    if (call.heldBlock !== null) this.held.release(call);
    call.down.owner = null;
  }
}
