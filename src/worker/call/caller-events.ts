// What happens on the caller's side: requests, their DATA and trailers, and callers that go away. Runs for every frame
// of a request.

import type { ReadBlock } from "../../shared/base/read-block.js";
import { isGrpcContentType } from "../../shared/grpc/content-type.js";
import { GrpcStatus } from "../../shared/grpc/status.js";
import type { Connection, ConnectionEvents } from "../../shared/http2/connection.js";
import { Fault } from "../../shared/http2/faults.js";
import type { HeaderMemo } from "../../shared/http2/header-memo.js";
import type { Field } from "../../shared/http2/hpack/field.js";
import type { FieldList } from "../../shared/http2/hpack/field-list.js";
import { ErrorCode, Flag } from "../../shared/http2/protocol.js";
import { resetStream } from "../../shared/http2/send-control.js";
import { giveCredit, sendData } from "../../shared/http2/send-data.js";
import { Ended, type Stream } from "../../shared/http2/stream.js";
import { State } from "../../shared/http2/stream-state.js";
import type { Caller } from "../downstream/caller.js";
import { sendText } from "./answer.js";
import { ANSWERS } from "./answers.js";
import { Call } from "./call.js";
import { Origin } from "./call-end.js";
import { ControlRequest } from "./control-request.js";
import { MessageMeter, wholeMessages } from "./message-meter.js";
import { MessageScreen } from "./message-screen.js";
import type { Plan } from "./plan.js";
import { makePlan } from "./planner.js";
import type { Relay } from "./relay.js";

const NOTHING = Buffer.alloc(0);

export class CallerEvents implements ConnectionEvents {
  private readonly relay: Relay;

  constructor(relay: Relay) {
    this.relay = relay;
  }

  headers(down: Stream, list: FieldList, memo: HeaderMemo | null, end: boolean): void {
    const c = down.connection;
    if (list.overflow) {
      const grpc = list.contentType !== null && isGrpcContentType(list.contentType.value);
      this.relay.answer(down, ANSWERS.headersTooLarge, grpc, false);
      return;
    }
    const plan = this.planFor(c, list, memo);
    if (plan.control) {
      this.askPrimary(down, plan, list, end);
      return;
    }
    if (plan.route === null) {
      if (plan.healthMethod === null || this.relay.ownHealth === null) this.answerLocally(down, plan);
      else this.answerHealth(down, plan, list, end);
      return;
    }
    const call = new Call(down, plan, plan.volatileOf(list), end);
    down.owner = call;
    this.relay.calls++;
    if (this.relay.tracer !== null) this.relay.tracer.begin(call);
    if (plan.timed && !this.relay.date(call)) return;
    if (plan.gate === null) this.relay.start(call);
    else this.relay.admission!.admit(call, list);
  }

  private askPrimary(down: Stream, plan: Plan, list: FieldList, end: boolean): void {
    const call = new Call(down, plan, plan.volatileOf(list), end);
    down.owner = call;
    this.relay.calls++;
    try {
      call.control = new ControlRequest(this.relay, call, list, plan.rules.controlSocket);
    } catch (error) {
      // node:http refuses fields that HTTP/2 lets pass. Whoever reaches the port may send them: no matter for the log.
      this.relay.log.debug({ err: error }, "a request for the control API cannot be passed on");
      this.relay.fail(call, ANSWERS.badRequest);
    }
  }

  private answerHealth(down: Stream, plan: Plan, list: FieldList, end: boolean): void {
    const call = new Call(down, plan, plan.volatileOf(list), end);
    down.owner = call;
    this.relay.calls++;
    call.control = this.relay.ownHealth!.begin(call, plan.healthMethod === "watch");
    if (plan.timed && !this.relay.date(call)) return;
    if (end) call.control.data(NOTHING, true);
  }

  private planFor(c: Connection, list: FieldList, memo: HeaderMemo | null): Plan {
    const rules = this.relay.rules;
    if (memo !== null) {
      const known = memo.use as Plan | null;
      if (known !== null && known.rules === rules && known.connection === c) return known;
    }
    const caller = c.owner as Caller;
    const plan = caller.plans.find(list, rules) ?? this.makePlan(c, caller, list);
    if (memo !== null) memo.use = plan;
    return plan;
  }

  private makePlan(c: Connection, caller: Caller, list: FieldList): Plan {
    const plan = makePlan(list, c, caller.origin, this.relay.rules);
    if (plan.repeats) caller.plans.remember(plan);
    return plan;
  }

  private answerLocally(down: Stream, plan: Plan): void {
    const { relay } = this;
    relay.watcher?.answered(plan, down);
    if (plan.answer !== null) {
      relay.answer(down, plan.answer, plan.grpc, plan.head);
      return;
    }
    const state = plan.health === "hello" ? relay.health.hello : relay.health.ready;
    sendText(down, state.status, "application/json", state.body, plan.head, false);
    relay.linger(down);
  }

  trailers(down: Stream, list: FieldList): void {
    const call = down.owner as Call | null;
    if (call === null) return;
    if (list.overflow) return this.relay.fail(call, ANSWERS.headersTooLarge);
    call.requestEnded = true;
    call.control?.data(NOTHING, true);
    call.requestTrailers = list.fields.slice(0, list.length) as Field[];
    if (call.up !== null) this.relay.sendRequestTrailers(call, call.up);
  }

  data(down: Stream, block: ReadBlock, head: number, start: number, end: number, flags: number): void {
    const call = down.owner as Call | null;
    if (call === null) {
      this.relay.discard(down, end - start, flags);
      return;
    }
    const first = (flags & Flag.PADDED) === 0 ? start : start + 1;
    const last = (flags & Flag.PADDED) === 0 ? end : end - block.buf[start]!;
    const up = call.up;
    if (call.control !== null) {
      call.control.data(Buffer.from(block.buf.subarray(first, last)), (flags & Flag.END_STREAM) !== 0);
      giveCredit(down, end - start, false);
      return;
    }
    if (call.plan.rule !== null && !this.passes(call, block, first, last)) return;
    if (this.relay.watcher !== null && call.plan.grpc && call.requestScreen === null) {
      const whole = call.requestMeter === null ? wholeMessages(block.buf, first, last) : -1;
      if (whole >= 0) call.requestMessages += whole;
      else {
        call.requestMeter ??= new MessageMeter();
        call.requestMeter.pass(block.buf, first, last);
      }
    }
    if (up === null) {
      // Padding waits for nobody.
      if (first !== start) giveCredit(down, end - start - (last - first), false);
      this.relay.holdBack(call, block, first, last, (flags & Flag.END_STREAM) !== 0);
      return;
    }
    if ((flags & Flag.END_STREAM) !== 0) call.requestEnded = true;
    if (!call.responded && !call.heldLost) this.relay.held.hold(call, block, first, last);
    sendData(up, down, block, head, start, end, flags);
    if (down.connection.shared.budget.exceeded) (down.connection.owner as Caller).shed();
  }

  /** What of the request's messages the call's rule lets through. @returns false when it has ended the call */
  private passes(call: Call, block: ReadBlock, first: number, last: number): boolean {
    const limit = call.plan.grpc ? call.plan.rule!.request : null;
    if (limit === null) return true;
    call.requestScreen ??= new MessageScreen(limit);
    call.requestScreen.screen(block.buf, first, last);
    const { over } = call.requestScreen;
    if (over === null) return true;
    this.relay.fail(call, over, ErrorCode.ENHANCE_YOUR_CALM);
    return false;
  }

  closed(down: Stream, how: number, code: number): void {
    const caller = down.connection.owner as Caller;
    const call = down.owner as Call | null;
    if (call !== null) {
      const up = call.up;
      call.control?.abort();
      const origin = caller.cutBy === "" ? Origin.CALLER : Origin.GATEWAY;
      this.relay.finish(call, origin, GrpcStatus.CANCELLED, reasonOf(down, caller, how));
      if (up !== null) {
        up.peer = null;
        if (how === Ended.COMPLETE) {
          if (up.state !== State.CLOSED) resetStream(up, ErrorCode.CANCEL);
        } else resetStream(up, how === Ended.RESET_RECEIVED ? code : ErrorCode.CANCEL);
      }
    }
    caller.streamClosed();
  }

  settings(): void {}

  goaway(): void {}

  pong(c: Connection): void {
    (c.owner as Caller).streamClosed();
  }

  wake(c: Connection): void {
    (c.owner as Caller).wake();
  }

  failed(c: Connection, fault: number): void {
    (c.owner as Caller).failed(fault);
  }
}

/** Why a call ended with its caller's stream. Rules of the gateway that end one call have told of it by then. */
function reasonOf(down: Stream, caller: Caller, how: number): string {
  if (how === Ended.RESET_RECEIVED) return "caller_reset";
  if (how === Ended.RESET_SENT || down.connection.fault !== Fault.NONE) return "caller_fault";
  return caller.cutBy === "" ? "caller_gone" : caller.cutBy;
}
