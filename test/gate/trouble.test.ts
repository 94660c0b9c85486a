// Responsible for: calls while Redis is dead, frozen or has forgotten everything, and after it came back.
// Governed by: issue "The gate", item 7 and acceptance.

import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { redisMissing } from "../store/redis-server.js";
import { until as eventually } from "../support/waiting.js";
import { type Caller, token } from "./caller.js";
import { type Control, type Json, rights } from "./control.js";
import { type Order, type Outcome, tally, until, withCode } from "./load.js";
import { keyed, World } from "./world.js";

const { OK, RESOURCE_EXHAUSTED, UNAUTHENTICATED, UNAVAILABLE } = status;
const DAY = 86_400;
const PATH = "/trouble.Api/M";
const QUOTA = 3_000;

const definitions = (target: string): Json[] => [keyed("trouble", target, "/trouble.Api")];
const session = (more: Json = {}): Json => ({ org_id: "test", access_rights: rights(["trouble"]), ...more });

/** Calls one after another on every caller, until it is told to end. */
class Traffic {
  readonly outcomes: Outcome[] = [];
  private over = false;
  private readonly running: Promise<unknown>;

  constructor(order: Order) {
    const note = (outcome: Outcome): boolean => {
      this.outcomes.push(outcome);
      return this.over;
    };
    this.running = until(order, note, 2);
  }

  /** Resolves when so many more calls have ended than now. */
  more(count: number): Promise<void> {
    const goal = this.outcomes.length + count;
    return eventually("more calls have ended", () => this.outcomes.length >= goal);
  }

  async end(): Promise<void> {
    this.over = true;
    await this.running;
  }
}

for (const persistent of [true, false]) {
  const says = persistent ? "that keeps every write" : "that keeps nothing";
  const words = persistent ? ["--appendonly", "yes", "--appendfsync", "always"] : [];
  describe(`Redis ${says}`, { skip: redisMissing() }, () => {
    let world: World;
    let control: Control;
    let callers: Caller[];
    const alive: Traffic[] = [];
    before(async () => {
      world = await World.start({ home: "redis", gateways: 2, workers: 2, definitions, redis: words });
    });
    after(() => world?.stop());
    beforeEach(async () => {
      control = world.control();
      callers = Array.from({ length: 8 }, (_, n) => world.caller(n % 2));
      await Promise.all(callers.map((caller) => caller.ready()));
    });
    afterEach(async () => {
      world.redis?.thaw();
      await Promise.all(alive.splice(0).map((traffic) => traffic.end()));
      for (const caller of callers) caller.close();
    });

    const traffic = (key: string): Traffic => {
      const made = new Traffic({ callers, path: PATH, fields: token(key) });
      alive.push(made);
      return made;
    };
    const unknown = async (): Promise<number[]> => [
      ...new Set(
        await Promise.all(callers.map((caller, n) => caller.code(PATH, token(`never-seen-${Date.now()}-${n}`)))),
      ),
    ];
    const isDown = async (): Promise<boolean> => (await unknown()).every((code) => code === UNAVAILABLE);
    const isUp = async (): Promise<boolean> => (await unknown()).every((code) => code === UNAUTHENTICATED);
    const hello = async (): Promise<string> => {
      const answer = await fetch(`http://127.0.0.1:${world.gateway().controlPort}/hello`);
      return String(((await answer.json()) as Json)["status"]);
    };

    for (const how of ["killed and restarted", "frozen and thawed"] as const) {
      it(`${how}: known keys go on, unknown ones are UNAVAILABLE, quotas are kept`, async () => {
        const free = (await control.key(session())).key;
        const name = `counted-${how.slice(0, 6)}-${persistent}`;
        const limited = session({ quota_max: QUOTA, quota_renewal_rate: DAY });
        const counted = (await control.key(limited, name)).key;
        const before = world.service.calls;
        const freely = traffic(free);
        const counting = traffic(counted);
        await Promise.all([freely.more(200), counting.more(400)]);
        if (how === "killed and restarted") await world.redis!.kill();
        else world.redis!.freeze();
        await eventually("unknown keys are UNAVAILABLE everywhere", isDown);
        await freely.more(200);
        await eventually("/hello warns", async () => (await hello()) === "warn");
        assert.deepEqual(await unknown(), [UNAVAILABLE]);
        if (how === "killed and restarted") await world.redis!.again();
        else world.redis!.thaw();
        await eventually("unknown keys are unknown again", isUp);
        // The primary has a connection of its own, which comes back by itself.
        await eventually("the control API has its store again", async () => (await hello()) === "pass");
        if (!persistent && how === "killed and restarted") {
          // What it forgot of keys is written again; what it forgot of counters, the workers know.
          await control.done("POST", `/tyk/keys/${name}?suppress_reset=1`, limited);
        } else {
          await freely.more(200);
          assert.equal(withCode(freely.outcomes, OK).length, freely.outcomes.length, tally(freely.outcomes));
        }
        await freely.end();
        await eventually("the quota is used up", () =>
          counting.outcomes.slice(-60).every((one) => one.code === RESOURCE_EXHAUSTED),
        );
        await counting.end();
        const used = world.service.calls - before - withCode(freely.outcomes, OK).length;
        assert.ok(used <= QUOTA, `${used} of ${QUOTA}: ${tally(counting.outcomes)}`);
        assert.equal(withCode(counting.outcomes, OK).length, used);
        if (persistent || how === "frozen and thawed") assert.equal(used, QUOTA, tally(counting.outcomes));
        const strange = counting.outcomes.filter(
          ({ code }) => code !== OK && code !== RESOURCE_EXHAUSTED && code !== UNAVAILABLE && code !== UNAUTHENTICATED,
        );
        assert.equal(strange.length, 0, tally(counting.outcomes));
        await eventually("/hello passes", async () => (await hello()) === "pass");
        for (const { logs } of world.gateways) assert.doesNotMatch(logs, /unhandled|uncaught/i);
      });
    }
  });
}

describe("a gateway that starts while Redis is away", { skip: redisMissing() }, () => {
  let world: World;
  before(async () => {
    world = await World.start({ home: "redis", definitions });
  });
  after(() => world?.stop());

  it("answers UNAVAILABLE to every key and serves them when Redis comes", async () => {
    const { key } = await world.control().key(session());
    await world.redis!.kill();
    const late = await world.addGateway({ home: "redis", definitions });
    assert.ok(late.pid > 0);
    const caller = world.caller(1);
    assert.equal(await caller.code(PATH, token(key)), UNAVAILABLE);
    assert.equal(await caller.code(PATH), UNAUTHENTICATED);
    await world.redis!.again();
    // Nothing was kept: the key is made again.
    await eventually(
      "the control API can write",
      async () => (await world.control(1).ask("POST", "/tyk/keys/again", session())).status === 200,
    );
    await eventually("the key is served", async () => (await caller.code(PATH, token("again"))) === OK);
  });
});
