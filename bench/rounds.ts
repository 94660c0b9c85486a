/**
 * Interleaved rounds: every proxy in turn, again and again, so that what the machine does meanwhile hits all of them alike. The order is
 * rotated each round. Must not know tables or files. This is the bench's core; it runs as long as the bench does.
 */
import { chooseClient, type Drive, drive, driveThrough } from "./drive.js";
import { failureText, type Latency, type Outcome } from "./outcome.js";
import { MEGABYTE, type Scenario } from "./scenarios.js";
import type { Contender, Stage } from "./stage.js";
import { median, pairedRatio, spread } from "./statistics.js";

export interface Sample {
  /** CPU microseconds of the proxy's processes per unit of the scenario. */
  readonly cpuPerUnit: number;
  readonly callsPerSecond: number;
  readonly unitsPerSecond: number;
  readonly residentBytes: number;
  readonly latency: Latency | null;
}

export interface Figure {
  readonly peer: string;
  readonly title: string;
  readonly role: "sluice" | "proxy" | "floor";
  readonly samples: readonly Sample[];
  readonly cpuPerUnit: number;
  readonly spread: number;
  readonly low: number;
  readonly high: number;
  readonly callsPerSecond: number;
  readonly residentBytes: number;
  readonly latency: Latency | null;
  /** Sluice's CPU per unit divided by this proxy's, of the same rounds; null without both. */
  readonly ratio: number | null;
  readonly failed: string | null;
}

export interface ScenarioResult {
  readonly scenario: string;
  readonly question: string;
  readonly unit: Scenario["unit"];
  /** What `cpuPerUnit` holds: CPU microseconds, or KiB of memory. */
  readonly measure: "cpu" | "memory";
  readonly client: string;
  readonly service: string;
  readonly rate: number;
  readonly figures: readonly Figure[];
}

export interface RoundsPlan {
  readonly rounds: number;
  readonly seconds: number;
  readonly client: string | null;
  /** Of the load; null = by scenario. */
  readonly processes: number | null;
  readonly progress: (text: string) => void;
}

const unitsOf = (scenario: Scenario, outcome: Outcome): number => {
  if (scenario.unit === "MB") return outcome.bytes / MEGABYTE;
  return scenario.unit === "message" ? outcome.messages : outcome.calls;
};

const WARM_SECONDS = 0.3;
/** What runs once per connection is warm after so many of them (bench/LOG.md), which may take a while where each costs a millisecond. */
const WARM_CONNECTIONS = 2_000;
const WARM_TRIES = 8;
const WARM_SECONDS_COMING = 3;
/** So slowly, and so few at a time, keys are met for the first time; of a million most stay strangers, which is the question then. */
const KEYS_WARMED = { perSecond: 1_500, most: 15_000, streams: 10 };

const warmKeys = (scenario: Scenario): Pick<Drive, "scenario" | "seconds"> => ({
  scenario: { ...scenario, streams: Math.min(scenario.streams, KEYS_WARMED.streams) },
  seconds: Math.min(scenario.keys, KEYS_WARMED.most) / KEYS_WARMED.perSecond,
});

/** One measured run. The CPU of the whole run is set against all of its calls: nothing is cut off at either end. */
export const takeSample = async (contender: Contender, run: Drive): Promise<Sample | string> => {
  const before = contender.meter.readNs();
  const outcome = await drive(run);
  const used = contender.meter.readNs() - before;
  const failures = failureText(outcome.failures);
  if (failures !== "") return failures;
  const units = unitsOf(run.scenario, outcome);
  if (units === 0) return "not one call came through";
  return {
    cpuPerUnit: used / 1000 / units,
    callsPerSecond: outcome.calls / outcome.seconds,
    unitsPerSecond: units / outcome.seconds,
    residentBytes: contender.meter.residentBytes(),
    latency: outcome.latency,
  };
};

const middleLatency = (samples: readonly Sample[]): Latency | null => {
  const kept = samples.map((sample) => sample.latency).filter((latency) => latency !== null);
  if (kept.length === 0) return null;
  const of = (key: keyof Latency): number => median(kept.map((latency) => latency[key]));
  return { p50: of("p50"), p99: of("p99"), p999: of("p999"), max: of("max") };
};

export const makeFigure = (
  contender: Pick<Contender, "peer">,
  samples: readonly Sample[],
  failed: string | null,
  ours: readonly Sample[],
): Figure => {
  const cpu = samples.map((sample) => sample.cpuPerUnit);
  const { name, title, role } = contender.peer;
  const complete = failed === null && samples.length > 0;
  return {
    peer: name,
    title,
    role,
    samples,
    // A failed scenario has no figure at all: it must never look fast.
    cpuPerUnit: complete ? median(cpu) : Number.NaN,
    spread: complete ? spread(cpu) : Number.NaN,
    low: complete ? Math.min(...cpu) : Number.NaN,
    high: complete ? Math.max(...cpu) : Number.NaN,
    callsPerSecond: complete ? median(samples.map((sample) => sample.callsPerSecond)) : Number.NaN,
    residentBytes: complete ? median(samples.map((sample) => sample.residentBytes)) : Number.NaN,
    latency: complete ? middleLatency(samples) : null,
    ratio:
      complete && ours.length > 0 && role !== "sluice"
        ? pairedRatio(
            ours.map((sample) => sample.cpuPerUnit),
            cpu,
          )
        : null,
    failed,
  };
};

/** Verified calls through every proxy before anything counts: warms it up and catches the one that answers wrongly. */
const verify = async (
  stage: Stage,
  scenario: Scenario,
  rate: number,
  failed: Map<string, string>,
  plan: RoundsPlan,
): Promise<void> => {
  for (const contender of stage.contenders) {
    plan.progress(`${scenario.name}: checking ${contender.peer.title}`);
    const checked = { scenario, seconds: scenario.reconnect ? WARM_SECONDS_COMING : WARM_SECONDS };
    let warmed = 0;
    const parts: Pick<Drive, "scenario" | "seconds">[] = scenario.keys > 1 ? [warmKeys(scenario), checked] : [checked];
    if (scenario.reconnect) parts.push(...new Array<typeof checked>(WARM_TRIES - 1).fill(checked));
    for (const part of parts) {
      if (warmed >= WARM_CONNECTIONS && scenario.reconnect) break;
      const outcome = await drive(
        driveThrough(stage, contender, { ...part, client: "own", rate, processes: plan.processes }),
      );
      const failures = failureText(outcome.failures);
      if (failures !== "" || outcome.calls === 0)
        failed.set(contender.peer.name, failures || "not one call came through");
      warmed += outcome.calls;
    }
  }
};

export const runRounds = async (
  stage: Stage,
  scenario: Scenario,
  rate: number,
  plan: RoundsPlan,
): Promise<ScenarioResult> => {
  const client = chooseClient(scenario, plan.client);
  const failed = new Map<string, string>();
  const samples = new Map<string, Sample[]>(stage.contenders.map((one) => [one.peer.name, []]));
  await verify(stage, scenario, rate, failed, plan);
  for (let round = 0; round < plan.rounds; round++) {
    for (let turn = 0; turn < stage.contenders.length; turn++) {
      const contender = stage.contenders[(turn + round) % stage.contenders.length]!;
      const { name, title } = contender.peer;
      if (failed.has(name)) continue;
      plan.progress(`${scenario.name}: round ${round + 1}/${plan.rounds} ${title}`);
      const { seconds, processes } = plan;
      const run = driveThrough(stage, contender, { scenario, seconds, client, rate, processes });
      const sample = await takeSample(contender, run);
      if (typeof sample === "string") failed.set(name, sample);
      else samples.get(name)!.push(sample);
    }
  }
  const ours = failed.has("sluice") ? [] : (samples.get("sluice") ?? []);
  return {
    scenario: scenario.name,
    question: scenario.question,
    unit: scenario.unit,
    measure: "cpu",
    client,
    service: stage.serviceName,
    rate,
    figures: [
      ...[...stage.broken].map(([peer, reason]) => makeFigure({ peer }, [], reason, [])),
      ...stage.contenders.map((one) =>
        makeFigure(one, samples.get(one.peer.name)!, failed.get(one.peer.name) ?? null, ours),
      ),
    ],
  };
};
