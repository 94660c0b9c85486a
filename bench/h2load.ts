/**
 * h2load as a driver: starts it for some seconds and reads its summary. It knows nothing of gRPC, so its figures are trusted only as
 * far as they can be: every call must be 2xx, none failed, and the body bytes must be exactly those of the calls counted.
 * Must not know proxies. Runs once per round.
 */
import { startChild } from "./children.js";
import type { Outcome } from "./outcome.js";

export interface H2loadRun {
  readonly port: number;
  readonly tls: boolean;
  readonly path: string;
  readonly connections: number;
  readonly streams: number;
  readonly seconds: number;
  readonly requestFile: string;
  readonly replyBytes: number;
  readonly cores: string;
  readonly threads: number;
}

const number = (text: string, pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0);

const MICROSECONDS: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6 };

/** "3.53ms" → 3530. */
export const readDuration = (text: string): number => {
  const [, digits = "0", unit = "us"] = /^([\d.]+)(us|ms|s)$/.exec(text) ?? [];
  return Number(digits) * (MICROSECONDS[unit] ?? 1);
};

export const readSummary = (text: string, replyBytes: number): Outcome => {
  const failures: Record<string, number> = {};
  const calls = number(text, /(\d+) succeeded/);
  const failed = number(text, /(\d+) failed/);
  const refused = number(text, /2xx, (\d+) 3xx/) + number(text, /(\d+) 4xx/) + number(text, /(\d+) 5xx/);
  const data = number(text, /\((\d+)\) data/);
  if (failed > 0) failures["h2load: call failed"] = failed;
  if (refused > 0) failures["h2load: status is not 2xx"] = refused;
  if (calls === 0) failures["h2load: not one call succeeded"] = 1;
  // Bodies of calls that were cut off at the end may be in the sum: it can be larger, never smaller.
  if (data < calls * replyBytes) failures["h2load: short body"] = calls - Math.floor(data / replyBytes);
  return {
    calls,
    messages: calls,
    bytes: data,
    seconds: number(text, /finished in ([\d.]+)s/),
    failures,
    latency: null,
    clientNs: 0,
  };
};

export const runH2load = async (run: H2loadRun): Promise<Outcome> => {
  const args = [
    `-c${run.connections}`,
    `-t${Math.min(run.threads, run.connections)}`,
    `-m${run.streams}`,
    `-D${Math.round(run.seconds * 1000)}ms`,
    `-d${run.requestFile}`,
    "-Hcontent-type: application/grpc",
    "-Hte: trailers",
    "-Huser-agent: grpc-bench/1.0",
    "-Hgrpc-accept-encoding: identity,deflate,gzip",
    `${run.tls ? "https" : "http"}://127.0.0.1:${run.port}${run.path}`,
  ];
  const child = startChild("h2load", { file: "h2load", args }, run.cores);
  const limit = setTimeout(() => void child.stop(), run.seconds * 1000 + 20_000);
  const code = await child.ended;
  clearTimeout(limit);
  const outcome = readSummary(child.output(), run.replyBytes);
  return code === 0
    ? outcome
    : { ...outcome, failures: { ...outcome.failures, [`h2load ended with code ${code}`]: 1 } };
};
