/** stub */
import type { Scenario } from "./scenarios.js";
export const profileScenario = async (_scenario: Scenario, say: (text: string) => void): Promise<void> =>
  say("no profile yet");
