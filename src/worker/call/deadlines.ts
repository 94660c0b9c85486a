// When calls are due: their deadlines, and retries that wait. One wheel and one timer for the whole worker; the timer
// runs only while something waits, and only for the first of it. Governed by: gRPC deadlines; none fires early.
// Must not know: what happens to a call that is due. Runs once or twice per call that has a deadline.

import { DeadlineWheel } from "../../shared/base/deadline-wheel.js";
import type { Call } from "./call.js";

/** A timer sleeps no longer, ms: looking in vain is cheap. */
const LONGEST_SLEEP = 3_600_000;

export class Deadlines {
  /** The most by which the timer came late since this was last set to 0, ms: how long the event loop was busy. */
  latest = 0;
  private readonly wheel = new DeadlineWheel<Call>(performance.now());
  private readonly due: (call: Call) => void;
  private readonly before: () => void;
  private readonly run = (): void => this.look();
  private timer: NodeJS.Timeout | null = null;
  private lookAt = Number.POSITIVE_INFINITY;

  /** `before` is told first in a turn in which something is due. */
  constructor(before: () => void, due: (call: Call) => void) {
    this.before = before;
    this.due = due;
  }

  get size(): number {
    return this.wheel.size;
  }

  /** The call is due at `at`, both ms on the monotonic clock; it was due at no other time from here on. */
  put(call: Call, at: number, now: number): void {
    this.wheel.put(call, at, now);
    if (at < this.lookAt) this.arm(now);
  }

  remove(call: Call): void {
    this.wheel.remove(call);
  }

  private arm(now: number): void {
    const at = this.wheel.nextLook();
    if (at >= this.lookAt) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.lookAt = at;
    this.timer = setTimeout(this.run, Math.min(LONGEST_SLEEP, Math.max(1, at - now)));
    // A call has sockets, which keep the process alive; the timer alone must not.
    this.timer.unref();
  }

  private look(): void {
    const now = Math.floor(performance.now());
    if (now - this.lookAt > this.latest) this.latest = now - this.lookAt;
    this.timer = null;
    this.lookAt = Number.POSITIVE_INFINITY;
    this.before();
    this.wheel.expire(now, this.due);
    if (this.wheel.size > 0) this.arm(now);
  }
}
