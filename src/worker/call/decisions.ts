// The decisions of one worker, found by the credential that a call carries: whichever connection it comes on, what was
// decided once is repeated. A decision hangs on the interned field of the credential, in a chain by scope: the API,
// method, path and whatever else was looked at. Must not know how decisions are made or outdated: the gate's stamps say
// whether one still holds. Contract: the head of admit/gate.ts. Runs once per call of an API with a gate.
//
// Bounds: `limit` decisions and BYTES of credentials that they hang on (an entry keeps its fields alive when their table has
// let them go); then those go that were not asked for since the hand came by; CHAIN scopes for one credential, the least
// recent leaves; SCOPES scopes. A credential whose field is not interned, because it was never
// seen before, is not remembered: a flood of made-up keys keeps nothing here.

import type { Field } from "../../shared/http2/hpack/field.js";
import type { Decision } from "../admit/decision.js";

export const DECISIONS = 131_072;
const CHAIN = 64;
const SCOPES = 16_384;
/** By Field.size, as credentials are counted in their own table. */
export const BYTES = 33_554_432;

/** Everything a decision depends on beside the credential, as one object to be compared. */
export class Scope {
  /** What was decided about calls without a credential. */
  bare: Decision | null = null;
}

/** What a call looks at stands first. */
class Entry {
  readonly scope: Scope;
  readonly others: readonly Field[] | null;
  decision: Decision;
  used = false;
  next: Entry | null = null;
  /** The credential that it hangs on, and the others where the API asks for several. */
  readonly field: Field;
  /** Of all of them. */
  readonly bytes: number;

  constructor(scope: Scope, field: Field, others: readonly Field[] | null, decision: Decision) {
    this.scope = scope;
    this.field = field;
    this.others = others;
    this.decision = decision;
    let bytes = field.size;
    if (others !== null) for (const other of others) bytes += other.size;
    this.bytes = bytes;
  }
}

export class Decisions {
  private readonly limit: number;
  private readonly entries: Entry[] = [];
  private readonly scopes = new Map<string, Scope>();
  private hand = 0;
  private bytes = 0;

  constructor(limit: number = DECISIONS) {
    this.limit = limit;
  }

  /** Decisions that are remembered under a credential. */
  get size(): number {
    return this.entries.length;
  }

  get scopeCount(): number {
    return this.scopes.size;
  }

  /** The scope of this description. When there are too many all begin anew, and with them the decisions. */
  scope(text: string): Scope {
    let scope = this.scopes.get(text);
    if (scope !== undefined) return scope;
    if (this.scopes.size >= SCOPES) this.clear();
    scope = new Scope();
    this.scopes.set(text, scope);
    return scope;
  }

  /** `keys` says which of `volatile` are credentials. Whether the decision still holds is for the gate to say. */
  find(scope: Scope, volatile: readonly Field[], keys: readonly number[]): Decision | null {
    if (keys.length === 0) return scope.bare;
    const field = volatile[keys[0]!]!;
    const first = field.decision as Entry | null;
    if (first === null) return null;
    if (first.scope === scope && isSame(first.others, volatile, keys)) {
      if (!first.used) first.used = true;
      return first.decision;
    }
    const entry = behind(first, scope, volatile, keys);
    if (entry === null) return null;
    entry.used = true;
    return entry.decision;
  }

  remember(scope: Scope, volatile: readonly Field[], keys: readonly number[], decision: Decision): void {
    if (keys.length === 0) {
      scope.bare = decision;
      return;
    }
    for (const key of keys) if (!volatile[key]!.stable) return;
    if (this.find(scope, volatile, keys) !== null) {
      // Found: it is the first of its chain now.
      (volatile[keys[0]!]!.decision as Entry).decision = decision;
      return;
    }
    const field = volatile[keys[0]!]!;
    const others = keys.length === 1 ? null : keys.slice(1).map((key) => volatile[key]!);
    const entry = new Entry(scope, field, others, decision);
    this.shorten(field);
    entry.next = field.decision as Entry | null;
    field.decision = entry;
    while (this.entries.length > 0 && this.isFull(entry)) this.dropOne();
    this.entries.push(entry);
    this.bytes += entry.bytes;
  }

  /** Other rules: nothing decided before is asked for again. */
  clear(): void {
    for (const { field } of this.entries) field.decision = null;
    this.entries.length = 0;
    this.bytes = 0;
    this.scopes.clear();
    this.hand = 0;
  }

  private isFull(more: Entry): boolean {
    return this.entries.length >= this.limit || this.bytes + more.bytes > BYTES;
  }

  private dropOne(): void {
    const { entries } = this;
    while (entries[this.hand]!.used) {
      entries[this.hand]!.used = false;
      this.advance();
    }
    const gone = entries[this.hand]!;
    unlink(gone);
    this.bytes -= gone.bytes;
    // The last one takes its place, and waits for the hand's next round.
    const last = entries.pop()!;
    if (last !== gone) entries[this.hand] = last;
    this.advance();
  }

  private advance(): void {
    this.hand = this.hand + 1 < this.entries.length ? this.hand + 1 : 0;
  }

  /** Cuts the chain of a credential that is used in too many scopes; the hand finds what was cut off. */
  private shorten(field: Field): void {
    let last = field.decision as Entry | null;
    for (let n = 2; last !== null && n < CHAIN; n++) last = last.next;
    if (last === null) return;
    for (let cut = last.next; cut !== null; cut = cut.next) cut.used = false;
    last.next = null;
  }
}

/** Looks on behind the first of a chain; what is found becomes the first. */
function behind(first: Entry, scope: Scope, volatile: readonly Field[], keys: readonly number[]): Entry | null {
  let before = first;
  for (let entry = first.next; entry !== null; entry = entry.next) {
    if (entry.scope === scope && isSame(entry.others, volatile, keys)) {
      before.next = entry.next;
      entry.next = first;
      entry.field.decision = entry;
      return entry;
    }
    before = entry;
  }
  return null;
}

/** As many, and each the same: what was decided about some of a request's credentials says nothing about all of them. */
function isSame(others: readonly Field[] | null, volatile: readonly Field[], keys: readonly number[]): boolean {
  if (others === null) return keys.length === 1;
  if (others.length !== keys.length - 1) return false;
  for (let i = 0; i < others.length; i++) if (others[i] !== volatile[keys[i + 1]!]) return false;
  return true;
}

function unlink(gone: Entry): void {
  const first = gone.field.decision as Entry | null;
  if (first === gone) {
    gone.field.decision = gone.next;
    return;
  }
  for (let entry = first; entry !== null; entry = entry.next) {
    if (entry.next !== gone) continue;
    entry.next = gone.next;
    return;
  }
}
