// The coarse clock of a process: whole milliseconds, advanced by its owner once per tick. Code on the path of a call
// reads a number instead of asking the system.

export class Clock {
  /** Milliseconds on the monotonic clock, as of the last tick. */
  now = 0;
}
