/**
 * Scenarios that are not calls: the memory that idle connections hold, and the control port. Must not know tables. Runs once per such
 * scenario. Memory is measured once per process, because what it has given out once it does not ask for again.
 */
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { pause } from "./children.js";
import { takeControlSample } from "./control.js";
import { ACK, PREFACE, SETTINGS, settingsFrame } from "./load/frames.js";
import { makeFigure, type RoundsPlan, type Sample, type ScenarioResult } from "./rounds.js";
import type { Scenario } from "./scenarios.js";
import type { Contender, Stage } from "./stage.js";

const AT_ONCE = 50;
const SETTLE_MS = 1500;
const HELLO = Buffer.concat([Buffer.from(PREFACE, "latin1"), settingsFrame([])]);
/** Proxies close connections whose caller does not acknowledge their settings. */
const SETTINGS_ACK = Buffer.from([0, 0, 0, SETTINGS, ACK, 0, 0, 0, 0]);

/** Resolves when the proxy has answered with its settings: only then does it hold all it needs for the connection. */
const openIdle = (port: number, tls: boolean): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const at = { port, host: "127.0.0.1" };
    const socket = tls ? connectTls({ ...at, ALPNProtocols: ["h2"], rejectUnauthorized: false }) : connect(at);
    socket.once("error", reject);
    socket.once(tls ? "secureConnect" : "connect", () => socket.write(HELLO));
    socket.once("data", () => {
      socket.off("error", reject);
      socket.on("error", () => {});
      socket.write(SETTINGS_ACK);
      resolve(socket);
    });
    socket.once("close", () => reject(new Error("connection closed by the proxy")));
  });

const openAll = async (count: number, port: number, tls: boolean, sockets: Socket[]): Promise<void> => {
  while (sockets.length < count) {
    const batch = Math.min(AT_ONCE, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: batch }, () => openIdle(port, tls)))));
  }
};

const takeMemorySample = async (contender: Contender, scenario: Scenario): Promise<Sample | string> => {
  const sockets: Socket[] = [];
  const tls = scenario.tls !== "none";
  try {
    await openAll(100, contender.port, tls, sockets);
    await pause(SETTLE_MS);
    const before = contender.meter.residentBytes();
    const cpu = contender.meter.readNs();
    await openAll(100 + scenario.idle, contender.port, tls, sockets);
    await pause(SETTLE_MS);
    const gone = sockets.filter((socket) => socket.destroyed).length;
    if (gone > 0) return `${gone} of ${sockets.length} idle connections were closed`;
    const residentBytes = contender.meter.residentBytes();
    const kib = (residentBytes - before) / 1024 / scenario.idle;
    const perSecond = scenario.idle / ((contender.meter.readNs() - cpu) / 1e9);
    return { cpuPerUnit: kib, callsPerSecond: perSecond, unitsPerSecond: perSecond, residentBytes, latency: null };
  } catch (error) {
    return `after ${sockets.length} connections: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    for (const socket of sockets) socket.destroy();
  }
};

interface Special {
  readonly measure: "cpu" | "memory";
  readonly client: string;
  readonly contenders: readonly Contender[];
  readonly sample: (contender: Contender) => Promise<Sample | string>;
  readonly rounds: number;
}

const specialOf = (stage: Stage, scenario: Scenario, plan: RoundsPlan): Special | null => {
  const { control } = scenario;
  if (control !== null) {
    const sample = (contender: Contender): Promise<Sample | string> =>
      takeControlSample(contender, scenario, control, plan.seconds);
    return { measure: "cpu", client: "autocannon", contenders: stage.contenders, sample, rounds: plan.rounds };
  }
  if (scenario.idle === 0) return null;
  // A forwarder holds a second socket to the service for each: another question.
  const contenders = stage.contenders.filter((contender) => contender.peer.role !== "floor");
  return {
    measure: "memory",
    client: "own",
    contenders,
    sample: (contender) => takeMemorySample(contender, scenario),
    rounds: 1,
  };
};

/** null = an ordinary scenario, for the rounds. */
export const runSpecial = async (
  stage: Stage,
  scenario: Scenario,
  plan: RoundsPlan,
): Promise<ScenarioResult | null> => {
  const special = specialOf(stage, scenario, plan);
  if (special === null) return null;
  const samples = new Map<Contender, Sample[]>(special.contenders.map((contender) => [contender, []]));
  const failed = new Map<Contender, string>();
  for (let round = 0; round < special.rounds; round++) {
    for (const contender of special.contenders) {
      plan.progress(`${scenario.name}: round ${round + 1}/${special.rounds} ${contender.peer.title}`);
      const sample = await special.sample(contender);
      if (typeof sample === "string") failed.set(contender, sample);
      else samples.get(contender)!.push(sample);
    }
  }
  const sluice = special.contenders.find((contender) => contender.peer.name === "sluice");
  const ours = sluice === undefined || failed.has(sluice) ? [] : samples.get(sluice)!;
  return {
    scenario: scenario.name,
    question: scenario.question,
    unit: scenario.unit,
    measure: special.measure,
    client: special.client,
    service: stage.serviceName,
    rate: 0,
    figures: [
      ...[...stage.broken].map(([peer, reason]) => makeFigure({ peer }, [], reason, [])),
      ...special.contenders.map((one) => makeFigure(one, samples.get(one)!, failed.get(one) ?? null, ours)),
    ],
  };
};
