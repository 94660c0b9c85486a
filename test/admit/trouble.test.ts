import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RedisStore } from "../../src/shared/store/redis.js";
import { EVERYTHING_CHANGED, KEYS_CHANGED } from "../../src/shared/store/store.js";
import * as verdicts from "../../src/worker/admit/verdicts.js";
import { heard } from "../store/both-stores.js";
import { type RedisServer, redisMissing, startRedis } from "../store/redis-server.js";
import { definition, makeBench, token } from "./gate-bench.js";

const rights = { access_rights: { test: {} } };

async function open(server: RedisServer): Promise<RedisStore> {
  const store = new RedisStore({
    host: "127.0.0.1",
    port: server.port,
    commandTimeoutMs: 150,
    nodeSecret: "",
    allowUnsigned: false,
  });
  await store.open();
  return store;
}

describe("the gate while Redis is in trouble", { skip: redisMissing() }, () => {
  test("killed and restarted: known keys go on, unknown ones are unavailable, then all is as before", async (t) => {
    const server = await startRedis(["--appendonly", "yes", "--appendfsync", "always"]);
    t.after(() => server.stop());
    const store = await open(server);
    t.after(() => store.close());
    const b = makeBench(store, [definition()]);
    t.after(() => b.gate.close());
    const key = await b.key("known", rights);
    const other = await b.key("other", rights);
    const decision = await b.ask(token(key));
    const gone = heard(store.onHealth.bind(store), (health) => !health.ok);
    await server.kill();
    await gone;
    b.clock.now += 20_000;
    await b.gate.tick();
    assert.equal(b.gate.holds(decision, b.clock.now), true);
    assert.equal((await b.ask(token(key))).verdict, 0);
    assert.equal((await b.ask(token(other))).verdict, verdicts.STORE_AWAY);
    const back = heard(store.onHealth.bind(store), (health) => health.ok);
    const forget = heard(store.subscribe.bind(store), (change) => change.command === EVERYTHING_CHANGED);
    await server.again();
    await Promise.all([back, forget]);
    assert.equal((await b.ask(token(other))).verdict, 0);
    assert.equal(b.gate.holds(decision, b.clock.now), true);
  });

  test("frozen: nobody waits longer than the command timeout, and afterwards nobody waits at all", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const store = await open(server);
    t.after(() => store.close());
    const b = makeBench(store, [definition()]);
    t.after(() => b.gate.close());
    const key = await b.key("known", rights);
    const other = await b.key("other", rights);
    assert.equal((await b.ask(token(key))).verdict, 0);
    server.freeze();
    const asked = Array.from({ length: 50 }, (_, n) => b.ask(token(n % 2 === 0 ? other : `unknown-${n}`)));
    for (const decision of await Promise.all(asked)) assert.equal(decision.verdict, verdicts.STORE_AWAY);
    assert.equal(store.health().ok, false);
    assert.equal((await b.ask(token(other))).verdict, verdicts.STORE_AWAY);
    assert.equal((await b.ask(token(key))).verdict, 0);
    const back = heard(store.onHealth.bind(store), (health) => health.ok);
    server.thaw();
    await back;
    assert.equal((await b.ask(token(other))).verdict, 0);
  });

  test("a key revoked on one replica stops on the other by the message alone", async (t) => {
    const server = await startRedis();
    t.after(() => server.stop());
    const [here, there] = [await open(server), await open(server)];
    t.after(() => Promise.all([here.close(), there.close()]));
    const b = makeBench(here, [definition()]);
    const elsewhere = makeBench(there, [definition()]);
    t.after(() => [b, elsewhere].map((each) => each.gate.close()));
    for (let n = 0; n < 20; n++) {
      const key = await elsewhere.key(`revoked-${n}`, rights);
      const decision = await b.ask(token(key));
      assert.equal(decision.verdict, 0);
      const name = decision.session?.name;
      const told = heard(
        here.subscribe.bind(here),
        (change) => change.command === KEYS_CHANGED && change.payload === name,
      );
      await elsewhere.revoke(key);
      await told;
      assert.equal(b.gate.holds(decision, b.clock.now), false);
      assert.equal((await b.ask(token(key))).verdict, verdicts.KEY_NOT_FOUND);
    }
  });
});
