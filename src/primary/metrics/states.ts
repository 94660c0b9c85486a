// How things stand, from what each worker said last: one number a name and labels.
// Must not know: counters, text formats. Runs: per collection.

import type { Sample } from "../../shared/observe/figures.js";
import { CATALOGUE, type Joining } from "./catalogue.js";

/** Several workers' states as one; what the catalogue does not know is left out. */
export function joined(samples: Iterable<Sample>): Sample[] {
  const found = new Map<string, Sample & { value: number }>();
  for (const { name, labels, value } of samples) {
    const joining = CATALOGUE[name]?.joining;
    if (joining === undefined || joining === "counter") continue;
    const key = `${name} ${JSON.stringify(labels)}`;
    const known = found.get(key);
    if (known === undefined) found.set(key, { name, labels, value });
    else known.value = join(joining, known.value, value);
  }
  return [...found.values()];
}

function join(joining: Joining, one: number, other: number): number {
  if (joining === "largest") return Math.max(one, other);
  return joining === "smallest" ? Math.min(one, other) : one + other;
}
