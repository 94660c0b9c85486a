/**
 * Scenarios whose figure is not CPU per call: the memory that idle connections hold. Must not know tables. Runs once per such
 * scenario. Proxies take turns; each is measured once, because what it has given out once it does not ask for again.
 */
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { pause } from "./children.js";
import { PREFACE, settingsFrame } from "./load/frames.js";
import { makeFigure, type RoundsPlan, type Sample, type ScenarioResult } from "./rounds.js";
import type { Scenario } from "./scenarios.js";
import type { Contender, Stage } from "./stage.js";

const AT_ONCE = 50;
const SETTLE_MS = 1500;
const HELLO = Buffer.concat([Buffer.from(PREFACE, "latin1"), settingsFrame([])]);

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

const measure = async (contender: Contender, scenario: Scenario): Promise<Sample | string> => {
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

/** null = an ordinary scenario, for the rounds. */
export const runSpecial = async (
  stage: Stage,
  scenario: Scenario,
  plan: RoundsPlan,
): Promise<ScenarioResult | null> => {
  if (scenario.idle === 0) return null;
  const found = new Map<Contender, Sample | string>();
  for (const contender of stage.contenders) {
    plan.progress(`${scenario.name}: ${contender.peer.title}`);
    found.set(contender, await measure(contender, scenario));
  }
  const good = (contender: Contender | undefined): Sample[] => {
    const sample = contender === undefined ? undefined : found.get(contender);
    return sample === undefined || typeof sample === "string" ? [] : [sample];
  };
  const ours = good(stage.contenders.find((contender) => contender.peer.name === "sluice"));
  return {
    scenario: scenario.name,
    question: scenario.question,
    unit: scenario.unit,
    measure: "memory",
    client: "own",
    service: stage.serviceName,
    rate: 0,
    figures: [
      ...[...stage.broken].map(([peer, reason]) => makeFigure({ peer }, [], reason, [])),
      ...stage.contenders.map((contender) => {
        const sample = found.get(contender);
        return makeFigure(contender, good(contender), typeof sample === "string" ? sample : null, ours);
      }),
    ],
  };
};
