// Passive health: what a route's calls show about its targets. Failures in a row, or a share of failures within an
// interval, put a target out for a while that grows; it comes back with one call on trial.
// Responsible for that life of a seat. Must not know: frames, statuses' origin, how seats are chosen.
// Runs: once per ended call of an API that asks for it, and per tick.

import type { Logger } from "pino";
import { GrpcStatus } from "../../shared/grpc/status.js";
import type { EjectionPolicy } from "../../shared/model/target-policy.js";
import type { Call } from "../call/call.js";
import { type Seat, Trial } from "./seat.js";

const SECOND = 1_000;

/** What the end of a call says about its target. */
export const Outcome = {
  /** Nothing: the caller went away, or the gateway ended it for its own reasons. */
  NONE: 0,
  SUCCESS: 1,
  FAILURE: 2,
} as const;

export class Ejection {
  private readonly policy: EjectionPolicy;
  private readonly log: Logger;
  /** By status number, whether it is a failure. */
  private readonly faulty: readonly boolean[];
  private intervalEnds = 0;

  constructor(policy: EjectionPolicy, log: Logger) {
    this.policy = policy;
    this.log = log;
    const numbers = new Set<number>(policy.statuses.map((name) => GrpcStatus[name]));
    this.faulty = Object.values(GrpcStatus).map((number) => numbers.has(number));
  }

  static isAsked(policy: EjectionPolicy): boolean {
    return policy.consecutive_failures > 0 || policy.failure_share > 0;
  }

  /** The service answered with this gRPC status. */
  outcomeOf(status: number): number {
    return this.faulty[status] === true ? Outcome.FAILURE : Outcome.SUCCESS;
  }

  /** A call given to `seat` has ended. */
  note(seat: Seat, call: Call, outcome: number, now: number): void {
    if (seat.trial !== Trial.NONE) {
      if (seat.trialCall === call) this.judge(seat, outcome, now);
      // The others began before it went out: what becomes of them was to be expected.
      return;
    }
    if (outcome === Outcome.NONE || seat.outUntil > 0) return;
    seat.calls++;
    if (outcome === Outcome.SUCCESS) {
      seat.failuresInRow = 0;
      return;
    }
    seat.failures++;
    seat.failuresInRow++;
    const { consecutive_failures: most, failure_share: share, min_calls } = this.policy;
    if (most > 0 && seat.failuresInRow >= most) this.eject(seat, `${seat.failuresInRow} failed calls in a row`, now);
    else if (share > 0 && seat.calls >= min_calls && seat.failures >= share * seat.calls)
      this.eject(seat, `${seat.failures} of ${seat.calls} calls failed`, now);
  }

  private judge(seat: Seat, outcome: number, now: number): void {
    seat.trialCall = null;
    seat.trialUntil = 0;
    if (outcome === Outcome.NONE) seat.trial = Trial.OPEN;
    else if (outcome === Outcome.SUCCESS) this.passed(seat, now);
    else this.eject(seat, "the call on trial failed", now);
  }

  private passed(seat: Seat, now: number): void {
    seat.trial = Trial.NONE;
    seat.trialCall = null;
    seat.balancer.ramp(seat, now);
    this.log.info({ endpoint: seat.endpoint.name, api: seat.balancer.api }, "target is in again: its trial was passed");
  }

  private eject(seat: Seat, reason: string, now: number): void {
    const again = seat.trial !== Trial.NONE;
    seat.failuresInRow = 0;
    seat.calls = 0;
    seat.failures = 0;
    if (!again && !seat.balancer.maySpare(seat, this.policy.max_share)) return;
    const { base_time, max_time } = this.policy;
    const time = Math.min(max_time, base_time * 2 ** Math.min(seat.ejections, 20)) * SECOND;
    seat.ejections++;
    seat.trial = Trial.NONE;
    seat.trialCall = null;
    seat.outUntil = now + time;
    seat.balancer.changed();
    const told = { endpoint: seat.endpoint.name, api: seat.balancer.api, reason, seconds: time / SECOND };
    this.log.warn(told, again ? "target stays out" : "target is out: its calls fail");
  }

  tick(seats: readonly Seat[], now: number): void {
    const over = now >= this.intervalEnds;
    if (over) this.intervalEnds = now + this.policy.interval * SECOND;
    for (const seat of seats) {
      if (over) this.forget(seat);
      if (seat.outUntil > 0 && now >= seat.outUntil) this.tryAgain(seat);
      else if (seat.trial === Trial.TAKEN) this.mayPass(seat, now);
    }
  }

  /** A stream that lasts for hours is no reason to wait for hours. */
  private mayPass(seat: Seat, now: number): void {
    if (seat.trialUntil === 0) seat.trialUntil = now + this.policy.base_time * SECOND;
    else if (now >= seat.trialUntil) this.passed(seat, now);
  }

  private forget(seat: Seat): void {
    // An interval in which it was in and few calls failed takes one of its times out back.
    if (seat.ejections > 0 && seat.outUntil === 0 && seat.trial === Trial.NONE && seat.calls > 0 && seat.failures === 0)
      seat.ejections--;
    seat.calls = 0;
    seat.failures = 0;
  }

  private tryAgain(seat: Seat): void {
    seat.outUntil = 0;
    seat.trial = Trial.OPEN;
    seat.trialUntil = 0;
    seat.balancer.changed();
    this.log.info({ endpoint: seat.endpoint.name, api: seat.balancer.api }, "target gets a call on trial");
  }
}
