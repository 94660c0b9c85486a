/**
 * The shared counters as the limits see them: one interface, two homes (`RedisCounters`, `LmdbCounters`).
 * Must not know: keys, sessions, APIs, who asks. Governed by: the arithmetic in `exchange.ts`.
 * Runs: once per lease or, for exact limits, once per turn with all calls of that turn.
 *
 * Contract
 * - Each ask is one atomic step; a batch is answered in the order of its asks, `REPLY_SIZE` numbers each.
 * - The home reads the asks before it returns: the caller may change them afterwards.
 * - A rejection means: unknown whether it happened. Reports are absolute ("I was given so much in all"), so that the next
 *   one repairs whatever a lost answer left behind; nothing is ever sent twice by the home itself.
 * - All clocks are the store's (Redis TIME; the host's clock for lmdb).
 */

import type { Ask, Counter } from "./exchange.js";

export interface SlideAsk {
  readonly key: string;
  readonly limit: number;
  readonly perMs: number;
}

export interface Counters {
  /** `quota`: these counters outlive a crash of the machine where the home can do that. */
  exchange(asks: readonly Ask[], quota: boolean): Promise<ArrayLike<number>>;
  /** Counts calls one by one; a refused one is not counted. `SLIDE_SIZE` numbers each. */
  slide(asks: readonly SlideAsk[]): Promise<readonly number[]>;
  /** Takes one call out of the log again, because something else refused it. */
  unslide(key: string, at: number): Promise<void>;
  /** One call into a window that begins with its first call; refused calls count too. */
  fixed(key: string, limit: number, seconds: number): Promise<FixedReply>;
  /** "These ran dry here while others hold units of them": answers what ran dry anywhere within the last second. */
  recall(keys: readonly string[]): Promise<readonly string[]>;
  /** "I live": answers who else does, and whether the home is still the one of the last beat. */
  beat(): Promise<Beat>;
  leave(): Promise<void>;
  /** For the control port: what a counter holds, and its reset after an operator's change. */
  read(key: string, quota: boolean): Promise<Counter | undefined>;
  clear(key: string, quota: boolean): Promise<void>;
}

export interface Beat {
  /** All workers that said so within the last seconds, this one included. */
  readonly names: readonly string[];
  /** Another number when the home has lost everything in between; only workers know then what was used. */
  readonly epoch: number;
}

export interface FixedReply {
  readonly admitted: boolean;
  readonly waitMs: number;
}

/** So long a dry counter is named to everybody who asks, and no more than so many are. */
export const RECALL_MS = 1_000;
export const RECALLS_MAX = 512;
/** A worker that did not say for this long that it lives is no longer counted. */
export const BEAT_LOST_MS = 5_000;
