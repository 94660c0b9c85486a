// Responsible for: the guard against guessing as callers meet it. Governed by: setting unknown_keys_per_second.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
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

describe("guessing behind a trusted proxy", () => {
  let world: World;

  before(async () => {
    world = await World.start({
      home: "embedded",
      definitions: (target) => [
        keyed("guessing", target, "/guessing.Api"),
        keyed("open", target, "/open.Api", {
          use_keyless: true,
          enable_ip_blacklisting: true,
          blacklisted_ips: ["10.9.9.9"],
        }),
      ],
      settings: { unknown_keys_per_second: 1, trusted_proxies: ["127.0.0.1"] },
    });
  });
  after(() => world?.stop());

  it("counts for the address that the proxy tells, and for no API that asks for no credential", async () => {
    const [guesser, other] = ["10.0.0.1", "10.0.0.2"];
    const caller = world.caller();
    const { key } = await world.control().key({ access_rights: rights(["guessing"]) });
    let guesses = 0;
    const guess = () =>
      caller.code(PATH, { ...token(`guess-${guesses++}`), "x-forwarded-for": `10.9.9.9, ${guesser}` });
    await until("the guesser is told to come back", async () => (await guess()) === status.RESOURCE_EXHAUSTED);
    // The guard stays up for a second: while it does, its answers stand around those of the others.
    await until("others were answered while the guesser was not", async () => {
      const before = await guess();
      const path = `/open.Api/Call${guesses}`;
      const unguarded = [
        await caller.code(PATH, { ...token(key), "x-forwarded-for": other }),
        await caller.code(path, { "x-forwarded-for": guesser }),
      ];
      assert.deepEqual(unguarded, [status.OK, status.OK]);
      return [before, await guess()].every((code) => code === status.RESOURCE_EXHAUSTED);
    });
  });
});
