// What is counted of the calls of one method: plain numbers in one array, added to once per call, taken by whoever tells the
// primary. Must not know: names' origin, messages to the primary. Runs: once per call.

import { GrpcStatus } from "../../shared/grpc/status.js";
import { BOUNDS_MS, Row } from "../../shared/observe/figures.js";
import { type Call, messagesIn, messagesOut } from "../call/call.js";
import { Origin } from "../call/call-end.js";
import type { ApiTally } from "./api-tally.js";

export class MethodTally {
  readonly api: ApiTally;
  readonly service: string;
  readonly method: string;
  readonly row = new Float64Array(Row.SIZE);
  /** Something was counted since it was taken last. */
  touched = false;
  /** See MethodFigures. */
  proven: boolean;
  /** Nobody takes what is counted here any more: plans look for another one. */
  gone = false;
  /** Calls under way; only while figures are gathered. */
  open = 0;

  constructor(api: ApiTally, service: string, method: string, proven: boolean) {
    this.api = api;
    this.service = service;
    this.method = method;
    this.proven = proven;
  }

  count(call: Call, origin: number, status: number, ms: number): void {
    const { row } = this;
    this.touched = true;
    row[Row.STATUS + status]!++;
    row[Row.DURATION + classOf(ms)]!++;
    row[Row.DURATION_MS]! += ms;
    row[Row.REQUEST_BYTES]! += call.down.received;
    row[Row.RESPONSE_BYTES]! += call.responseBytes;
    row[Row.REQUEST_MESSAGES]! += messagesIn(call);
    row[Row.RESPONSE_MESSAGES]! += messagesOut(call);
    if (call.attempts > 1) row[Row.RETRIES]! += call.attempts - 1;
    if (call.moves > 0) row[Row.MOVES]! += call.moves;
    if (!this.proven && origin === Origin.SERVICE && status !== GrpcStatus.UNIMPLEMENTED) this.proven = call.responded;
  }

  /** The increments since the last time. */
  take(): number[] {
    const taken = Array.from(this.row);
    this.row.fill(0);
    this.touched = false;
    return taken;
  }
}

/** Short calls, which are most, are told after a few comparisons. */
function classOf(ms: number): number {
  let at = 0;
  while (at < BOUNDS_MS.length && ms > BOUNDS_MS[at]!) at++;
  return at;
}
