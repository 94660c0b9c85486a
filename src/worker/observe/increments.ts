// Sums that others keep, told as what was added since the last time. Must not know: who keeps them. Runs: per collection.

import type { Sample } from "../../shared/observe/figures.js";

export class Increments {
  private readonly told = new Map<string, number>();

  /** @param total what the sum is now. Sums that nothing was added to are left out */
  add(into: Sample[], name: string, total: number, labels: Sample["labels"] = {}): void {
    const key = `${name} ${Object.values(labels).join(" ")}`;
    const before = this.told.get(key) ?? 0;
    // Who kept it was replaced by somebody who begins anew.
    const value = total < before ? total : total - before;
    if (value === 0 && total === before) return;
    this.told.set(key, total);
    into.push({ name, labels, value });
  }
}
