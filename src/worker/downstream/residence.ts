// How long a caller's connection may stay: its greatest age, and how long without a call.
// Must not know: sockets, how a connection is drained. A connection that is told to go comes back elsewhere, which is what
// spreads callers again after workers or replicas were added. Governed by: gRPC's MAX_CONNECTION_AGE and
// MAX_CONNECTION_IDLE (proposal A9). Runs: once per connection and tick.

/** Durations in ms; 0 = for ever. */
export interface ResidenceLimits {
  readonly maxAge: number;
  /** Share of maxAge by which ages differ, so that connections made together do not end together. */
  readonly maxAgeJitter: number;
  readonly maxIdle: number;
}

export class Residence {
  private readonly bornAt: number;
  /** Of each connection its own, from -1 to 1. */
  private readonly chance: number;
  private activeAt: number;
  private streamSeen = 0;

  constructor(now: number, chance: number = Math.random() * 2 - 1) {
    this.bornAt = now;
    this.activeAt = now;
    this.chance = chance;
  }

  /** Whether it is time to go. @param lastStream the highest stream the caller began, @param open streams now */
  isOver(now: number, lastStream: number, open: number, limits: ResidenceLimits): boolean {
    if (open > 0 || lastStream !== this.streamSeen) {
      this.streamSeen = lastStream;
      this.activeAt = now;
    }
    const { maxAge, maxAgeJitter, maxIdle } = limits;
    if (maxAge > 0 && now - this.bornAt >= maxAge * (1 + maxAgeJitter * this.chance)) return true;
    return maxIdle > 0 && now - this.activeAt >= maxIdle;
  }
}
