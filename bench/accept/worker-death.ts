/** The acceptance line about `kill -9` of the only worker: back within a second, and no connection refused. */
import { pause } from "../children.js";
import { processTree } from "../cpu.js";
import { echoOrder, type LoadOrder } from "../load/order.js";
import { LoadSession } from "../load/session.js";
import { failureText } from "../outcome.js";
import type { Contender } from "../stage.js";
import { median } from "../statistics.js";
import type { ClaimGroup, Verdict } from "./claim.js";
import { freshRounds } from "./fresh.js";

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

const judge = (found: readonly Recovery[]): Pick<Verdict, "measured" | "holds"> => {
  const times = found.map((one) => one.ms);
  const refused = found.reduce((sum, one) => sum + one.refused, 0);
  return {
    measured: `${median(times).toFixed(0)} ms, at most ${Math.max(...times).toFixed(0)} ms; ${refused} refused`,
    holds: median(times) < BAR_MS && refused === 0,
  };
};

export const workerDeathClaims: ClaimGroup = {
  names: [NAME],
  // One whose worker keeps dying backs off, as it should.
  run: (_wanted, plan) =>
    freshRounds<Recovery>({ name: NAME, claim: CLAIM, scenario: "deadline-10x100", measure: recover, judge }, plan),
};
