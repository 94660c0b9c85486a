/** How fast an open loop runs: the same for every proxy, so that none is timed under less load. Must not know how calls are timed. */
import { drive } from "./drive.js";
import { type RoundsPlan, runRounds } from "./rounds.js";
import type { Scenario } from "./scenarios.js";
import type { Stage } from "./stage.js";

interface Carried {
  /** Calls per second through the dearest HTTP proxy. */
  readonly dearest: number;
  /** Calls per second straight to the service: more than that no proxy can be asked for. */
  readonly direct: number;
}

/** Found once per stage. */
const found = new WeakMap<Stage, Carried>();
/** A schedule needs some air: at the very top the client's own delays would be measured. */
const DIRECT_SHARE = 0.5;
const FIND_SECONDS = 1;

const findCarried = async (stage: Stage, scenario: Scenario, plan: RoundsPlan): Promise<Carried> => {
  const closed: Scenario = { ...scenario, name: `${scenario.name}: finding the rate`, rateShare: 0 };
  const result = await runRounds(stage, closed, 0, { ...plan, rounds: 1, seconds: FIND_SECONDS, client: "own" });
  const proxies = result.figures.filter((figure) => figure.failed === null && figure.role !== "floor");
  const straight = await drive({
    scenario: closed,
    port: stage.servicePort,
    workers: 1,
    seconds: FIND_SECONDS,
    client: "own",
    rate: 0,
    processes: plan.processes,
    serviceName: stage.serviceName,
  });
  return {
    dearest: proxies.length === 0 ? 1000 : Math.min(...proxies.map((figure) => figure.callsPerSecond)),
    direct: straight.calls / straight.seconds,
  };
};

/** 0 for closed loops. */
export const openLoopRate = async (stage: Stage, scenario: Scenario, plan: RoundsPlan): Promise<number> => {
  if (scenario.rateShare === 0) return 0;
  const carried = found.get(stage) ?? (await findCarried(stage, scenario, plan));
  found.set(stage, carried);
  const rate = scenario.rateShare === "most" ? carried.direct * DIRECT_SHARE : carried.dearest * scenario.rateShare;
  return Math.max(1, Math.round(rate));
};
