// Every bound on a peer that makes us work for little, in one place (RFC 9113 section 10.5). Each kind of cheap frame
// runs up points; useful work and time pay them back; a connection over its budget is closed with ENHANCE_YOUR_CALM.
// Resets are weighed by age: a stream that lived for a while held one of few slots, so its reset is nearly free
// (callers with many deadlines), while one reset at once is the rapid reset of CVE-2023-44487. Resets that the peer
// provokes from us (CVE-2025-8671) count the same. Runs on cheap frames and once per finished call.

import type { EngineLimits } from "./limits.js";

/** Up to this age, in ms, a reset came "at once"; and up to this one it came early. */
const AT_ONCE = 50;
const EARLY = 500;
/** The price of a reset by age. A stream holds one of few slots while it lives, which bounds the rate of older ones. */
const AT_ONCE_COST = 1;
const EARLY_COST = 0.05;
const LATE_COST = 0.01;
/** Seconds in which a full budget is paid back by time alone. */
const PAYBACK_SECONDS = 20;
const FINISHED_CALL_PAYS_CONTROL = 10;
/** Octets of the shortest DATA frame sent that pays for control frames: a gRPC message's prefix. */
const LEAST_SENT = 5;

export class FloodGuard {
  private readonly limits: EngineLimits;
  private control = 0;
  private resets = 0;
  private tiny = 0;
  private paidAt = 0;

  constructor(limits: EngineLimits) {
    this.limits = limits;
  }

  /** A PING, SETTINGS, PRIORITY, WINDOW_UPDATE or unknown frame. @returns true when the budget is used up */
  controlFrame(now: number): boolean {
    return ++this.control > this.limits.controlBudget && this.stillOver(now);
  }

  /** A control frame that made more work than others. @returns as controlFrame */
  controlWork(points: number, now: number): boolean {
    this.control += points;
    return this.control > this.limits.controlBudget && this.stillOver(now);
  }

  /** A stream was reset by the peer, or by us because of the peer, `age` ms after it was opened. */
  reset(age: number, now: number): boolean {
    this.resets += age <= AT_ONCE ? AT_ONCE_COST : age <= EARLY ? EARLY_COST : LATE_COST;
    return this.resets > this.limits.resetBudget && this.stillOver(now);
  }

  /** A DATA frame that carried next to nothing and did not end its stream. */
  tinyData(now: number): boolean {
    return ++this.tiny > this.limits.tinyDataBudget && this.stillOver(now);
  }

  /** A DATA frame of ordinary size. */
  usefulData(): void {
    if (this.tiny >= 1) this.tiny -= 1;
    if (this.control >= 1) this.control -= 1;
  }

  /**
   * A DATA frame of `length` octets was sent: a receiver owes us WINDOW_UPDATEs for it, and whoever reads much sends
   * many. Frames forced tiny by tiny windows (CVE-2019-9511) pay nothing.
   */
  sentData(length: number): void {
    if (this.control === 0 || length < LEAST_SENT) return;
    this.control = Math.max(0, this.control - 1 - (length >>> 10));
  }

  /** A call ran to its end. */
  finishedCall(): void {
    if (this.resets >= 1) this.resets -= 1;
    if (this.control >= FINISHED_CALL_PAYS_CONTROL) this.control -= FINISHED_CALL_PAYS_CONTROL;
    if (this.tiny >= 1) this.tiny -= 1;
  }

  private stillOver(now: number): boolean {
    const { controlBudget, resetBudget, tinyDataBudget } = this.limits;
    const share = Math.min(1, (now - this.paidAt) / (PAYBACK_SECONDS * 1_000));
    if (share > 0) {
      this.paidAt = now;
      this.control = Math.max(0, this.control - share * controlBudget);
      this.resets = Math.max(0, this.resets - share * resetBudget);
      this.tiny = Math.max(0, this.tiny - share * tinyDataBudget);
    }
    return this.control > controlBudget || this.resets > resetBudget || this.tiny > tinyDataBudget;
  }
}
