/** How fast an open loop runs: the same for every proxy, so that none is timed under less load. Must not know how calls are timed. */
import { chooseClient } from "./drive.js";
import { type RoundsPlan, runRounds } from "./rounds.js";
import type { Scenario } from "./scenarios.js";
import type { Stage } from "./stage.js";

/** What each stage's dearest proxy can carry, found once. */
const slowest = new WeakMap<Stage, number>();

/** 0 for closed loops. The dearest proxy is found with a short closed loop of the same shape. */
export const openLoopRate = async (stage: Stage, scenario: Scenario, plan: RoundsPlan): Promise<number> => {
  if (scenario.rateShare === 0) return 0;
  let least = slowest.get(stage);
  if (least === undefined) {
    const closed = { ...scenario, name: `${scenario.name}: finding the rate`, rateShare: 0 };
    const found = await runRounds(stage, closed, 0, {
      ...plan,
      rounds: 1,
      seconds: 1,
      client: chooseClient(closed, "own"),
    });
    const carried = found.figures
      .filter((figure) => figure.failed === null && figure.role !== "floor")
      .map((figure) => figure.callsPerSecond);
    least = carried.length === 0 ? 1000 : Math.min(...carried);
    slowest.set(stage, least);
  }
  return Math.max(1, Math.round(least * scenario.rateShare));
};
