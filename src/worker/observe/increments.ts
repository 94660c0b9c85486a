// Sums that others keep, told as what was added since the last time. Must not know: who keeps them. Runs: per collection.

import type { Sample } from "../../shared/observe/figures.js";

export class Increments {
  private readonly told = new Map<string, number>();

  /** @param total what the sum is now; it never falls. Sums that nothing was added to are left out */
  add(into: Sample[], name: string, total: number, labels: Sample["labels"] = {}): void {
    const key = `${name} ${Object.values(labels).join(" ")}`;
    const value = total - (this.told.get(key) ?? 0);
    if (value <= 0) return;
    this.told.set(key, total);
    into.push({ name, labels, value });
  }
}
