/**
 * One run of one scenario against one port: picks the client, starts it, hands back what it counted. Must not know proxies' names.
 * Runs once per round.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { onPath } from "./children.js";
import { runH2load } from "./h2load.js";
import { ECHO_PATH, givePath, message, TAKE_PATH } from "./load/message.js";
import type { LoadOrder } from "./load/order.js";
import { runGrpcJs, runOwnClient } from "./load/run-client.js";
import type { Outcome } from "./outcome.js";
import type { Scenario } from "./scenarios.js";
import { type Contender, placeOnCores, type Stage, scratchFolder } from "./stage.js";

export interface Drive {
  readonly scenario: Scenario;
  readonly port: number;
  /** Of the proxy: each is given the scenario's connections. */
  readonly workers: number;
  readonly seconds: number;
  readonly client: "own" | "h2load" | "grpc-js";
  /** Calls per second in the open loop; 0 = closed. */
  readonly rate: number;
  readonly serviceName: string;
  /** Processes of our client, or threads of h2load; null = as many as saturate the proxy where there are cores for them. */
  readonly processes: number | null;
}

/** A worker of Sluice carries calls about as fast as two of our clients can check them. */
const CLIENTS_PER_WORKER = 2;

/** One core of the load's is the service's; of connections each process must have one. */
export const loadProcesses = (workers: number, loadCores: number, connections: number): number =>
  Math.max(1, Math.min(CLIENTS_PER_WORKER * workers, loadCores - 1, connections));

/** One run through a contender of the stage. */
export const driveThrough = (
  stage: Pick<Stage, "serviceName">,
  contender: Contender,
  run: Pick<Drive, "scenario" | "seconds" | "client" | "rate" | "processes">,
): Drive => ({
  ...run,
  port: contender.port,
  workers: contender.place.workers,
  serviceName: stage.serviceName,
});

/** Who drives: the wish of the command line, else of the scenario, as far as the program can do it. */
export const chooseClient = (scenario: Scenario, wish: string | null): Drive["client"] => {
  const able =
    onPath("h2load") !== null && scenario.kind === "unary" && !scenario.varying && scenario.service === "nghttpd";
  if (wish === "grpc-js") return "grpc-js";
  const preferred = wish ?? scenario.client;
  return preferred === "h2load" && able ? "h2load" : "own";
};

const requestFile = (bytes: number): string => {
  const file = join(scratchFolder(), `request-${bytes}`);
  writeFileSync(file, message(bytes));
  return file;
};

const pathOf = (scenario: Scenario, serviceName: string): string => {
  if (scenario.kind === "client") return TAKE_PATH;
  if (scenario.kind === "bidi") return ECHO_PATH;
  const echoes = serviceName === "echo" && scenario.kind === "unary" && scenario.requestBytes === scenario.replyBytes;
  return echoes ? ECHO_PATH : givePath(scenario.messages, scenario.replyBytes);
};

export const orderOf = (drive: Drive): LoadOrder => {
  const { scenario } = drive;
  return {
    port: drive.port,
    tls: scenario.tls !== "none",
    kind: scenario.kind,
    path: pathOf(scenario, drive.serviceName),
    connections: scenario.connections * drive.workers,
    streams: scenario.streams,
    seconds: drive.seconds,
    calls: 0,
    requestBytes: scenario.requestBytes,
    replyBytes: scenario.replyBytes,
    messages: scenario.messages,
    varying: scenario.varying,
    keys: scenario.keys,
    rate: drive.rate,
    tolerant: scenario.rateShare === "most",
    beside: scenario.beside,
    storm: scenario.storm,
    resume: scenario.resume,
    reconnect: scenario.reconnect,
  };
};

export const drive = async (run: Drive): Promise<Outcome> => {
  const { scenario } = run;
  const cores = placeOnCores(scenario.workers).load;
  const order = orderOf(run);
  // Where all share all cores there are none to spare.
  const spare = cores === "" ? 1 : cores.split(",").length;
  const processes = run.processes ?? loadProcesses(scenario.workers, spare, order.connections);
  if (run.client === "own") return runOwnClient(order, cores, processes);
  if (run.client === "grpc-js") return runGrpcJs(order, cores);
  return runH2load({
    port: run.port,
    tls: order.tls,
    path: order.path,
    connections: order.connections,
    streams: order.streams,
    seconds: run.seconds,
    requestFile: requestFile(order.requestBytes),
    replyBytes: order.replyBytes,
    cores,
    threads: processes,
  });
};
