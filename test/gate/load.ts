// Responsible for: many calls of one key over several callers, and when each of them was surely under way.
// Must not know: gateways. How often: tests only.

import { status } from "@grpc/grpc-js";
import type { Caller, Fields } from "./caller.js";

export interface Outcome {
  readonly code: number;
  readonly message: string;
  /** Time of day in milliseconds: whatever the gateway did about the call, it did it between these two. */
  readonly sent: number;
  readonly answered: number;
}

export interface Order {
  readonly callers: readonly Caller[];
  readonly path: string;
  readonly fields: Fields;
}

async function one({ path, fields }: Order, caller: Caller): Promise<Outcome> {
  const sent = Date.now();
  const { code, message } = await caller.call(path, fields);
  return { code, message, sent, answered: Date.now() };
}

/** So many calls in all, each caller with so many under way. */
export async function calls(order: Order, count: number, each = 32): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let left = count;
  const run = async (caller: Caller): Promise<void> => {
    while (left > 0) {
      left -= 1;
      outcomes.push(await one(order, caller));
    }
  };
  await Promise.all(order.callers.flatMap((caller) => Array.from({ length: each }, () => run(caller))));
  return outcomes;
}

/** `perSecond` calls on a schedule for so long, whatever becomes of them. */
export async function paced(order: Order, perSecond: number, ms: number): Promise<Outcome[]> {
  const begun = performance.now();
  const under: Promise<Outcome>[] = [];
  for (let at = 0; at < ms; at = performance.now() - begun) {
    const due = (Math.min(at, ms) * perSecond) / 1_000;
    while (under.length < due) under.push(one(order, order.callers[under.length % order.callers.length]!));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return Promise.all(under);
}

/** Each caller calls one by one until `enough` says so of an outcome. */
export async function until(order: Order, enough: (it: Outcome) => boolean, each = 4): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const run = async (caller: Caller): Promise<void> => {
    for (;;) {
      const outcome = await one(order, caller);
      outcomes.push(outcome);
      if (enough(outcome)) return;
      if (outcome.code === status.UNAVAILABLE) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await Promise.all(order.callers.flatMap((caller) => Array.from({ length: each }, () => run(caller))));
  return outcomes;
}

export const withCode = (outcomes: readonly Outcome[], code: number): Outcome[] =>
  outcomes.filter((it) => it.code === code);

/** How many of each code, for messages. */
export function tally(outcomes: readonly Outcome[]): string {
  const counts = new Map<string, number>();
  for (const { code, message } of outcomes) {
    const name = code === status.OK ? "OK" : `${status[code]} ${message}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${name}: ${count}`).join("; ");
}

/** The most calls that were surely admitted within one window of the clock. */
export function fullestWindow(outcomes: readonly Outcome[], ms: number): number {
  const counts = new Map<number, number>();
  for (const { sent, answered } of outcomes) {
    const window = Math.floor(sent / ms);
    if (window === Math.floor(answered / ms)) counts.set(window, (counts.get(window) ?? 0) + 1);
  }
  return Math.max(0, ...counts.values());
}

/** The most calls that were surely admitted within any span of so long, wherever it begins. */
export function fullestSpan(outcomes: readonly Outcome[], ms: number): number {
  const sorted = [...outcomes].sort((a, b) => a.sent - b.sent);
  let most = 0;
  for (const [n, { sent }] of sorted.entries()) {
    let within = 0;
    for (let at = n; at < sorted.length && sorted[at]!.sent < sent + ms; at++)
      if (sorted[at]!.answered < sent + ms) within += 1;
    most = Math.max(most, within);
  }
  return most;
}
