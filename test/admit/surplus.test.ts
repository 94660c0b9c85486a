/** More credentials than can be checked: who is told what, and what is kept of them. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { GrpcStatus } from "../../src/shared/grpc/status.js";
import type { Store } from "../../src/shared/store/store.js";
import * as verdicts from "../../src/worker/admit/verdicts.js";
import { OffloadError } from "../../src/worker/offload/offload.js";
import { onBothStores } from "../store/both-stores.js";
import { type Bench, basic, definition, makeBench, token } from "./gate-bench.js";

const rights = { access_rights: { test: { api_id: "test", versions: ["Default"] } } };
const user = { ...rights, basic_auth_data: { password: "$2b$right", hash_type: "bcrypt" } };
const users = [definition({ use_basic_auth: true })];

onBothStores("more credentials than can be checked", (home) => {
  const benches: Bench[] = [];
  after(() => {
    for (const each of benches) each.gate.close();
  });
  const bench = (
    store: Store,
    passwords: { verifyBcrypt(password: string, hash: string): Promise<boolean> },
  ): Bench => {
    const made = makeBench(store, users, { passwords });
    benches.push(made);
    return made;
  };

  test("a surplus of passwords is RESOURCE_EXHAUSTED at once; who was checked before notices nothing", async () => {
    const release: (() => void)[] = [];
    const b = bench(await home.open(), {
      verifyBcrypt: (password) =>
        password === "right"
          ? Promise.resolve(true)
          : new Promise((resolve) => {
              release.push(() => resolve(false));
            }),
    });
    await b.key("known", user);
    assert.equal((await b.ask(basic("known", "right"))).verdict, 0);
    const checked = Array.from({ length: 1_024 }, (_, n) => b.ask(basic("known", `guess ${n}`)));
    const surplus = await b.ask(basic("known", "one more"));
    assert.equal(surplus.verdict, verdicts.CHECKS_FULL);
    assert.equal(surplus.validUntil, 0);
    assert.equal(b.gate.verdicts[surplus.verdict]?.grpc, GrpcStatus.RESOURCE_EXHAUSTED);
    assert.equal(b.gate.verdicts[surplus.verdict]?.http, 429);
    assert.equal((await b.ask(basic("known", "right"))).verdict, 0);
    for (const one of release) one();
    for (const decision of await Promise.all(checked)) assert.equal(decision.verdict, verdicts.BASIC_WRONG);
  });

  test("a full pool of threads is a surplus, a broken one is trouble of ours", async () => {
    for (const [failure, verdict] of [
      ["full", verdicts.CHECKS_FULL],
      ["timeout", verdicts.GATE_BUSY],
      ["broken", verdicts.GATE_BUSY],
    ] as const) {
      const b = bench(await home.open(), { verifyBcrypt: () => Promise.reject(new OffloadError(failure)) });
      await b.key(`user-${failure}`, user);
      const decision = await b.ask(basic(`user-${failure}`, "right"));
      assert.deepEqual([decision.verdict, decision.validUntil], [verdict, 0]);
    }
  });

  test("ten thousand new keys at once are all looked up", async () => {
    const b = makeBench(await home.open(), [definition()]);
    benches.push(b);
    const key = await b.key("among them", rights);
    const asked = Array.from({ length: 10_000 }, (_, n) => b.ask(token(n === 5_000 ? key : `stranger-${n}`)));
    const counts = new Map<number, number>();
    for (const { verdict } of await Promise.all(asked)) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
    assert.deepEqual(Object.fromEntries(counts), { 0: 1, [verdicts.KEY_NOT_FOUND]: 9_999 });
  });

  test("unknown keys are remembered up to a bound, and those in use stay", async () => {
    const b = makeBench(await home.open(), [definition()]);
    benches.push(b);
    const key = await b.key("in use", rights);
    const decision = await b.ask(token(key));
    for (let round = 0; round < 6; round++) {
      await Promise.all(Array.from({ length: 5_000 }, (_, n) => b.ask(token(`made up ${round} ${n}`))));
      assert.ok(b.gate.sessions.unknownSize <= 20_000);
      assert.equal(b.gate.sessions.size, 1);
    }
    assert.equal(b.gate.holds(decision, b.clock.now), true);
  });
});

describe("a home that is read in memory", () => {
  test("answers a key's first call before it returns", async (t) => {
    const { EmbeddedStore } = await import("../../src/shared/store/embedded.js");
    const { mkdtempSync, rmSync } = await import("node:fs");
    const { tmpdir } = await import("node:os");
    const { join } = await import("node:path");
    const folder = mkdtempSync(join(tmpdir(), "sluice-now-"));
    const store = new EmbeddedStore({ path: folder });
    t.after(async () => {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    });
    await store.open();
    const b = makeBench(store, [definition()]);
    t.after(() => b.gate.close());
    const key = await b.key("first", rights);
    const request = { api: b.gate.api("test")!, method: "POST", path: "/a.B/C", peer: "127.0.0.1", get: () => key };
    const decision = b.gate.admit(request, () => assert.fail("it was asked later"));
    assert.ok(decision !== 0 && decision.verdict === 0);
    await b.revoke(key);
    assert.equal(b.gate.holds(decision, b.clock.now), false);
    const after = b.gate.admit(request, () => assert.fail("it was asked later"));
    assert.ok(after !== 0 && after.verdict === verdicts.KEY_NOT_FOUND);
  });
});
