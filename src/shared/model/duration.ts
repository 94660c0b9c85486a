// Durations as Go writes them, which is how Tyk does: "300ms", "1.5h", "2h45m". Must not know: what they bound.
// Runs: once per setting at load.

const UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};
const PART = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g;

/** Milliseconds; NaN where it is no duration. */
export function durationMs(text: string): number {
  if (text === "0") return 0;
  if (text.length > 64 || text.replaceAll(PART, "") !== "" || text === "") return Number.NaN;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(PART)) ms += Number(amount) * UNITS[unit!]!;
  return ms;
}
