/** Scenarios whose figure is not CPU per call: memory of idle connections. Must not know tables. Runs once per such scenario. */
import type { RoundsPlan, ScenarioResult } from "./rounds.js";
import type { Scenario } from "./scenarios.js";
import type { Stage } from "./stage.js";

/** null = an ordinary scenario, for the rounds. */
export const runSpecial = async (
  _stage: Stage,
  _scenario: Scenario,
  _plan: RoundsPlan,
): Promise<ScenarioResult | null> => null;
