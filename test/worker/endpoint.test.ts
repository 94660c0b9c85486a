// Responsible for: one address of a service: who waits, who begins where, what happens when it cannot be reached.
// The service is a raw peer, calls are stand-ins. Must not know: callers. Governed by: issue 2, section 6.

import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { pino } from "pino";
import { Clock } from "../../src/shared/base/clock.js";
import type { Connection } from "../../src/shared/http2/connection.js";
import { UPSTREAM_LIMITS } from "../../src/shared/http2/limits.js";
import { openStream } from "../../src/shared/http2/open-stream.js";
import type { Call } from "../../src/worker/call/call.js";
import { makeReadPools } from "../../src/worker/net/read-blocks.js";
import { Turn } from "../../src/worker/net/turn.js";
import { Endpoint } from "../../src/worker/upstream/endpoint.js";
import type { Link } from "../../src/worker/upstream/link.js";
import type { UpstreamContext, UpstreamOptions } from "../../src/worker/upstream/upstreams.js";
import { Events, newShared } from "../http2/fixture.js";
import { freePorts } from "../support/gateway.js";
import { until } from "../support/waiting.js";
import * as f from "../support/wire/frame.js";
import { WireServer } from "../support/wire/server.js";

const OPTIONS: UpstreamOptions = {
  minConnections: 1,
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
  resolveInterval: 60_000,
  maxWaitingCalls: 3,
  cancelBudget: 0,
};

/** Goes only where the test puts it: the turns of a test do not move it. */
function stillClock(time: { now: number }): Clock {
  return Object.defineProperty(new Clock(), "now", { get: () => time.now, set: () => undefined });
}

/** What the relay does with connections' events, as far as an endpoint needs it. */
class LinkEvents extends Events {
  override settings(connection?: Connection): void {
    const link = connection?.owner as Link;
    link.opened();
    link.endpoint.dispatch();
  }
  override goaway(connection?: Connection, last = 0): void {
    const link = connection?.owner as Link;
    link.dismissed(last);
  }
  override wake(connection?: Connection): void {
    const link = connection?.owner as Link;
    link.endpoint.wake(link);
  }
}

interface Scene {
  readonly endpoint: Endpoint;
  readonly time: { now: number };
  readonly outcomes: string[];
  /** @param caller a connection of its own unless said otherwise */
  give(name: string, caller?: object): Call & { name: string };
}

function sceneFor(context: TestContext, port: number, options: Partial<UpstreamOptions> = {}, streams = 1_000): Scene {
  const time = { now: 1_000 };
  const turn = new Turn(stillClock(time));
  const outcomes: string[] = [];
  const nameOf = (call: Call): string => (call as Call & { name: string }).name;
  const upstream: UpstreamContext = {
    turn,
    pools: makeReadPools(),
    engine: { ...newShared(), clock: turn.clock },
    log: pino({ level: "silent" }),
    events: new LinkEvents(),
    limits: { ...UPSTREAM_LIMITS, maxConcurrentStreams: streams },
    options: { ...OPTIONS, ...options },
    runner: {
      begin: (call, link) => {
        openStream(link.connection);
        outcomes.push(`${nameOf(call)} begins on ${link.endpoint.links.indexOf(link)}`);
      },
      unreachable: (call) => outcomes.push(`${nameOf(call)} unreachable`),
      fail: (call, answer) => outcomes.push(`${nameOf(call)} fails ${answer.id}`),
      again: (call) => outcomes.push(`${nameOf(call)} again`),
    },
    checked: () => undefined,
    lookup: () => assert.fail("an address is not looked up"),
  };
  const endpoint = new Endpoint("127.0.0.1", port, upstream);
  context.after(() => endpoint.destroy());
  const give = (name: string, caller: object = {}): Call & { name: string } => {
    const call = { name, waiting: null, down: { connection: caller } } as unknown as Call & { name: string };
    endpoint.give(call);
    return call;
  };
  return { endpoint, time, outcomes, give };
}

async function serviceFor(context: TestContext, greeting?: f.Frame[]): Promise<WireServer> {
  const service = await WireServer.listen(greeting === undefined ? {} : { greeting });
  context.after(() => service.close());
  return service;
}

describe("an endpoint", () => {
  test("connects ahead of need and begins calls in the order in which they waited", async (context) => {
    const service = await serviceFor(context);
    const { endpoint, outcomes, give } = sceneFor(context, service.port);
    for (const name of ["one", "two", "three"]) give(name);
    assert.deepEqual(outcomes, []);
    await until("it is ready", () => endpoint.ready);
    assert.deepEqual(outcomes, ["one begins on 0", "two begins on 0", "three begins on 0"]);
  });

  test("lets only so many calls wait; a call that ended meanwhile makes room", async (context) => {
    const service = await serviceFor(context, []);
    const { outcomes, give } = sceneFor(context, service.port);
    const [first] = ["one", "two", "three"].map((name) => give(name));
    give("four");
    assert.deepEqual(outcomes, ["four fails queue_full"]);
    first!.waiting!.leave();
    give("five");
    assert.equal(outcomes.length, 1);
  });

  test("leaves room for other callers: one caller takes no more places than it leaves free", async (context) => {
    const service = await serviceFor(context, []);
    const { outcomes, give } = sceneFor(context, service.port, { maxWaitingCalls: 8 });
    const greedy = {};
    for (let at = 1; at <= 6; at++) give(`greedy ${at}`, greedy);
    assert.deepEqual(outcomes, ["greedy 5 fails queue_full", "greedy 6 fails queue_full"]);
    give("modest");
    give("late");
    assert.equal(outcomes.length, 2);
  });

  test("begins waiting calls in turn by caller, each caller's in their order", async (context) => {
    const service = await serviceFor(context);
    const { endpoint, outcomes, give } = sceneFor(context, service.port, { maxWaitingCalls: 100 });
    const [many, few] = [{}, {}];
    for (const name of ["a1", "a2", "a3"]) give(name, many);
    for (const name of ["b1", "b2"]) give(name, few);
    await until("it is ready", () => endpoint.ready);
    assert.deepEqual(
      outcomes.map((it) => it.slice(0, 2)),
      ["a1", "b1", "a2", "b2", "a3"],
    );
  });

  test("does not begin calls that ended while they waited", async (context) => {
    const service = await serviceFor(context);
    const { endpoint, outcomes, give } = sceneFor(context, service.port);
    const [one] = ["one", "two"].map((name) => give(name));
    one!.waiting!.leave();
    await until("it is ready", () => endpoint.ready);
    assert.deepEqual(outcomes, ["two begins on 0"]);
  });

  test("is unreachable for those that wait and those that come until its back-off is over, which doubles", async (context) => {
    const [port = 0] = await freePorts(1);
    const { endpoint, time, outcomes, give } = sceneFor(context, port);
    give("waits");
    await until("the attempt has failed", () => outcomes.length === 1);
    give("comes");
    assert.deepEqual(outcomes, ["waits unreachable", "comes unreachable"]);
    for (const delay of [1_000, 2_000, 4_000]) {
      time.now += delay - 1;
      endpoint.tick(time.now);
      assert.deepEqual([endpoint.links.length, endpoint.hopeful], [0, false]);
      time.now += 1;
      assert.equal(endpoint.hopeful, true);
      endpoint.tick(time.now);
      assert.equal(endpoint.links.length, 1, `tried again after ${delay} ms`);
      await until("the attempt has failed", () => endpoint.links.length === 0);
    }
  });

  for (const [does, greeting] of [
    ["says GOAWAY", [f.settings(), f.goaway(0, f.Code.NO_ERROR)]],
    ["takes no call from the start", [f.settings(), f.goaway(f.MAX_WINDOW, f.Code.NO_ERROR)]],
  ] as const) {
    test(`backs off from a service that greets and ${does}, time after time`, async (context) => {
      const service = await serviceFor(context, [...greeting]);
      const { endpoint, time } = sceneFor(context, service.port);
      for (const delay of [1_000, 2_000, 4_000]) {
        await until("it has given up for a while", () => {
          endpoint.tick(time.now);
          return !endpoint.hopeful;
        });
        time.now += delay - 1;
        endpoint.tick(time.now);
        assert.equal(endpoint.hopeful, false);
        time.now += 1;
        assert.equal(endpoint.hopeful, true, `tried again after ${delay} ms`);
      }
    });
  }

  test("opens another connection when the first is crowded, never more than allowed", async (context) => {
    const service = await serviceFor(context);
    const { endpoint, outcomes, give } = sceneFor(context, service.port, { maxWaitingCalls: 100 }, 8);
    await until("it is ready", () => endpoint.ready);
    for (let at = 0; at < 20; at++) give(`call ${at}`);
    await until("both are full", () => outcomes.length === 16);
    assert.equal(endpoint.links.length, 2);
    assert.equal(endpoint.hasWaiting, true);
    assert.equal(outcomes.filter((it) => it.endsWith("on 0")).length, 8);
  });

  test("peers 26: asks for no more streams than the service allows, from its SETTINGS on", async (context) => {
    const service = await serviceFor(context, [f.settings([f.Setting.MAX_CONCURRENT_STREAMS, 2])]);
    const { endpoint, outcomes, give } = sceneFor(context, service.port, { maxConnections: 1 });
    await until("it is ready", () => endpoint.ready);
    for (const name of ["one", "two", "three"]) give(name);
    assert.deepEqual(outcomes, ["one begins on 0", "two begins on 0"]);
  });

  test("replaces a connection on which many calls were cancelled, before the service ends it for all", async (context) => {
    const service = await serviceFor(context);
    const { endpoint, time, give, outcomes } = sceneFor(context, service.port, { cancelBudget: 100 });
    await until("it is ready", () => endpoint.ready);
    const [first] = endpoint.links;
    for (let at = 0; at < 99; at++) first!.cancelled();
    assert.equal(endpoint.links.length, 1);
    time.now += 2_000;
    for (let at = 0; at < 10; at++) first!.cancelled();
    assert.equal(endpoint.links.length, 1, "time has paid a tenth back");
    first!.cancelled();
    assert.equal(endpoint.links.length, 2, "another one is on its way");
    await until("it is there", () => endpoint.links.every((link) => link.room > 0));
    time.now += 100;
    first!.cancelled();
    assert.equal(first!.room, 0);
    give("next");
    assert.equal(outcomes.length, 1);
    await until("the worn one is gone", () => {
      time.now += 100;
      endpoint.tick(time.now);
      return endpoint.links.length === 1;
    });
  });

  test("that is retired gives its waiting calls back and takes no more", async (context) => {
    const service = await serviceFor(context, []);
    const { endpoint, outcomes, give } = sceneFor(context, service.port);
    give("waits");
    endpoint.retire();
    assert.deepEqual(outcomes, ["waits unreachable"]);
    assert.equal(endpoint.hopeful, false);
  });

  test("gives up a connection that is not ready within the time to connect", async (context) => {
    const service = await serviceFor(context, []);
    const { endpoint, time, outcomes, give } = sceneFor(context, service.port);
    give("waits");
    time.now += 4_999;
    endpoint.tick(time.now);
    assert.equal(outcomes.length, 0);
    time.now += 1;
    endpoint.tick(time.now);
    await until("it has given up", () => outcomes.length === 1);
    assert.deepEqual(outcomes, ["waits unreachable"]);
  });
});
