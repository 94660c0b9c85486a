// Responsible for: what upstream pieces need around them, without a data plane: a clock that a test sets, a relay that
// writes down what it is told. Must not know: what is tested. How often: tests only.

import type { TestContext } from "node:test";
import { pino } from "pino";
import { Clock } from "../../src/shared/base/clock.js";
import type { Connection } from "../../src/shared/http2/connection.js";
import { UPSTREAM_LIMITS } from "../../src/shared/http2/limits.js";
import type { Call } from "../../src/worker/call/call.js";
import { Relay } from "../../src/worker/call/relay.js";
import { ServiceEvents } from "../../src/worker/call/service-events.js";
import { makeReadPools } from "../../src/worker/net/read-blocks.js";
import { Turn } from "../../src/worker/net/turn.js";
import type { Lookup } from "../../src/worker/upstream/target-pool.js";
import { type UpstreamContext, type UpstreamOptions, Upstreams } from "../../src/worker/upstream/upstreams.js";
import { newShared } from "../http2/fixture.js";

const OPTIONS: UpstreamOptions = {
  minConnections: 0,
  maxConnections: 2,
  connectTimeout: 5_000,
  keepaliveTime: 0,
  keepaliveTimeout: 0,
  maxAge: 0,
  maxAgeJitter: 0,
  idleTimeout: 0,
  backoffInitial: 1_000,
  backoffMax: 60_000,
  backoffJitter: 0,
  resolveInterval: 30_000,
  maxWaitingCalls: 8,
  cancelBudget: 0,
};

/** Goes only where the test puts it. */
function stillClock(time: { now: number }): Clock {
  return Object.defineProperty(new Clock(), "now", { get: () => time.now, set: () => undefined });
}

export interface UpstreamScene {
  readonly upstreams: Upstreams;
  readonly time: { now: number };
  /** What became of calls, and what the log was told. */
  readonly outcomes: string[];
  readonly lines: { msg: string; [more: string]: unknown }[];
  readonly log: UpstreamContext["log"];
  call(name: string): Call;
}

export interface UpstreamSceneOptions {
  readonly lookup?: Lookup;
  readonly options?: Partial<UpstreamOptions>;
  readonly checked?: () => void;
}

export function upstreamScene(context: TestContext, given: UpstreamSceneOptions = {}): UpstreamScene {
  const time = { now: 1_000 };
  const turn = new Turn(stillClock(time));
  const outcomes: string[] = [];
  const lines: { msg: string }[] = [];
  const log = pino({ base: null }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const nameOf = (call: Call): string => (call as Call & { name: string }).name;
  const upstreams = new Upstreams({
    turn,
    pools: makeReadPools(),
    engine: { ...newShared(), clock: turn.clock },
    log,
    events: new ServiceEvents(new Relay(log, turn)),
    limits: UPSTREAM_LIMITS,
    options: { ...OPTIONS, ...given.options },
    lookup: given.lookup ?? (() => undefined),
    checked: given.checked ?? (() => undefined),
    runner: {
      begin: (call, link) => void outcomes.push(`${nameOf(call)} begins at ${link.endpoint.address}`),
      unreachable: (call) => void outcomes.push(`${nameOf(call)} unreachable`),
      again: (call) => void outcomes.push(`${nameOf(call)} again`),
      fail: (call, answer) => void outcomes.push(`${nameOf(call)} fails ${answer.id}`),
    },
  });
  context.after(() => upstreams.destroy());
  const call = (name: string): Call => {
    const down = { connection: {} as Connection };
    return { name, down, seat: null, waiting: null, target: -1, outcome: 0, finished: false } as unknown as Call;
  };
  return { upstreams, time, outcomes, lines, log, call };
}
