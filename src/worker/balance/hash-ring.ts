// Consistent hashing: the same key finds the same seat, on every worker and every replica, and a seat that comes or goes
// moves only its own share of the keys. With a bound on load, so that a few heavy keys cannot drown one target.
// Responsible for the ring. Must not know: calls, header fields. Runs: find once per call of an API that hashes; built
// when members change.

import type { Seat } from "./seat.js";

/** Points on the ring for a target of mean weight: shares stay within about a tenth of what they should be. */
const POINTS = 128;
const MOST_POINTS = 65_536;
/** A seat takes no more than this many times its fair share of the calls in flight. */
const MOST_LOAD = 1.25;
/** Below so many in flight nobody is drowned: with little to do, a value keeps to its target. */
const LEAST_BOUND = 16;
/** Points looked at for one call: when nearly all targets are away, their turn decides. */
const LONGEST_WALK = 1_024;

export class HashRing {
  private readonly points: Uint32Array;
  private readonly owners: Int32Array;
  private readonly seats: readonly Seat[];
  /** Calls in flight on all seats; counted anew every so many calls, for that costs a look at each seat. */
  private inFlight = 0;
  private sinceCounted = Number.POSITIVE_INFINITY;
  private totalWeight = 0;

  constructor(seats: readonly Seat[]) {
    this.seats = seats;
    let weight = 0;
    for (const seat of seats) weight += seat.weight;
    const mean = weight / Math.max(1, seats.length);
    const scale = Math.min(1, MOST_POINTS / (POINTS * Math.max(1, seats.length)));
    const places: { readonly at: number; readonly owner: number }[] = [];
    for (const [owner, seat] of seats.entries()) {
      const count = seat.weight === 0 ? 0 : Math.max(1, Math.round((seat.weight / mean) * POINTS * scale));
      for (let k = 0; k < count; k++) places.push({ at: hashOf(`${seat.endpoint.name} ${k}`), owner });
    }
    places.sort((a, b) => a.at - b.at || a.owner - b.owner);
    this.points = Uint32Array.from(places, (place) => place.at);
    this.owners = Int32Array.from(places, (place) => place.owner);
  }

  /** Eligibility has changed. */
  recount(): void {
    this.sinceCounted = Number.POSITIVE_INFINITY;
  }

  /** The seat for `hash`: the first one from there on that takes calls and is not over its bound; null when none is. */
  find(hash: number): Seat | null {
    const n = this.points.length;
    if (n === 0) return null;
    if (++this.sinceCounted > this.seats.length) this.count();
    let at = this.firstFrom(hash);
    let full: Seat | null = null;
    let last = -1;
    for (let i = Math.min(n, LONGEST_WALK); i > 0; i--, at = at + 1 === n ? 0 : at + 1) {
      const owner = this.owners[at]!;
      if (owner === last) continue;
      last = owner;
      const seat = this.seats[owner]!;
      if (!seat.eligible || !seat.ready) continue;
      if (seat.endpoint.inFlight < this.bound(seat)) return seat;
      full ??= seat;
    }
    return full;
  }

  private bound(seat: Seat): number {
    return Math.max(LEAST_BOUND, (MOST_LOAD * (this.inFlight + 1) * seat.weight) / this.totalWeight);
  }

  private count(): void {
    this.sinceCounted = 0;
    this.inFlight = 0;
    this.totalWeight = 0;
    for (const seat of this.seats) {
      if (!seat.eligible) continue;
      this.inFlight += seat.endpoint.inFlight;
      this.totalWeight += seat.weight;
    }
  }

  private firstFrom(hash: number): number {
    let low = 0;
    let high = this.points.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.points[middle]! < hash) low = middle + 1;
      else high = middle;
    }
    return low === this.points.length ? 0 : low;
  }
}

const LONGEST_KEY = 512;

/** 32 bits of a text: FNV-1a, then mixed so that texts that differ in their last letter lie far apart. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  const n = Math.min(text.length, LONGEST_KEY);
  for (let i = 0; i < n; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
