/**
 * What one shared counter does with one report of one worker: the arithmetic of leases, as plain functions on plain data.
 * Responsible for: windows, what is left, what each worker was given, what is lent out. The Lua text in `scripts.ts` is
 * the same arithmetic for Redis; the tests run both against each other.
 * Must not know: stores, clocks, sockets. Governed by: the contract in `counters.ts`.
 * Runs: once per lease (embedded home), never per call.
 */

/** What a worker says about one counter. A worker's own record of the counter is passed as it is: read it at once. */
export interface Ask {
  readonly key: string;
  /**
   * Who says it: one life of one limit in one worker, never used again. So a holder that speaks of no running window has
   * received nothing in the present one, and what is written for it is a grant whose answer was lost.
   */
  readonly holder: string;
  /** Units in one window. */
  readonly limit: number;
  /** Length of a window in ms; 0 never ends. */
  readonly perMs: number;
  /** Windows at multiples of `perMs` of the store's clock (rates), or beginning with the first use (quota). */
  readonly aligned: boolean;
  /** Callers that stand waiting: given before anything else, and counted as used at once. */
  readonly need: number;
  /** What the worker would like to have, by its demand; at most a share of what is left is given. */
  readonly want: number;
  /** Units the worker holds unused, or `LEAVING`: forget this holder, what it used stays counted. */
  readonly held: number;
  /** Everything this worker was given in the window and did not give back: used plus held. Giving back is to say less. */
  readonly mine: number;
  /** The window and counter the last answer spoke of; 0 when there was none. */
  readonly birth: number;
  /** Its end on the store's clock, 0 never. */
  readonly end: number;
}

export const LEAVING = -1;

/**
 * `[holder, mine, held, second of the last report]`, in place. A negative `held` is one that was asked about: its holder was
 * silent for long, may be gone, and the second is that of the question.
 */
export type Share = [string, number, number, number];

export interface Counter {
  /** Microsecond in which this window of this counter was begun: a counter that was lost and made anew has another one. */
  birth: number;
  end: number;
  taken: number;
  shares: Share[];
}

/** An answer is `REPLY_SIZE` numbers in a flat array: no object per counter. */
export const GRANTED = 0;
/** Units nobody has after this answer. */
export const LEFT = 1;
/** Whole milliseconds until the window ends, rounded down; -1 never. */
export const TTL = 2;
export const END = 3;
export const BIRTH = 4;
export const MINE = 5;
/** Units that other workers hold unused and may still give back; only counted when nothing is left. */
export const AWAY = 6;
/** The store's clock in ms. */
export const AT = 7;
export const REPLY_SIZE = 8;

/** At most this part of what is left is given beyond need, so that a lease shrinks to one unit as the rest runs out. */
export const LEASE_PART = 16;
/** A holder that was heard of this lately lives. About one that was silent for longer nobody knows: it is asked once. */
export const SILENT_SECONDS = 10;
/** Holders hear within a second that a counter is dry, and answer at once; one that does not in this time is gone. */
export const ANSWER_SECONDS = 3;
/** More shares than this in one counter: the ones silent for longest are forgotten, what they used stays counted. */
export const SHARES_MAX = 256;

export function exchange(found: Counter | undefined, ask: Ask, nowUs: number): [Counter, number[]] {
  const nowMs = Math.floor(nowUs / 1_000);
  const counter = currentWindow(found, ask, nowMs, nowUs);
  const mine = reconcile(counter, ask, nowMs);
  const left = Math.max(0, ask.limit - counter.taken);
  const granted = Math.min(left, Math.max(ask.need, Math.min(ask.want, Math.floor(left / LEASE_PART))));
  counter.taken += granted;
  if (ask.held === LEAVING) counter.shares = counter.shares.filter((share) => share[0] !== ask.holder);
  else record(counter, ask.holder, mine + granted, ask.held + granted - Math.min(granted, ask.need), nowMs);
  const dry = left <= granted;
  return [
    counter,
    [
      granted,
      left - granted,
      counter.end === 0 ? -1 : counter.end - Math.ceil(nowUs / 1_000),
      counter.end,
      counter.birth,
      mine + granted,
      dry ? heldElsewhere(counter, ask.holder, nowMs) : 0,
      nowMs,
    ],
  ];
}

/** Does the worker speak of a window that still runs? Then what it says counts even if the store has forgotten it. */
function claims(ask: Ask, nowMs: number): boolean {
  return ask.birth > 0 && (ask.end === 0 || ask.end > nowMs);
}

function currentWindow(found: Counter | undefined, ask: Ask, nowMs: number, nowUs: number): Counter {
  if (found !== undefined && (found.end === 0 || nowMs < found.end)) {
    if (ask.perMs === 0) found.end = 0;
    // A shortened period, or a clock that was set back, must not keep a window open longer than a period.
    else if (found.end === 0 || found.end - nowMs > ask.perMs) found.end = nowMs + ask.perMs;
    return found;
  }
  const birth = found === undefined ? nowUs : Math.max(nowUs, found.birth + 1);
  return { birth, end: endOfNew(ask, nowMs), taken: 0, shares: [] };
}

function endOfNew(ask: Ask, nowMs: number): number {
  if (ask.perMs === 0) return 0;
  if (ask.aligned) return (Math.floor(nowMs / ask.perMs) + 1) * ask.perMs;
  // A quota whose counter was lost goes on in the window the worker remembers.
  if (claims(ask, nowMs) && ask.end > 0 && ask.end - nowMs <= ask.perMs) return ask.end;
  return nowMs + ask.perMs;
}

/**
 * Brings what the store knows of this worker to what the worker says, and answers the latter. The difference is units that
 * came back, a grant whose answer was lost, or uses that a store without persistence forgot.
 */
function reconcile(counter: Counter, ask: Ask, nowMs: number): number {
  const share = counter.shares.find((each) => each[0] === ask.holder);
  const mine = claims(ask, nowMs) ? ask.mine : 0;
  if (share !== undefined) counter.taken += mine - share[1];
  else if (counter.birth !== ask.birth) counter.taken += mine;
  if (counter.taken < 0) counter.taken = 0;
  return mine;
}

function record(counter: Counter, holder: string, mine: number, held: number, nowMs: number): void {
  const second = Math.floor(nowMs / 1_000);
  const share = counter.shares.find((each) => each[0] === holder);
  if (share !== undefined) {
    share[1] = mine;
    share[2] = held;
    share[3] = second;
    return;
  }
  if (counter.shares.length >= SHARES_MAX) forgetSilent(counter);
  counter.shares.push([holder, mine, held, second]);
}

function forgetSilent(counter: Counter): void {
  counter.shares.sort((a, b) => b[3] - a[3]);
  counter.shares.length = SHARES_MAX / 2;
}

/** Looking marks the silent ones as asked, so that a dead holder keeps callers waiting once and never again. */
function heldElsewhere(counter: Counter, holder: string, nowMs: number): number {
  const second = Math.floor(nowMs / 1_000);
  let held = 0;
  for (const share of counter.shares) {
    if (share[0] === holder || share[2] === 0) continue;
    const silent = second - share[3];
    if (share[2] > 0 && silent >= SILENT_SECONDS) {
      share[2] = -share[2];
      share[3] = second;
      held -= share[2];
    } else if (share[2] > 0 || silent < ANSWER_SECONDS) held += Math.abs(share[2]);
  }
  return held;
}

/** A sliding log: the moments of the admitted calls of the last period, oldest first. Answers are `SLIDE_SIZE` numbers. */
export const SLIDE_ADMITTED = 0;
export const SLIDE_LEFT = 1;
/** Milliseconds until the next unit is free, rounded up. */
export const SLIDE_WAIT = 2;
/** The moment that was logged, in microseconds: what `unslide` needs. */
export const SLIDE_AT = 3;
export const SLIDE_SIZE = 4;

export function slide(log: number[], limit: number, perMs: number, nowUs: number): [number[], number[]] {
  const kept = log.filter((at) => at > nowUs - perMs * 1_000);
  const admitted = kept.length < limit;
  if (admitted) kept.push(nowUs);
  const blocking = kept.length < limit ? undefined : kept[kept.length - limit];
  const wait = blocking === undefined ? 0 : Math.max(0, Math.ceil((blocking + perMs * 1_000 - nowUs) / 1_000));
  return [kept, [admitted ? 1 : 0, Math.max(0, limit - kept.length), wait, nowUs]];
}
