/** stub */
import type { RoundsPlan } from "./rounds.js";
import type { Scenario } from "./scenarios.js";
export const compareWithBase = async (
  _rev: string,
  _scenarios: readonly Scenario[],
  _plan: RoundsPlan,
): Promise<number> => 1;
