// One turn of the event loop: every connection that got output while sockets were read is flushed once, after all reads
// of the turn (check phase), so that many streams share one write. Keeps the coarse clock. Runs once per turn.

import type { Clock } from "../../shared/base/clock.js";

export interface Flushable {
  flush(): void;
  destroy(): void;
}

export class Turn {
  readonly clock: Clock;
  private dirty: Flushable[] = [];
  private scheduled = false;
  /** Counts the turns that had something to flush. */
  number = 0;
  /** Work that waits for the turn's reads to be done; set once. */
  endOfReads: () => void = () => {};
  /** Told of an error nobody foresaw: it may cost a connection, never the process. Set once. */
  onDefect: (error: unknown) => void = () => {};
  /** The clock was read in this turn. */
  private told = false;
  private readonly run: () => void;

  constructor(clock: Clock) {
    this.clock = clock;
    this.run = () => this.flushAll();
  }

  /** Something was read: the clock is brought up to date once a turn. */
  begin(): void {
    if (this.told) return;
    this.told = true;
    this.clock.now = Math.trunc(performance.now());
    // Without output the turn would never end, and its time would be taken for the next one's.
    this.ask();
  }

  /** Flushes `wire` at the end of this turn. The caller makes sure that it is added once. */
  add(wire: Flushable): void {
    this.dirty.push(wire);
    this.ask();
  }

  /** Asks for an end of the turn although nothing is to be flushed yet. */
  ask(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.run);
  }

  private guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.onDefect(error);
    }
  }

  private flushAll(): void {
    if (!this.told) this.clock.now = Math.trunc(performance.now());
    this.guarded(this.endOfReads);
    // Flushing may free windows and so make other connections dirty: they belong to this turn too.
    for (let i = 0; i < this.dirty.length; i++) {
      try {
        this.dirty[i]!.flush();
      } catch (error) {
        this.onDefect(error);
        this.dirty[i]!.destroy();
      }
    }
    this.dirty.length = 0;
    this.scheduled = false;
    this.told = false;
    this.number++;
  }
}
