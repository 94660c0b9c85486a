// What all connections of a worker may hold together in DATA that waits. Above half of it windows stop growing; above
// all of it the streams that hold most are reset (by the owner of the budget). One per worker.

export class Budget {
  /** Octets of memory that waiting DATA keeps alive. */
  held = 0;
  readonly limit: number;

  constructor(limit: number) {
    this.limit = limit;
  }

  get mayGrow(): boolean {
    return this.held * 2 < this.limit;
  }

  get exceeded(): boolean {
    return this.held > this.limit;
  }
}
