// Which of the known names somebody meant who wrote another.
// Must not know: what the names are of. Runs: for messages to an operator.

/** The one that differs least, if it differs little; undefined otherwise. */
export function nearest(written: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.min(3, Math.floor(written.length / 3) + 1);
  for (const name of known) {
    const distance = difference(written.toLowerCase(), name.toLowerCase(), least);
    if (distance >= least) continue;
    best = name;
    least = distance;
  }
  return best;
}

/** Letters to put in, take away, replace or swap; `most` when it is not less. */
function difference(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) >= most) return most;
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1);
      next.push(cost);
    }
    before = row;
    row = next;
  }
  return Math.min(most, row[b.length]!);
}
