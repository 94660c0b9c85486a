// One proxied call: the caller's stream, at most one upstream stream at a time, and what is needed to send the request
// again while the service has not processed it. Made once per call: flat, numbers and links only.

import type { Timed } from "../../shared/base/deadline-wheel.js";
import type { ReadBlock } from "../../shared/base/read-block.js";
import type { Field } from "../../shared/http2/hpack/field.js";
import type { Stream } from "../../shared/http2/stream.js";
import type { Decision } from "../admit/decision.js";
import type { Waiting } from "../admit/limits/waiting.js";
import type { Seat } from "../balance/seat.js";
import type { Link } from "../upstream/link.js";
import type { WaitingPlace } from "../upstream/waiting-calls.js";
import type { CallTrace } from "./call-trace.js";
import type { LocalExchange } from "./local-exchange.js";
import type { MessageMeter } from "./message-meter.js";
import type { MessageScreen } from "./message-screen.js";
import type { Plan, Prepared } from "./plan.js";

export class Call implements Timed {
  readonly down: Stream;
  readonly plan: Plan;
  /** What the gate decided about it; null before that, and where nobody decides. */
  decision: Decision | null = null;
  /** Its id, once a transform has asked for it; empty before. */
  id = "";
  /** What is forwarded; null while the gate is still asking. */
  prepared: Prepared | null;
  /** It waits for a unit of a limit. */
  limits: Waiting | null = null;
  /** What its limits said when they let it in, for the response: see rate-fields.ts. */
  rateLimit = 0;
  rateLeft = 0;
  rateReset = 0;
  /** What fills the plan's gaps, and then what transforms made of this call. */
  volatile: readonly Field[];
  up: Stream | null = null;
  /** Where it waits for a connection or a name, null otherwise. */
  waiting: WaitingPlace | null = null;
  /** Which of the route's targets it was given to last. */
  target = 0;
  /** The address of that target; null before the first. */
  seat: Seat | null = null;
  /** What its end says about that address: an Outcome of balance/ejection. */
  outcome = 0;
  /** It was given to a target: until the end of the turn it came in it is not. */
  given = false;
  /** Set when no service answers: the primary does, or the gateway for itself. */
  control: LocalExchange | null = null;
  /** How long it may take from its arrival on, ms; 0 = as long as it likes. */
  timeoutMs = 0;
  /** The operator's bound is what it must keep, not the caller's deadline. */
  bounded = false;
  /** When that is over, ms on the monotonic clock; 0 while there is no such time. */
  deadline = 0;
  due = 0;
  slot = -1;
  next: Timed | null = null;
  previous: Timed | null = null;
  /** The connection it is on, or was on until what came of it was told. */
  link: Link | null = null;
  /** What its breaker let it in with; -1 while there is nothing to tell the breaker. */
  ticket = -1;
  /** How often it was sent, in the caller's eyes: moves are not counted. */
  attempts = 1;
  /** It waits for its next attempt. */
  waitsToRetry = false;
  /** How often it moved on unseen. */
  moves = 0;
  /** The caller has sent everything. */
  requestEnded: boolean;
  requestTrailers: Field[] | null = null;
  /** The final response's header block has come; from here on the call cannot move. */
  responded = false;
  /** The response said how long its body is: ending it early can only be a reset (RFC 9113 section 8.1.1). */
  measured = false;
  /** Informational responses so far. */
  interim = 0;
  /** Nothing more happens to it. */
  finished = false;
  /** The service has said that it did not process the call (RFC 9113 sections 6.8 and 8.7). */
  unprocessed = false;
  /** :status of the response, 0 before it. */
  httpStatus = 0;
  /** DATA octets of responses, without padding. */
  responseBytes = 0;
  /** gRPC messages of its DATA, as long as every frame ended with one; those behind are in the meters. */
  requestMessages = 0;
  responseMessages = 0;
  /** Made when DATA of the response ends inside a message, or where its messages are limited. */
  meter: MessageMeter | null = null;
  /** The request's messages, where they are limited; those of the response are in `meter`. */
  requestScreen: MessageScreen | null = null;
  /** Which trace it belongs to; null where it is not traced. */
  trace: CallTrace | null = null;
  /** Those that are only counted, from the first frame on that ends inside one. */
  requestMeter: MessageMeter | null = null;
  /** The request's DATA so far, held for sending it again: the first piece, then the others. */
  heldBlock: ReadBlock | null = null;
  heldStart = 0;
  heldEnd = 0;
  heldMore: Piece[] | null = null;
  heldBytes = 0;
  /** Held octets that have not been sent anywhere yet, so that their sender waits for credit. */
  uncredited = 0;
  /** Not all of the request is held any more. */
  heldLost = false;

  constructor(down: Stream, plan: Plan, volatile: readonly Field[], requestEnded: boolean) {
    this.down = down;
    this.plan = plan;
    this.prepared = plan.gate === null ? plan.prepared : null;
    this.volatile = volatile;
    this.requestEnded = requestEnded;
  }
}

/** gRPC messages of the request so far. */
export function messagesIn(call: Call): number {
  const cut = call.requestScreen ?? call.requestMeter;
  return call.requestMessages + (cut === null ? 0 : cut.messages);
}

/** …and of the response. */
export function messagesOut(call: Call): number {
  return call.responseMessages + (call.meter === null ? 0 : call.meter.messages);
}

export interface Piece {
  readonly block: ReadBlock;
  readonly start: number;
  readonly end: number;
}
