/** The acceptance line about `kill -9` of the only worker: back within a second, and no connection refused. */
import { pause } from "../children.js";
import { processTree } from "../cpu.js";
import { echoOrder, type LoadOrder } from "../load/order.js";
import { LoadSession } from "../load/session.js";
import { failureText } from "../outcome.js";
import { SCENARIOS } from "../scenarios.js";
import { buildStage, type Contender } from "../stage.js";
import { median } from "../statistics.js";
import { type AcceptPlan, type ClaimGroup, failedVerdict, type Verdict } from "./claim.js";

const NAME = "worker-death";
const CLAIM = "after kill -9 of the only worker a call succeeds within 1,000 ms and no connection is refused";
const BAR_MS = 1000;
const LIMIT_MS = 10_000;
const GAP_MS = 10;

const oneCall = (port: number): LoadOrder => echoOrder(port, { calls: 1 });

interface Recovery {
  readonly ms: number;
  readonly refused: number;
}

const recover = async (gateway: Contender): Promise<Recovery | string> => {
  // The port is open before the worker is there: one call tells that it is.
  const first = await new LoadSession(oneCall(gateway.port)).run();
  if (first.calls !== 1) return `not serving before the kill: ${failureText(first.failures)}`;
  const worker = processTree(gateway.child.pid).find((pid) => pid !== gateway.child.pid);
  if (worker === undefined) return "no worker process found";
  const killed = performance.now();
  process.kill(worker, "SIGKILL");
  let refused = 0;
  while (performance.now() - killed < LIMIT_MS) {
    const outcome = await new LoadSession(oneCall(gateway.port)).run();
    if (outcome.calls === 1) return { ms: performance.now() - killed, refused };
    if (Object.keys(outcome.failures).some((reason) => reason.includes("ECONNREFUSED"))) refused++;
    await pause(GAP_MS);
  }
  return "no call succeeded for ten seconds";
};

const run = async (_wanted: readonly string[], plan: AcceptPlan): Promise<Verdict[]> => {
  const found: Recovery[] = [];
  for (let round = 0; round < plan.rounds; round++) {
    plan.progress(`${NAME}: round ${round + 1}/${plan.rounds}`);
    // A fresh gateway every time: one whose worker keeps dying backs off, as it should.
    const stage = await buildStage([SCENARIOS.find((one) => one.name === "deadline-10x100")!], [plan.subject]);
    const gateway = stage.contenders[0];
    const one = gateway === undefined ? ([...stage.broken.values()][0] ?? "not started") : await recover(gateway);
    await stage.stop();
    if (typeof one === "string") return [failedVerdict(NAME, CLAIM, one)];
    found.push(one);
  }
  const times = found.map((one) => one.ms);
  const refused = found.reduce((sum, one) => sum + one.refused, 0);
  const measured = `${median(times).toFixed(0)} ms, at most ${Math.max(...times).toFixed(0)} ms; ${refused} refused`;
  return [{ name: NAME, claim: CLAIM, measured, holds: median(times) < BAR_MS && refused === 0 }];
};

export const workerDeathClaims: ClaimGroup = { names: [NAME], run };
