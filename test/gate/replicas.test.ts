// Responsible for: limits and revocations over all workers and replicas together, under load and when a worker is killed.
// Governed by: issue "The gate", acceptance. Figures about milliseconds and shares are judged by `npm run accept`.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { redisMissing } from "../store/redis-server.js";
import { until as eventually } from "../support/waiting.js";
import { type Caller, token } from "./caller.js";
import { type Json, rights } from "./control.js";
import { calls, fullestSpan, fullestWindow, type Order, type Outcome, paced, tally, until, withCode } from "./load.js";
import { type HomeName, keyed, World } from "./world.js";

const { OK, RESOURCE_EXHAUSTED, UNAUTHENTICATED, UNAVAILABLE } = status;
const DAY = 86_400;
const CALLERS = 8;
const PATH = "/shared.Api/M";

interface Place {
  readonly says: string;
  readonly home: HomeName;
  readonly gateways: number;
  readonly workers: number;
}

const PLACES: Place[] = [
  { says: "one gateway with four workers, embedded", home: "embedded", gateways: 1, workers: 4 },
  { says: "two gateways with two workers each, redis", home: "redis", gateways: 2, workers: 2 },
];

const definitions = (target: string): Json[] => [keyed("shared", target, "/shared.Api")];

const startAt = async ({ home, gateways, workers }: Place, settings: Json = {}): Promise<World> =>
  World.start({ home, gateways, workers, definitions, settings });

/** Eight callers, as many on each replica, all connected. */
async function connect(world: World): Promise<Caller[]> {
  const callers = Array.from({ length: CALLERS }, (_, n) => world.caller(n % world.gateways.length));
  await Promise.all(callers.map((caller) => caller.ready()));
  return callers;
}

const order = async (world: World, callers: Caller[], session: Json): Promise<Order> => ({
  callers,
  path: PATH,
  fields: token((await world.control().key({ access_rights: rights(["shared"]), ...session })).key),
});

for (const place of PLACES) {
  describe(`limits over ${place.says}`, { skip: place.home === "redis" ? redisMissing() : false }, () => {
    let world: World;
    let callers: Caller[];
    before(async () => {
      world = await startAt(place);
      callers = await connect(world);
    });
    after(() => world?.stop());

    it("13,000 calls on a quota of 10,000 are exactly 10,000 that pass and 3,000 that do not", async () => {
      const before = world.service.calls;
      const it = await order(world, callers, { quota_max: 10_000, quota_renewal_rate: DAY });
      const outcomes = await calls(it, 13_000);
      assert.equal(withCode(outcomes, OK).length, 10_000, tally(outcomes));
      assert.equal(withCode(outcomes, RESOURCE_EXHAUSTED).length, 3_000, tally(outcomes));
      assert.equal(world.service.calls - before, 10_000);
    });

    it("no window of a second holds more than a rate of 500 under four times the load", async () => {
      const it = await order(world, callers, { rate: 500, per: 1 });
      const outcomes = await paced(it, 2_000, 6_000);
      const passed = withCode(outcomes, OK);
      assert.equal(passed.length + withCode(outcomes, RESOURCE_EXHAUSTED).length, outcomes.length, tally(outcomes));
      assert.ok(fullestWindow(passed, 1_000) <= 500, `${fullestWindow(passed, 1_000)} in a window`);
      const windows = windowsOf(outcomes);
      assert.ok(passed.length <= 500 * windows, `${passed.length} in ${windows} windows`);
      // More than one window's: how much of the rate is used on a quiet machine is for the acceptance line "gate-rate".
      assert.ok(passed.length > 500, `only ${passed.length} passed`);
    });

    it("a key that is deleted passes nowhere on its host once the control API has answered", async () => {
      const it = await order(world, callers, {});
      const { fields } = it;
      let over = false;
      const outcomes: { host: number; outcome: Outcome }[] = [];
      const hammer = callers.map(async (caller, n) => {
        while (!over) {
          const [outcome] = await calls({ ...it, callers: [caller] }, 1, 1);
          outcomes.push({ host: n % world.gateways.length, outcome: outcome! });
        }
      });
      await eventually("every caller had an answer", () => outcomes.length > 20 * CALLERS);
      await world.control().done("DELETE", `/tyk/keys/${encodeURIComponent(fields.authorization!)}`);
      const answered = Date.now();
      const refused = (host: number): number =>
        outcomes.filter((one) => one.host === host && one.outcome.code === UNAUTHENTICATED).length;
      const hosts = world.gateways.map((_, host) => host);
      await eventually("every replica refuses", () => hosts.every((host) => refused(host) > 20 * CALLERS));
      over = true;
      await Promise.all(hammer);
      const late = outcomes.filter(
        ({ host, outcome }) => host === 0 && outcome.sent > answered && outcome.code !== UNAUTHENTICATED,
      );
      assert.equal(late.length, 0);
      // Who once refused never lets it pass again.
      for (const host of hosts) {
        const own = outcomes.filter((one) => one.host === host).map((one) => one.outcome);
        const last = Math.max(...withCode(own, OK).map((one) => one.sent));
        const again = await calls({ ...it, callers: callers.filter((_, n) => n % hosts.length === host) }, 40, 2);
        assert.equal(withCode(again, OK).length, 0, `${host} let it pass again after ${last}`);
      }
    });

    it("a worker that is killed takes at most its lease along, and nothing is admitted twice", async () => {
      const quota = 2_000;
      const it = await order(world, callers, { quota_max: quota, quota_renewal_rate: DAY });
      const before = world.service.calls;
      let killed = false;
      const outcomes = until(it, ({ code }) => killed && code === RESOURCE_EXHAUSTED);
      await eventually("a third of the quota is used", () => world.service.calls - before > quota / 3);
      const [victim] = await world.gateway().workers();
      process.kill(victim!, "SIGKILL");
      killed = true;
      const all = await outcomes;
      const seen = world.service.calls - before;
      assert.ok(seen <= quota, `${seen} reached the service`);
      // A sixteenth of what was left when it was lent, and the calls that stood waiting or were under way.
      const lost = quota / 16 + 2 * 4 * CALLERS;
      assert.ok(seen >= quota - lost, `only ${seen} reached the service: ${tally(all)}`);
      const codes = new Set(all.map(({ code }) => code));
      codes.delete(OK);
      codes.delete(RESOURCE_EXHAUSTED);
      codes.delete(UNAVAILABLE);
      assert.equal(codes.size, 0, tally(all));
      await eventually(
        "the worker is replaced",
        async () => (await world.gateway().workers()).length === place.workers,
      );
    });
  });

  describe(`exact limits over ${place.says}`, { skip: place.home === "redis" ? redisMissing() : false }, () => {
    let world: World;
    before(async () => {
      world = await startAt(place, { enable_redis_rolling_limiter: true });
    });
    after(() => world?.stop());

    it("no span of a second holds more than 500, wherever it begins", async () => {
      const it = await order(world, await connect(world), { rate: 500, per: 1 });
      const outcomes = await paced(it, 1_500, 4_000);
      const passed = withCode(outcomes, OK);
      assert.equal(passed.length + withCode(outcomes, RESOURCE_EXHAUSTED).length, outcomes.length, tally(outcomes));
      assert.ok(fullestSpan(passed, 1_000) <= 500, `${fullestSpan(passed, 1_000)} in a span`);
      assert.ok(passed.length > 500, `only ${passed.length} passed`);
    });
  });
}

/** Windows of a second that the calls touched. */
function windowsOf(outcomes: readonly Outcome[]): number {
  const first = Math.min(...outcomes.map(({ sent }) => Math.floor(sent / 1_000)));
  const last = Math.max(...outcomes.map(({ answered }) => Math.floor(answered / 1_000)));
  return last - first + 1;
}
