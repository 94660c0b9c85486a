// The life of a call between its two streams: where it begins, how it moves on when a service has not processed it, and
// how it ends. The events of the caller's side are in caller-events.ts, those of the service's in service-events.ts;
// both work on the Call and come back here. Must not know sockets. Runs a few times per call.

import type { Logger } from "pino";
import type { ReadBlock } from "../../shared/base/read-block.js";
import { GrpcStatus } from "../../shared/grpc/status.js";
import { openStream } from "../../shared/http2/open-stream.js";
import { ErrorCode, Flag } from "../../shared/http2/protocol.js";
import { resetStream } from "../../shared/http2/send-control.js";
import { giveCredit, sendData } from "../../shared/http2/send-data.js";
import { sendHeaderBlock } from "../../shared/http2/send-headers.js";
import type { Stream } from "../../shared/http2/stream.js";
import { State } from "../../shared/http2/stream-state.js";
import type { HealthState } from "../../shared/messages.js";
import { type Ejection, Outcome } from "../balance/ejection.js";
import type { Turn } from "../net/turn.js";
import type { Link } from "../upstream/link.js";
import type { CallRunner } from "../upstream/upstreams.js";
import type { Admission } from "./admission.js";
import { sendAnswer, sendStatusTrailers } from "./answer.js";
import { ANSWERS, type Answer } from "./answers.js";
import { REFUSED } from "./breaker.js";
import type { Call } from "./call.js";
import { type AttemptWatcher, blameOf, type CallWatcher, isLate, Origin } from "./call-end.js";
import type { CallRule } from "./call-rules.js";
import { type CallTracer, block as tracedBlock, withField } from "./call-trace.js";
import { Deadlines } from "./deadlines.js";
import { callerTimeout, block as departing, encodeDeparture } from "./departure.js";
import { HeldRequests } from "./held-request.js";
import type { OwnHealth } from "./local-exchange.js";
import { block as encodedBlock } from "./outgoing.js";
import type { Rules } from "./planner.js";
import { NO_PUSHBACK } from "./retry.js";

/** How often a call may move on unseen. */
const MAX_MOVES = 2;
/** What a stream that was answered early may still send before it is told to stop. */
const LINGER_BYTES = 65_536;
/** …and for how long, ms: the rest of a request is mostly on its way already. */
const LINGER_MS = 1_000;

/**
 * A week: a deadline further away is the service's to keep. It also keeps times within small integers, so that one caller
 * with a huge deadline does not make the records of all calls larger.
 */
const LONGEST_MS = 604_800_000;

/** What we may add to a call's header list, as SETTINGS_MAX_HEADER_LIST_SIZE counts it: two fields with numbers. */
const OUR_FIELDS = 128;

/** A stream whose answer is complete while its request is not. */
interface Lingering {
  readonly stream: Stream;
  readonly until: number;
}

/** What the end of a stay says about the address: as for breakers, but which statuses count is the operator's choice. */
function outcomeOf(call: Call, ejection: Ejection, origin: number, status: number): number {
  if (origin === Origin.NETWORK) return Outcome.FAILURE;
  const asked = call.timeoutMs > 0 && !isLate(call) && status === GrpcStatus.DEADLINE_EXCEEDED;
  // With a deadline of its own any caller could put a target out for everybody, whoever keeps it.
  if (origin === Origin.SERVICE) return asked ? Outcome.NONE : ejection.outcomeOf(status);
  // A target that answers nothing within the operator's bound.
  const late = isLate(call) && status === GrpcStatus.DEADLINE_EXCEEDED;
  return late && ejection.outcomeOf(status) === Outcome.FAILURE ? Outcome.FAILURE : Outcome.NONE;
}

export class Relay implements CallRunner {
  readonly log: Logger;
  rules!: Rules;
  health!: HealthState;
  held: HeldRequests = new HeldRequests(65_536, 8_388_608);
  /** Set while some API has a gate. */
  admission: Admission | null = null;
  calls = 0;
  /** Answers for the gateway itself where no API does; null where nobody does. */
  ownHealth: OwnHealth | null = null;
  /** Decides which calls are traced; null while none is. */
  tracer: CallTracer | null = null;
  /** Told of every end of a call. */
  watcher: CallWatcher | null = null;
  /** Told what came of every stay at a connection. */
  attempts: AttemptWatcher | null = null;
  readonly deadlines: Deadlines;
  /** Calls of this turn that must keep a time. */
  private readonly dated: Call[] = [];
  private lingering: Lingering[] = [];
  private readonly starting: Call[] = [];
  private readonly turn: Turn;

  constructor(log: Logger, turn: Turn) {
    this.log = log;
    this.turn = turn;
    this.deadlines = new Deadlines(
      () => turn.begin(),
      (call) => this.due(call),
    );
  }

  /** A new call that must keep a time. @returns false when it was answered already */
  date(call: Call): boolean {
    let ms = callerTimeout(call.plan, call.volatile);
    if (ms < 0) {
      this.fail(call, ANSWERS.badTimeout);
      return false;
    }
    const { rule } = call.plan;
    if (rule !== null && rule.boundMs > 0 && rule.boundMs < ms) {
      ms = rule.boundMs;
      call.bounded = true;
    }
    if (ms === 0) {
      this.fail(call, ANSWERS.deadline);
      return false;
    }
    if (ms > LONGEST_MS) return true;
    call.timeoutMs = ms;
    this.dated.push(call);
    this.turn.ask();
    return true;
  }

  /**
   * A new call: given to a target when the turn's reads are done. A caller that opens and resets streams in one breath
   * (CVE-2023-44487) so costs its service nothing, and what came of the request meanwhile leaves together.
   */
  start(call: Call): void {
    if (call.plan.change !== null) call.plan.change.fill(call);
    this.starting.push(call);
    this.turn.ask();
  }

  /** The reads of the turn are done: see Turn. */
  endOfReads(): void {
    if (this.dated.length > 0) this.arm();
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

  /**
   * Deadlines count from here: everything that was read in this turn had been sent by now, so none is met early. One
   * look at the clock serves all calls of the turn.
   */
  private arm(): void {
    const now = Math.ceil(performance.now());
    for (const call of this.dated) {
      if (call.finished) continue;
      call.deadline = now + call.timeoutMs;
      this.deadlines.put(call, call.deadline, now);
    }
    this.dated.length = 0;
  }

  private due(call: Call): void {
    try {
      if (call.waitsToRetry) this.resume(call);
      else this.expire(call);
    } catch (error) {
      this.turn.onDefect(error);
      this.fail(call, ANSWERS.internal);
    }
  }

  /** The call's time is over. */
  private expire(call: Call): void {
    const waiting = call.up === null;
    this.timeOut(call, call.bounded ? ANSWERS.hardTimeout : waiting ? ANSWERS.deadlineWaiting : ANSWERS.deadline);
  }

  /** A time of the call is over: it ends with `answer`, unless its caller does not read what is there already. */
  timeOut(call: Call, answer: Answer): void {
    const { queue } = call.down;
    if (queue === null || queue.bytes === 0) this.fail(call, answer, ErrorCode.CANCEL);
    else this.cut(call, answer.grpc, answer.id, ErrorCode.CANCEL);
  }

  /** Ends the call without an answer: trailers would stand behind what the caller does not read, and keep it in memory. */
  cut(call: Call, status: number, reason: string, code: number): void {
    const { down, up } = call;
    this.finish(call, Origin.GATEWAY, status, reason);
    if (up !== null) resetStream(up, ErrorCode.CANCEL);
    resetStream(down, code);
  }

  /** What the call's rule has to say before it goes out. */
  private mayGo(call: Call, rule: CallRule): boolean {
    if (rule.retry !== null && call.attempts === 1) rule.retry.count(this.now);
    if (rule.breaker === null) return true;
    const ticket = rule.breaker.admit(this.now);
    if (ticket !== REFUSED) {
      call.ticket = ticket;
      return true;
    }
    this.fail(call, ANSWERS.circuitOpen);
    return false;
  }

  /** Gives the call to one of its route's targets. */
  private give(call: Call): void {
    const first = !call.given;
    call.given = true;
    const { rule } = call.plan;
    if (first && rule !== null && !this.mayGo(call, rule)) return;
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
    const { trace } = call;
    const ours = (call.bounded || call.attempts > 1 ? OUR_FIELDS : 0) + (trace === null ? 0 : OUR_FIELDS);
    if (outgoing.sizeWith(call.volatile) + ours > c.peerMaxHeaderList) return this.fail(call, ANSWERS.headersTooLarge);
    const up = openStream(c);
    call.up = up;
    call.link = link;
    call.unprocessed = false;
    up.owner = call;
    up.peer = call.down;
    up.bodyless = call.plan.head;
    call.down.peer = up;
    const plain = !call.plan.timed && call.attempts === 1;
    const length = plain ? outgoing.encode(c, call.volatile) : encodeDeparture(call, outgoing, c, this.now);
    const bare = call.heldBlock === null && call.requestTrailers === null;
    const ends = call.requestEnded && bare;
    const block = plain ? encodedBlock : departing;
    if (trace === null || trace.field === null) sendHeaderBlock(up, block, length, ends);
    else {
      const longer = withField(block, length, trace.field);
      sendHeaderBlock(up, tracedBlock, longer, ends);
    }
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
    // It cannot be held any longer, so it goes now.
    if (call.waitsToRetry) this.resume(call);
    else if (!call.given && call.prepared !== null && call.limits === null) this.give(call);
    if (call.finished) return;
    if (call.up === null) return this.fail(call, ANSWERS.overloaded);
    if (ends) call.requestEnded = true;
    sendData(call.up, call.down, block, -1, start, end, ends ? Flag.END_STREAM : 0);
  }

  unreachable(call: Call, answer: Answer): void {
    if (!this.move(call) && !this.retry(call, answer.grpc, NO_PUSHBACK)) this.fail(call, answer);
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

  /**
   * The call is tried again a little later, if its rule covers `status`: nothing of the failed attempt is shown to the
   * caller. @returns false when it may not be
   */
  retry(call: Call, status: number, pushback: number): boolean {
    const retry = call.plan.rule === null ? null : call.plan.rule.retry;
    if (retry === null || !retry.covers(status) || call.attempts >= retry.maxAttempts) return false;
    if (call.responded || call.heldLost || call.finished || !call.plan.grpc) return false;
    const wait = retry.delay(call.attempts, pushback);
    const now = Math.ceil(performance.now());
    if (wait < 0 || (call.deadline > 0 && now + wait >= call.deadline) || !retry.take(this.now)) return false;
    const { up } = call;
    if (up !== null) {
      this.leave(call, up);
      if (up.state !== State.CLOSED) resetStream(up, ErrorCode.CANCEL);
      call.uncredited += up.dropped;
    }
    this.settle(call, Origin.SERVICE, status);
    call.link = null;
    call.attempts++;
    call.interim = 0;
    call.waitsToRetry = true;
    this.deadlines.put(call, now + wait, now);
    return true;
  }

  /** The wait before a retry is over. */
  private resume(call: Call): void {
    call.waitsToRetry = false;
    if (call.deadline > 0) this.deadlines.put(call, call.deadline, this.now);
    else this.deadlines.remove(call);
    call.given = false;
    this.give(call);
  }

  /** The call and its stream towards a service part. */
  leave(call: Call, up: Stream): void {
    call.responseBytes += up.received;
    call.up = null;
    call.down.peer = null;
    up.peer = null;
  }

  /** The gateway ends the call: with an answer where nothing was sent yet, with trailers or a reset otherwise. */
  fail(call: Call, answer: Answer, code: number = ErrorCode.INTERNAL_ERROR): void {
    if (call.finished) return;
    const { down, up } = call;
    const responded = call.responded;
    this.finish(call, answer.network === true ? Origin.NETWORK : Origin.GATEWAY, answer.grpc, answer.id);
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

  /**
   * Nothing more happens to the call; its streams may still have something to send. The one place that knows how it
   * ended: see call-end.ts for the arguments.
   */
  finish(call: Call, origin: number = Origin.GATEWAY, status: number = GrpcStatus.UNKNOWN, reason = ""): void {
    if (call.finished) return;
    call.finished = true;
    if (call.waiting !== null) call.waiting.leave();
    call.limits?.cancel();
    if (call.slot >= 0) this.deadlines.remove(call);
    this.settle(call, origin, status);
    // Requests for the control API and for our own health are of no API.
    if (this.watcher !== null && call.plan.route !== null) this.watcher.ended(call, origin, status, reason);
    call.link = null;
    this.calls--;
    if (call.heldBlock !== null) this.held.release(call);
    call.down.owner = null;
  }

  /** What came of the call at a connection, or on the way to one. */
  private settle(call: Call, origin: number, status: number): void {
    const { link, seat } = call;
    if (seat !== null) {
      const { balancer } = seat;
      if (balancer.ejection !== null) call.outcome = outcomeOf(call, balancer.ejection, origin, status);
      balancer.ended(call);
      call.seat = null;
    }
    if (call.up !== null) call.responseBytes += call.up.received;
    if (call.ticket >= 0) {
      call.plan.rule!.breaker!.settle(call.ticket, blameOf(call, origin, status), this.now);
      call.ticket = -1;
    }
    if (this.attempts !== null && (link !== null || origin === Origin.NETWORK)) {
      this.attempts.attempted(call, link, origin, status);
    }
  }
}
