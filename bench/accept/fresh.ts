/** Lines whose every round has a gateway of its own, because the round spoils it. Must not know what is measured. Runs once per line. */
import { scenarioNamed } from "../scenarios.js";
import { buildStage, type Contender } from "../stage.js";
import { type AcceptPlan, failedVerdict, type Verdict } from "./claim.js";

export interface Line<Found> {
  readonly name: string;
  readonly claim: string;
  /** Whose stage it stands on. */
  readonly scenario: string;
  /** One round, or why there is none. */
  readonly measure: (gateway: Contender) => Promise<Found | string>;
  readonly judge: (found: readonly Found[]) => Pick<Verdict, "measured" | "holds">;
}

export const freshRounds = async <Found>(line: Line<Found>, plan: AcceptPlan): Promise<Verdict[]> => {
  const { name, claim } = line;
  const found: Found[] = [];
  for (let round = 0; round < plan.rounds; round++) {
    plan.progress(`${name}: round ${round + 1}/${plan.rounds}`);
    const stage = await buildStage([scenarioNamed(line.scenario)], [plan.subject]);
    const gateway = stage.contenders[0];
    const one = gateway === undefined ? ([...stage.broken.values()][0] ?? "not started") : await line.measure(gateway);
    await stage.stop();
    if (typeof one === "string") return [failedVerdict(name, claim, one)];
    found.push(one);
  }
  return [{ name, claim, ...line.judge(found) }];
};
