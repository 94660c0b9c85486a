// Responsible for: the guard against guessing as callers meet it. Governed by: setting unknown_keys_per_second.

import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { until } from "../support/waiting.js";
import { type Caller, token } from "./caller.js";
import { rights } from "./control.js";
import { keyed, onBothHomes, World } from "./world.js";

const PATH = "/guessing.Api/Call";

onBothHomes("guessing keys", (home) => {
  let world: World;
  let caller: Caller;

  before(async () => {
    world = await World.start({
      home,
      definitions: (target) => [keyed("guessing", target, "/guessing.Api")],
      settings: { unknown_keys_per_second: 5 },
    });
    caller = world.caller();
  });
  after(() => world?.stop());

  it("is told to come back after so many in a second; keys in use notice nothing, and later it is answered again", async () => {
    const { key } = await world.control().key({ access_rights: rights(["guessing"]) });
    // In use is what was seen more than once.
    for (let n = 0; n < 3; n++) assert.equal(await caller.code(PATH, token(key)), status.OK);
    const burst = (first: number) =>
      Promise.all(
        Array.from({ length: 30 }, (_, n) =>
          caller.call(PATH, n % 10 === 9 ? token(key) : token(`guess-${first + n}`)),
        ),
      );
    // Those of one breath are all under way before the first is found to be nobody's; one of the next ones finds the guard up.
    const seen = [...(await burst(0)), ...(await burst(100)), ...(await burst(200))];
    const codes = seen.map(({ code }) => code);
    assert.ok(codes.every((code, n) => (n % 10 === 9 ? code === status.OK : code !== status.OK)));
    const told = seen.filter(({ code }) => code === status.RESOURCE_EXHAUSTED);
    assert.ok(told.length > 0);
    for (const { message, fields } of told) {
      assert.equal(message, "too many unknown credentials from this address");
      assert.match(fields["grpc-retry-pushback-ms"] ?? "", /^\d{1,4}$/);
    }
    assert.equal(codes.filter((code) => code === status.UNAUTHENTICATED).length + told.length, 81);
    await until(
      "it is answered again",
      async () => (await caller.code(PATH, token("later"))) === status.UNAUTHENTICATED,
    );
  });
});
