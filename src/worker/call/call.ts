// One proxied call: the caller's stream, at most one upstream stream at a time, and what is needed to send the request
// again while the service has not processed it. Made once per call: flat, numbers and links only.

import type { ReadBlock } from "../../shared/base/read-block.js";
import type { Field } from "../../shared/http2/hpack/field.js";
import type { Stream } from "../../shared/http2/stream.js";
import type { Waiting } from "../admit/limits/waiting.js";
import type { Endpoint } from "../upstream/endpoint.js";
import type { ControlRequest } from "./control-request.js";
import type { MessageMeter } from "./message-meter.js";
import type { Plan, Prepared } from "./plan.js";

export class Call {
  readonly down: Stream;
  readonly plan: Plan;
  /** What was decided about it; null while the gate is still asking. */
  prepared: Prepared | null;
  /** It waits for a unit of a limit. */
  limits: Waiting | null = null;
  /** What fills the plan's gaps. */
  readonly volatile: readonly Field[];
  up: Stream | null = null;
  /** The endpoint whose queue the call waits in, null otherwise. */
  waitingAt: Endpoint | null = null;
  /** Which of the route's targets it was given to last. */
  target = 0;
  /** It was given to a target: until the end of the turn it came in it is not. */
  given = false;
  /** Set when the primary answers instead of a service. */
  control: ControlRequest | null = null;
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
  meter: MessageMeter | null = null;
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
    this.prepared = plan.prepared;
    this.volatile = volatile;
    this.requestEnded = requestEnded;
  }
}

export interface Piece {
  readonly block: ReadBlock;
  readonly start: number;
  readonly end: number;
}
