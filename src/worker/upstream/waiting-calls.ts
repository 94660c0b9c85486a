// Calls that wait for a connection or for the answer about a name: in turn by caller, so that one caller with many calls
// is no reason for the others to wait or to be sent away.
// Responsible for the order and for the bound. Must not know: what is waited for. Every step takes constant time.
// Runs: once per call that has to wait.

import type { Call } from "../call/call.js";

/** The calls of one caller, in the order they came; a link in the ring of callers. */
class Line {
  readonly caller: object;
  first: WaitingPlace | null = null;
  last: WaitingPlace | null = null;
  count = 0;
  next: Line = this;
  previous: Line = this;

  constructor(caller: object) {
    this.caller = caller;
  }
}

/** Where a call stands; it may leave at any time. */
export class WaitingPlace {
  readonly call: Call;
  readonly line: Line;
  private readonly calls: WaitingCalls;
  next: WaitingPlace | null = null;
  previous: WaitingPlace | null = null;

  constructor(call: Call, line: Line, calls: WaitingCalls) {
    this.call = call;
    this.line = line;
    this.calls = calls;
  }

  leave(): void {
    this.calls.remove(this);
  }
}

export class WaitingCalls {
  size = 0;
  private readonly lines = new Map<object, Line>();
  /** Whose turn it is. */
  private current: Line | null = null;

  /**
   * Lets the call wait, if there is room for it among `most`. A caller may take up as many places as it leaves free: alone
   * it gets half of them, and there is always one left for somebody who has none. @returns false without room
   */
  add(call: Call, most: number): boolean {
    const caller = call.down.connection;
    let line = this.lines.get(caller);
    if ((line?.count ?? 0) >= most - this.size) return false;
    if (line === undefined) {
      line = new Line(caller);
      this.lines.set(caller, line);
      this.link(line);
    }
    const place = new WaitingPlace(call, line, this);
    place.previous = line.last;
    if (line.last === null) line.first = place;
    else line.last.next = place;
    line.last = place;
    line.count++;
    this.size++;
    call.waiting = place;
    return true;
  }

  /** The next call, which waits no more; null when none does. */
  take(): Call | null {
    const line = this.current;
    if (line === null) return null;
    const place = line.first!;
    this.current = line.next;
    this.remove(place);
    return place.call;
  }

  /** All of them; none waits any more. */
  takeAll(): Call[] {
    const calls: Call[] = [];
    for (let call = this.take(); call !== null; call = this.take()) calls.push(call);
    return calls;
  }

  remove(place: WaitingPlace): void {
    const { call, line } = place;
    if (call.waiting !== place) return;
    call.waiting = null;
    if (place.previous === null) line.first = place.next;
    else place.previous.next = place.next;
    if (place.next === null) line.last = place.previous;
    else place.next.previous = place.previous;
    this.size--;
    if (--line.count === 0) this.unlink(line);
  }

  /** Behind all others: in front of the one whose turn it is. */
  private link(line: Line): void {
    const at = this.current;
    if (at === null) {
      this.current = line;
      return;
    }
    line.next = at;
    line.previous = at.previous;
    at.previous.next = line;
    at.previous = line;
  }

  private unlink(line: Line): void {
    this.lines.delete(line.caller);
    if (line.next === line) {
      this.current = null;
      return;
    }
    line.next.previous = line.previous;
    line.previous.next = line.next;
    if (this.current === line) this.current = line.next;
  }
}
