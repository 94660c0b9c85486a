// Responsible for: keys that come for the first time, many at once and over several connections: each gets the answer it
// deserves, and what one connection taught counts on the others, for better and for worse.
// Governed by: issue "The gate", items 5 and 8.

import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { until } from "../support/waiting.js";
import { type Caller, token } from "./caller.js";
import { rights } from "./control.js";
import { keyed, onBothHomes, World } from "./world.js";

const PATH = "/strangers.Api/Call";

onBothHomes("keys that come for the first time", (home) => {
  let world: World;
  let callers: Caller[];

  before(async () => {
    world = await World.start({ home, definitions: (target) => [keyed("strangers", target, "/strangers.Api")] });
    callers = [world.caller(), world.caller(), world.caller()];
  });
  after(() => world?.stop());

  it("a burst of a thousand unknown keys with some good ones among them: nobody is told to come back", async () => {
    const good = await Promise.all(
      Array.from({ length: 20 }, async () => (await world.control().key({ access_rights: rights(["strangers"]) })).key),
    );
    const codes = await Promise.all(
      Array.from({ length: 1_000 }, (_, n) =>
        callers[n % 3]!.code(PATH, token(n % 50 === 0 ? good[n / 50]! : `stranger-${n}`)),
      ),
    );
    codes.forEach((code, n) => {
      assert.equal(code, n % 50 === 0 ? status.OK : status.UNAUTHENTICATED, `call ${n}`);
    });
  });

  it("a key that is in use on every connection ends on every connection", async () => {
    const { key } = await world.control().key({ access_rights: rights(["strangers"]) });
    for (let round = 0; round < 3; round++) {
      for (const caller of callers) assert.equal(await caller.code(PATH, token(key)), status.OK);
    }
    await world.control().done("DELETE", `/tyk/keys/${encodeURIComponent(key)}`);
    for (const caller of callers) {
      await until("the key is gone", async () => (await caller.code(PATH, token(key))) === status.UNAUTHENTICATED);
    }
  });

  it("a key that was refused everywhere is let in everywhere once it is made", async () => {
    const name = `later-${home}`;
    const sent = { authorization: "" };
    const made = await world.control().key({ access_rights: rights(["strangers"]) }, name);
    sent.authorization = made.key;
    await world.control().done("DELETE", `/tyk/keys/${encodeURIComponent(made.key)}`);
    for (const caller of [...callers, ...callers, ...callers]) {
      await until("it is refused", async () => (await caller.code(PATH, sent)) === status.UNAUTHENTICATED);
    }
    const again = await world.control().key({ access_rights: rights(["strangers"]) }, name);
    assert.equal(again.key, made.key);
    for (const caller of callers) {
      await until("it is let in", async () => (await caller.code(PATH, sent)) === status.OK);
    }
  });

  it("keys on one connection are never taken for each other", async () => {
    const keys = await Promise.all(
      Array.from({ length: 30 }, async (_, n) => {
        const alias = `number-${n}`;
        const { key } = await world.control().key({ access_rights: rights(["strangers"]), alias });
        return key;
      }),
    );
    for (let round = 0; round < 4; round++) {
      await Promise.all(
        keys.map(async (key, n) => {
          const { code, arrived } = await callers[(n + round) % 3]!.call(PATH, token(key));
          assert.equal(code, status.OK);
          assert.ok(JSON.stringify(arrived).includes(key), "its own credential went on to the service");
        }),
      );
    }
  });
});
