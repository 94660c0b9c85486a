/**
 * The lines about TLS in front: CPU against nghttpx, and how long calls of a standing connection wait while others storm in. Beside them
 * figures that claim nothing: the storm without pacing, and termination on threads set against termination on the loop.
 * Must not know how a round is measured.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { onPath } from "../children.js";
import { echoOrder } from "../load/order.js";
import { runOwnClient } from "../load/run-client.js";
import { failureText } from "../outcome.js";
import type { Peer } from "../peers/peer.js";
import { type Scenario, scenarioNamed } from "../scenarios.js";
import { buildStage, type Contender, placeOnCores, rsaCertificate } from "../stage.js";
import { median } from "../statistics.js";
import { type AcceptPlan, type ClaimGroup, failedVerdict, type Verdict } from "./claim.js";
import { freshRounds } from "./fresh.js";
import { acceptRounds, ofNghttpx, pairOf, ratioGroup, shareText } from "./ratios.js";

const ratios = ratioGroup(
  new Map([
    ofNghttpx("tls-10x100", 0.6),
    ofNghttpx("tls-50x10", 1.2),
    ofNghttpx("tls-reply-1mb", 1.6),
    ofNghttpx("tls-connect", 1.5),
  ]),
);

const HANDSHAKES = 2_000;
const STORM_AT_ONCE = 50;
/** Behind the callers who are timed on the same core, not behind everything else the machine does. */
const STORM_NICENESS = 5;
/** Calls per second of the standing connection, and for how long they are timed. */
const STEADY_RATE = 200;
const STEADY_SECONDS = 4;
const LONGEST_STORM_S = 120;
const QUIET_FACTOR = 5;
const LEAST_BAR_MS = 20;

interface Storm {
  readonly quiet: number;
  readonly during: number;
  readonly handshakes: number;
  readonly perSecond: number;
}

type Settings = Readonly<Record<string, string>>;

/** The same proxy with an RSA certificate in front, and settings of its own. */
const withRsa = (peer: Peer, settings: Settings): Peer => ({
  ...peer,
  command: (place) => {
    const command = peer.command({ ...place, frontTls: rsaCertificate() });
    return { ...command, env: { ...command.env, ...settings } };
  },
});

const p99 = async (port: number): Promise<number | string> => {
  const order = echoOrder(port, { tls: true, rate: STEADY_RATE, seconds: STEADY_SECONDS, streams: 100 });
  const outcome = await runOwnClient(order, placeOnCores().load);
  return outcome.latency === null || outcome.calls === 0
    ? failureText(outcome.failures) || "no call came through"
    : outcome.latency.p99 / 1_000;
};

/** Killed with this process: its stdin ends. */
const startStorm = (port: number): ChildProcess => {
  const file = fileURLToPath(new URL("./tls-storm.js", import.meta.url));
  const { load } = placeOnCores();
  const pinned = load !== "" && onPath("taskset") !== null ? ["taskset", "-c", load] : [];
  const [program = "", ...args] = ["nice", "-n", String(STORM_NICENESS), ...pinned, process.execPath, file];
  return spawn(program, [...args, String(port), String(STORM_AT_ONCE)], { stdio: ["pipe", "pipe", "inherit"] });
};

const endStorm = async (storm: ChildProcess): Promise<{ done: number; failed: number }> => {
  let printed = "";
  storm.stdout!.on("data", (bytes: Buffer) => {
    printed += bytes;
  });
  storm.stdin!.end();
  await once(storm, "close");
  return JSON.parse(printed || '{"done":0,"failed":0}') as { done: number; failed: number };
};

/** Calls are timed again and again until the storm has brought enough; the worst of them counts. */
const measureStorm = async ({ port }: Contender): Promise<Storm | string> => {
  const quiet = await p99(port);
  if (typeof quiet === "string") return quiet;
  const began = performance.now();
  const waits: number[] = [];
  let handshakes = 0;
  let seconds = 0;
  while (handshakes < HANDSHAKES) {
    const storm = startStorm(port);
    const started = performance.now();
    const wait = await p99(port);
    const { done, failed } = await endStorm(storm);
    if (typeof wait === "string") return wait;
    if (failed > 0) return `${failed} handshakes failed beside ${done}`;
    seconds += (performance.now() - started) / 1_000;
    handshakes += done;
    waits.push(wait);
    if (performance.now() - began > LONGEST_STORM_S * 1_000) return `only ${handshakes} handshakes came`;
  }
  return { quiet, during: Math.max(...waits), handshakes, perSecond: handshakes / seconds };
};

const barOf = (quiet: number): number => Math.max(QUIET_FACTOR * quiet, LEAST_BAR_MS);

const judgeStorm = (found: readonly Storm[]): Pick<Verdict, "measured" | "holds"> => {
  const of = (key: keyof Storm): number => median(found.map((one) => one[key]));
  const bar = barOf(of("quiet"));
  const worst = Math.max(...found.map((one) => one.during));
  return {
    measured: `${of("during").toFixed(1)} ms (quiet ${of("quiet").toFixed(1)}, at worst ${worst.toFixed(1)}), ${of("handshakes")} handshakes a round, ${of("perSecond").toFixed(0)} a second`,
    holds: of("during") < bar,
  };
};

const stormLine = async (name: string, claim: string, settings: Settings, plan: AcceptPlan): Promise<Verdict[]> =>
  freshRounds<Storm>(
    { name, claim, scenario: "tls-storm", measure: measureStorm, judge: judgeStorm },
    { ...plan, subject: withRsa(plan.subject, settings) },
  );

const STORM = "tls-handshake-storm";
const STORM_CLAIM = `p99 of a standing TLS connection beside ${HANDSHAKES} full RSA-2048 handshakes under max(${QUIET_FACTOR} × quiet, ${LEAST_BAR_MS} ms)`;

const storm: ClaimGroup = {
  names: [STORM],
  run: (_wanted, plan) => stormLine(STORM, STORM_CLAIM, {}, plan),
};

export const tlsClaims: readonly ClaimGroup[] = [ratios, storm];

const NO_PACING: Settings = { TYK_GW_HTTPSERVEROPTIONS_HANDSHAKESPERTURN: "0" };
const ON_THREAD: Settings = { TYK_GW_HTTPSERVEROPTIONS_TLSTHREADS: "1" };
const STORMS: Readonly<Record<string, Settings>> = {
  "figure-tls-storm-unpaced": NO_PACING,
  "figure-tls-storm-threads": ON_THREAD,
};
const THREADED = "figure-tls-threads-";
const THREADED_SCENARIOS = [
  "tls-10x100",
  "tls-50x10",
  "tls-reply-1mb",
  "tls-bulk-one",
  "tls-both-10x100",
  "tls-connect",
  "tls-resume",
];

const onThread = (peer: Peer): Peer => ({
  ...peer,
  name: "threads",
  title: "Sluice, TLS on a thread",
  role: "proxy",
  command: (place) => {
    const command = peer.command(place);
    return { ...command, env: { ...command.env, ...ON_THREAD } };
  },
});

/** How much the loop costs of what a thread costs, in the same rounds; on one core both, as everywhere here. */
const threaded = async (name: string, scenario: Scenario, plan: AcceptPlan): Promise<Verdict> => {
  const claim = "CPU with TLS on the loop, in shares of TLS on a thread (a figure, nothing is claimed)";
  const stage = await buildStage([scenario], [plan.subject, onThread(plan.subject)]);
  const result = await acceptRounds(stage, scenario, 0, plan);
  await stage.stop();
  const pair = pairOf(result, plan.subject.name, "threads");
  if (typeof pair === "string") return failedVerdict(name, claim, pair);
  const [loop, thread] = pair.map((figure) => figure.callsPerSecond.toFixed(0));
  return { name, claim, measured: `${shareText(pair)}; ${loop} and ${thread} calls/s`, holds: true };
};

export const tlsFigures: ClaimGroup = {
  names: [...Object.keys(STORMS), ...THREADED_SCENARIOS.map((name) => THREADED + name)],
  run: async (wanted, plan) => {
    const verdicts: Verdict[] = [];
    for (const name of wanted) {
      const settings = STORMS[name];
      if (settings === undefined) verdicts.push(await threaded(name, scenarioNamed(name.slice(THREADED.length)), plan));
      else
        for (const found of await stormLine(name, "as the storm's line (a figure, nothing is claimed)", settings, plan))
          verdicts.push({ ...found, holds: !found.measured.startsWith("failed") });
    }
    return verdicts;
  },
};
