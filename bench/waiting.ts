/**
 * Is Sluice's p99 worse than the best proxy's at the same rate? Said by a rank test over the rounds, not by eye. Must not know how calls were
 * timed. Runs once per open-loop scenario.
 */
import type { Figure, ScenarioResult } from "./rounds.js";
import { difference, mannWhitney, median } from "./statistics.js";
import { time } from "./table.js";

/** With fewer rounds not even ranks that do not overlap are rarer than one in twenty. */
const FEWEST_ROUNDS = 4;

export interface Waiting {
  readonly text: string;
  /** False when it is worse, and when too few rounds were run to tell. */
  readonly holds: boolean;
}

const p99s = (figure: Figure): number[] =>
  figure.samples.flatMap((sample) => (sample.latency === null ? [] : [sample.latency.p99]));

/** null where there is nobody to compare with. A forwarder that does not read HTTP is no peer. */
export const judgeWaiting = (result: Pick<ScenarioResult, "scenario" | "figures">): Waiting | null => {
  const able = result.figures.filter((figure) => figure.failed === null && p99s(figure).length > 0);
  const sluice = able.find((figure) => figure.role === "sluice");
  const [best] = able
    .filter((figure) => figure.role === "proxy" && figure.peer !== "plain")
    .sort((a, b) => median(p99s(a)) - median(p99s(b)));
  if (sluice === undefined || best === undefined) return null;
  const [ours, theirs] = [p99s(sluice), p99s(best)];
  const rounds = Math.min(ours.length, theirs.length);
  const figures = `${time(median(ours))} against ${time(median(theirs))} of ${best.title}`;
  if (rounds < FEWEST_ROUNDS)
    return { text: `${figures}; ${rounds} rounds are too few to tell, ${FEWEST_ROUNDS} are needed`, holds: false };
  const worse = difference(theirs, ours) === "higher";
  const p = mannWhitney(theirs, ours).toFixed(3);
  return { text: `${worse ? "WORSE" : "not worse"}; ${figures}, p = ${p}, ${rounds} rounds`, holds: !worse };
};

export const waitingLines = (results: readonly ScenarioResult[]): string[] =>
  results.flatMap((result) => {
    const waiting = result.rate === 0 ? null : judgeWaiting(result);
    return waiting === null ? [] : [`p99 at ${result.scenario}: ${waiting.text}`];
  });
