// How calls end, for whoever counts them: one place that knows the status, who ended the call, and by which rule.
// Responsible for the words and for what speaks against a service. Must not know: what is counted, metrics, logs.
// Contract: relay.finish says `ended` once per call, and `attempted` once for each stay of a call at a connection.
// Runs once per call; while nobody listens it costs a comparison.

import { GrpcStatus } from "../../shared/grpc/status.js";
import type { Stream } from "../../shared/http2/stream.js";
import type { Link } from "../upstream/link.js";
import type { Call } from "./call.js";
import type { Plan } from "./plan.js";

export const Origin = {
  /** The service's own response, complete. */
  SERVICE: 0,
  /** The service or the way to it failed: no connection, a lost one, a reset, a broken rule. */
  NETWORK: 1,
  /** A rule of the gateway. */
  GATEWAY: 2,
  /** The caller reset the call or went away. */
  CALLER: 3,
} as const;

/**
 * What a listener may read of the call at its end: `plan` (route, path), `down.born` (coarse clock at its arrival),
 * `down.received` and `responseBytes`, `attempts`, `moves`.
 */
export interface CallWatcher {
  /**
   * `status` is a gRPC status, also for others' calls (mapped); `reason` the id of an answer (answers.ts), or empty for a
   * response of the service.
   */
  ended(call: Call, origin: number, status: number, reason: string): void;
  /** A request that is no call: the gateway has answered it by itself. */
  answered(plan: Plan, down: Stream): void;
}

export interface AttemptWatcher {
  /** `link` is the connection it was sent on; null when it never reached one. */
  attempted(call: Call, link: Link | null, origin: number, status: number): void;
}

/** What an end says about the service. */
export const Blame = { GOOD: 0, BAD: 1, NONE: 2 } as const;

/**
 * Whether the operator's bound ran out at the service's expense. A caller that keeps back the end of its request, or does
 * not take the response, lets any bound run out: at its own pleasure, and everybody would pay for it.
 */
export function isLate(call: Call): boolean {
  const { queue } = call.down;
  return call.bounded && call.requestEnded && (queue === null || queue.bytes === 0);
}

/**
 * Whether the breaker of the call's path counts an end, and as what. DEADLINE_EXCEEDED counts only where no deadline of the
 * caller's own ran out: with a short one any caller could open the breaker for everybody.
 */
export function blameOf(call: Call, origin: number, status: number): number {
  if (origin === Origin.NETWORK) return Blame.BAD;
  const faulty = ((call.plan.rule!.breaker!.faulty >> status) & 1) === 1;
  if (status === GrpcStatus.DEADLINE_EXCEEDED && origin !== Origin.CALLER) {
    const late = isLate(call);
    if (origin !== Origin.SERVICE) return late && faulty ? Blame.BAD : Blame.NONE;
    if (call.timeoutMs > 0 && !late) return Blame.NONE;
  }
  if (origin !== Origin.SERVICE) return Blame.NONE;
  if (!call.plan.grpc || call.httpStatus !== 200) return call.httpStatus >= 500 ? Blame.BAD : Blame.GOOD;
  return faulty ? Blame.BAD : Blame.GOOD;
}
