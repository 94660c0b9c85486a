// What happens on the service's side: responses, their DATA and trailers, resets, GOAWAY and lost connections. Runs for
// every frame of a response.

import { ReadBlock } from "../../shared/base/read-block.js";
import { GrpcStatus, grpcStatusOfHttp, grpcStatusOfReset, parseGrpcStatus } from "../../shared/grpc/status.js";
import type { Connection, ConnectionEvents } from "../../shared/http2/connection.js";
import { FAULTS } from "../../shared/http2/faults.js";
import type { HeaderMemo } from "../../shared/http2/header-memo.js";
import type { Field } from "../../shared/http2/hpack/field.js";
import type { FieldList } from "../../shared/http2/hpack/field-list.js";
import { ErrorCode, Flag } from "../../shared/http2/protocol.js";
import { resetStream } from "../../shared/http2/send-control.js";
import { giveCredit, resetAfterQueue, sendData } from "../../shared/http2/send-data.js";
import { sendHeaderBlock, sendHeaderParts } from "../../shared/http2/send-headers.js";
import { Ended, type Stream } from "../../shared/http2/stream.js";
import { State } from "../../shared/http2/stream-state.js";
import type { Caller } from "../downstream/caller.js";
import { type BoundAnswer, tail } from "../transform/bound-change.js";
import type { Link } from "../upstream/link.js";
import { HealthCall } from "../upstream/probe.js";
import { ANSWERS } from "./answers.js";
import type { Call } from "./call.js";
import { Origin } from "./call-end.js";
import { MessageMeter, wholeMessages } from "./message-meter.js";
import { MessageScreen } from "./message-screen.js";
import type { RateFields } from "./rate-fields.js";
import type { Relay } from "./relay.js";
import { NO_PUSHBACK, readPushback } from "./retry.js";

/** Informational responses of one call; they are header blocks, which no window holds back. */
const MAX_INTERIM = 64;

export class ServiceEvents implements ConnectionEvents {
  private readonly relay: Relay;

  constructor(relay: Relay) {
    this.relay = relay;
  }

  headers(up: Stream, list: FieldList, memo: HeaderMemo | null, end: boolean): void {
    const call = up.owner as Call;
    if (call.finished) return healthCall(call)?.headers(list, end);
    if (list.overflow) {
      this.relay.fail(call, ANSWERS.responseTooLarge);
      return;
    }
    if (list.statusCode < 200 && ++call.interim > MAX_INTERIM) return this.relay.fail(call, ANSWERS.upstreamFault);
    if (list.statusCode >= 200) {
      call.httpStatus = list.statusCode;
      if (end && call.plan.rule !== null && this.triedAgain(call, list)) return;
      call.responded = true;
      call.measured = list.contentLength >= 0;
      if (call.heldBlock !== null) this.relay.held.release(call);
    }
    if (end) this.ends(call, list.grpcStatus);
    const session = call.decision === null ? null : call.decision.session;
    const { change } = call.plan;
    if (change !== null && change.answer !== null && list.statusCode >= 200)
      this.sendChanged(call, change.answer, list, memo, end);
    else if (session === null || list.statusCode < 200) sendList(call.down, list, memo, end);
    else this.sendWithRates(call, list, memo, end);
    if (end) this.complete(call, up);
  }

  /** A response that is nothing but a status may be one that the caller need not see. */
  private triedAgain(call: Call, list: FieldList): boolean {
    const retry = call.plan.rule!.retry;
    if (retry === null) return false;
    const status = statusOf(call, list.grpcStatus);
    return retry.covers(status) && this.relay.retry(call, status, readPushback(pushbackOf(list)));
  }

  private sendWithRates(call: Call, list: FieldList, memo: HeaderMemo | null, end: boolean): void {
    const { down } = call;
    // Encoding changes the table both sides share: only for a block that is sent.
    if (down.state === State.CLOSED) return;
    const c = down.connection;
    const { rates } = this.relay.admission!;
    rates.encode(call);
    if (rates.has(list)) {
      const fields = rates.without(list);
      const length = c.encoder.encode(fields, fields.length);
      sendHeaderParts(down, c.encoder.out, length, rates.block, end);
      return;
    }
    const base = blockFor(down, list, memo);
    sendHeaderParts(down, base, blockLength, rates.block, end);
  }

  /** A response whose definition changes its fields: what all calls get is encoded once, this call's own behind it. */
  private sendChanged(call: Call, answer: BoundAnswer, list: FieldList, memo: HeaderMemo | null, end: boolean): void {
    const { down } = call;
    if (down.state === State.CLOSED) return;
    const { encoder } = down.connection;
    const admission = call.decision === null || call.decision.session === null ? null : this.relay.admission;
    const rates = admission === null ? null : admission.rates;
    const ownRates = rates?.has(list) === true;
    const known = memo === null || ownRates ? null : answer.blocks.find(memo, encoder.generation);
    const tailLength = this.tailOf(call, answer, rates);
    const more = tail.subarray(0, tailLength);
    if (known !== null) return sendHeaderParts(down, known, known.length, more, end);
    const kept = ownRates ? rates.without(list) : list.fields;
    const fields = answer.changed(kept, ownRates ? kept.length : list.length);
    const length = encoder.encode(fields, fields.length);
    if (memo !== null && !ownRates && !encoder.lastInserted)
      answer.blocks.remember(memo, encoder.generation, encoder.out.slice(0, length));
    sendHeaderParts(down, encoder.out, length, more, end);
  }

  /** Leaves in `tail` what only this call gets, the values of its limits last. @returns its length */
  private tailOf(call: Call, answer: BoundAnswer, rates: RateFields | null): number {
    if (rates === null) return answer.tail(call, 0);
    rates.encode(call);
    const { block } = rates;
    const at = answer.tail(call, block.length);
    tail.set(block, at);
    return at + block.length;
  }

  trailers(up: Stream, list: FieldList, memo: HeaderMemo | null): void {
    const call = up.owner as Call;
    if (call.finished) return healthCall(call)?.judge(list);
    if (list.overflow) {
      this.relay.fail(call, ANSWERS.responseTooLarge);
      return;
    }
    const { down } = call;
    if (call.meter instanceof MessageScreen) passHeld(call, up, call.meter);
    this.ends(call, list.grpcStatus);
    if (down.queue === null) sendList(down, list, memo, true);
    else {
      // The list is only valid now; the block must be encoded when it is sent, because tables change in between.
      const fields = list.fields.slice(0, list.length) as Field[];
      down.queue.trailers = (): void => sendFields(down, fields, true);
    }
    this.complete(call, up);
  }

  data(up: Stream, block: ReadBlock, head: number, start: number, end: number, flags: number): void {
    const call = up.owner as Call;
    if (call.finished) return healthCall(call)?.data(block.buf.subarray(start, end), (flags & Flag.PADDED) !== 0);
    if (call.plan.grpc) {
      const limit = call.plan.rule === null ? null : call.plan.rule.response;
      if (limit !== null) {
        call.meter ??= new MessageScreen(limit);
        this.screened(call, up, call.meter as MessageScreen, block, start, end, flags);
        return;
      }
      if ((flags & Flag.PADDED) === 0) count(call, block.buf, start, end);
      else count(call, block.buf, start + 1, end - block.buf[start]!);
    }
    if ((flags & Flag.END_STREAM) !== 0) this.ends(call, null);
    sendData(call.down, up, block, head, start, end, flags);
    if ((flags & Flag.END_STREAM) !== 0) this.complete(call, up);
    else if (up.connection.shared.budget.exceeded) (call.down.connection.owner as Caller).shed();
  }

  /** DATA of a response whose messages are limited: see MessageScreen. */
  private screened(
    call: Call,
    up: Stream,
    screen: MessageScreen,
    block: ReadBlock,
    start: number,
    end: number,
    flags: number,
  ): void {
    const padded = (flags & Flag.PADDED) !== 0;
    const first = padded ? start + 1 : start;
    const last = padded ? end - block.buf[start]! : end;
    if (padded) giveCredit(up, end - start - (last - first), false);
    const { down } = call;
    const stop = screen.screen(block.buf, first, last);
    if (screen.over !== null) {
      if (stop > first) {
        passHeld(call, up, screen);
        sendData(down, up, block, -1, first, stop, 0);
      }
      return this.relay.fail(call, screen.over, ErrorCode.ENHANCE_YOUR_CALM);
    }
    const ends = (flags & Flag.END_STREAM) !== 0;
    const keeps = !ends && stop < last;
    // A prefix that began earlier is complete now, or will not be.
    if (stop > first || !keeps) passHeld(call, up, screen);
    if (ends) this.ends(call, null);
    if (!keeps) sendData(down, up, block, -1, first, last, ends ? Flag.END_STREAM : 0);
    else {
      if (stop > first) sendData(down, up, block, -1, first, stop, 0);
      screen.hold(block.buf, stop, last);
    }
    if (ends) this.complete(call, up);
    else if (up.connection.shared.budget.exceeded) (down.connection.owner as Caller).shed();
  }

  /** The response is complete. Said before its end is sent: the caller's stream may close with that. */
  private ends(call: Call, status: Field | null): void {
    this.relay.finish(call, Origin.SERVICE, statusOf(call, status), "");
  }

  /** Its end was given to the caller's stream, though it may still wait to be sent. */
  private complete(call: Call, up: Stream): void {
    const { down } = call;
    if (!call.requestEnded) {
      // RFC 9113 section 8.1: the rest of the request is of no use to anybody.
      if (down.state !== State.CLOSED) resetAfterQueue(down, ErrorCode.NO_ERROR);
      resetStream(up, ErrorCode.CANCEL);
    }
    if (down.queue === null) up.peer = null;
  }

  closed(up: Stream, how: number, code: number): void {
    const call = up.owner as Call;
    const link = up.connection.owner as Link;
    if (call.up === up && !call.finished) {
      this.relay.leave(call, up);
      call.uncredited += up.dropped;
      if (how === Ended.RESET_RECEIVED) this.resetByService(call, code);
      else if (how === Ended.RESET_SENT) this.relay.fail(call, ANSWERS.upstreamFault);
      else this.lost(call, up);
    }
    if (how === Ended.RESET_SENT) link.cancelled();
    if (call.up === null) healthCall(call)?.closed(how, code);
    if (link.endpoint.hasWaiting) link.endpoint.dispatch();
    if (link.connection.streams.size === 0) link.closeWhenIdle();
  }

  private resetByService(call: Call, code: number): void {
    if (code === ErrorCode.REFUSED_STREAM && !call.responded) {
      if (this.relay.move(call) || this.relay.retry(call, GrpcStatus.UNAVAILABLE, NO_PUSHBACK)) return;
      return this.relay.fail(call, ANSWERS.refused);
    }
    const { down } = call;
    const status = grpcStatusOfReset(code);
    if (this.relay.retry(call, status, NO_PUSHBACK)) return;
    // CANCEL and ENHANCE_YOUR_CALM are answers, the others are faults.
    const fault = status === GrpcStatus.INTERNAL || status === GrpcStatus.UNAVAILABLE;
    this.relay.finish(call, fault ? Origin.NETWORK : Origin.SERVICE, status, "service_reset");
    if (code === ErrorCode.NO_ERROR) resetAfterQueue(down, code);
    else resetStream(down, code);
  }

  /** The connection is gone. A request that never left, or that a GOAWAY excluded, was not processed. */
  private lost(call: Call, up: Stream): void {
    const left = up.connection.flights > up.headersFlight;
    if ((call.unprocessed || !left) && this.relay.move(call)) return;
    if (this.relay.retry(call, GrpcStatus.UNAVAILABLE, NO_PUSHBACK)) return;
    this.relay.fail(call, ANSWERS.upstreamLost);
  }

  settings(c: Connection): void {
    const link = c.owner as Link;
    link.opened();
    link.endpoint.dispatch();
  }

  goaway(c: Connection, last: number, code: number): void {
    const link = c.owner as Link;
    // After ours it is an answer: every reload that changes a target would read like a service that ends. And it is said
    // once: a service may send as many as it likes.
    const level = link.dismissed(last) ? "info" : "debug";
    this.relay.log[level]({ endpoint: link.endpoint.name, lastStream: last, code }, "service sent GOAWAY");
    for (const stream of c.streams.all()) {
      if (stream.id <= last) continue;
      (stream.owner as Call).unprocessed = true;
      c.close(stream, Ended.UNKNOWN, 0);
    }
    link.closeWhenIdle();
  }

  pong(): void {}

  wake(c: Connection): void {
    const link = c.owner as Link;
    link.endpoint.wake(link);
  }

  failed(c: Connection, fault: number): void {
    const link = c.owner as Link;
    const { section, text } = FAULTS[fault]!;
    // Logged with the end of the connection, once per outage while it cannot be established.
    link.broken(`RFC 9113 ${section}`, `the service broke the protocol: ${text}`);
  }
}

/** What the response says of the call; without a grpc-status what clients make of its HTTP status. */
function statusOf(call: Call, field: Field | null): number {
  if (field !== null) return parseGrpcStatus(field.value);
  return !call.plan.grpc && call.httpStatus < 400 ? GrpcStatus.OK : grpcStatusOfHttp(call.httpStatus);
}

/** DATA of a response whose messages are not limited. */
function count(call: Call, buf: Buffer, start: number, end: number): void {
  const whole = call.meter === null ? wholeMessages(buf, start, end) : -1;
  if (whole >= 0) call.responseMessages += whole;
  else {
    call.meter ??= new MessageMeter();
    call.meter.pass(buf, start, end);
  }
}

function pushbackOf(list: FieldList): string | null {
  for (let i = 0; i < list.length; i++) {
    const field = list.fields[i]!;
    if (field.name.text === "grpc-retry-pushback-ms") return field.value;
  }
  return null;
}

/** Passes on the beginning of a prefix that was kept back. */
function passHeld(call: Call, up: Stream, screen: MessageScreen): void {
  const n = screen.heldLength;
  if (n === 0) return;
  screen.heldLength = 0;
  sendData(call.down, up, new ReadBlock(Buffer.from(screen.held.subarray(0, n)), null), -1, 0, n, 0);
}

/** What stands where a call would when the gateway itself asks the service how it is; null for calls that have ended. */
function healthCall(call: Call): HealthCall | null {
  const owner: unknown = call;
  return owner instanceof HealthCall ? owner : null;
}

/** The length of what `blockFor` returned last. */
let blockLength = 0;

/** The list as the caller's connection gets it; valid until its encoder is used again. */
function blockFor(down: Stream, list: FieldList, memo: HeaderMemo | null): Uint8Array {
  const { encoder, owner } = down.connection;
  if (memo === null) {
    blockLength = encoder.encode(list.fields, list.length);
    return encoder.out;
  }
  const { blocks } = owner as Caller;
  const known = blocks.find(memo, encoder.generation);
  if (known !== null) {
    blockLength = known.length;
    return known;
  }
  blockLength = encoder.encode(list.fields, list.length);
  if (!encoder.lastInserted) blocks.remember(memo, encoder.generation, encoder.out.slice(0, blockLength));
  return encoder.out;
}

function sendList(down: Stream, list: FieldList, memo: HeaderMemo | null, ends: boolean): void {
  if (down.state === State.CLOSED) return;
  const block = blockFor(down, list, memo);
  sendHeaderBlock(down, block, blockLength, ends);
}

function sendFields(down: Stream, fields: readonly Field[], ends: boolean): void {
  const { encoder } = down.connection;
  const length = encoder.encode(fields, fields.length);
  sendHeaderBlock(down, encoder.out, length, ends);
}
