// Many passwords at once through a real gateway with one thread: everybody is answered rightly, what is too much is told so
// at once, and a user who is known already notices neither. Governed by: issue 5, acceptance (figures: bench/accept).

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { status } from "@grpc/grpc-js";
import { basic, Caller } from "../gate/caller.js";
import { rights } from "../gate/control.js";
import { keyed, World } from "../gate/world.js";

const PATH = "/test.Api/Do";
const USERS = 24;
/** The queue of the thread pool, and those that its threads have. */
const WAITING = 1_024;
const FLOOD = WAITING + 176;
/** So many that none of them has more calls than a connection may have at once. */
const CONNECTIONS = 15;

describe("passwords that have to be hashed", () => {
  let world: World;
  const callers: Caller[] = [];
  const caller = (): Caller => {
    const made = new Caller(world.gateway().port);
    callers.push(made);
    return made;
  };

  before(async () => {
    const api = { use_standard_auth: false, use_basic_auth: true, auth_configs: {} };
    world = await World.start({ home: "embedded", definitions: (target) => [keyed("api", target, "/", api)] });
    const access_rights = rights(["api"]);
    for (const user of ["known", ...Array.from({ length: USERS }, (_, n) => `user-${n}`)])
      await world.control().key({ access_rights, basic_auth_data: { password: `of ${user}` } }, user);
  });

  after(async () => {
    for (const one of callers) one.close();
    await world?.stop();
  });

  test("users at once are each answered rightly, while a known one goes on", async () => {
    const known = caller();
    assert.equal(await known.code(PATH, basic("known:of known")), status.OK);
    const many = caller();
    let over = false;
    const asked = Promise.all(
      Array.from({ length: USERS }, (_, n) =>
        many.code(PATH, basic(n % 4 === 0 ? `user-${n}:wrong` : `user-${n}:of user-${n}`)),
      ),
    ).finally(() => {
      over = true;
    });
    let beside = 0;
    while (!over) {
      assert.equal(await known.code(PATH, basic("known:of known")), status.OK);
      beside++;
      // Not as fast as it can: the threads need the same cores.
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const expected = Array.from({ length: USERS }, (_, n) => (n % 4 === 0 ? status.UNAUTHENTICATED : status.OK));
    assert.deepEqual(await asked, expected);
    assert.ok(beside > 0);
  });

  test("more wrong ones than may wait are refused at once, and a known user notices nothing", async () => {
    const known = caller();
    assert.equal(await known.code(PATH, basic("known:of known")), status.OK);
    const flood = Array.from({ length: CONNECTIONS }, caller);
    await Promise.all(flood.map((one) => one.ready()));
    const codes: number[] = [];
    const surplus = new Promise<void>((resolve) => {
      for (let n = 0; n < FLOOD; n++)
        void flood[n % CONNECTIONS]!.code(PATH, basic(`user-${n % USERS}:no ${n}`)).then((code) => {
          codes.push(code);
          // As many as cannot wait, whatever was hashed meanwhile.
          if (codes.length >= FLOOD - WAITING - 2) resolve();
        });
    });
    await surplus;
    assert.equal(await known.code(PATH, basic("known:of known")), status.OK);
    const strange = codes.filter((code) => code !== status.RESOURCE_EXHAUSTED && code !== status.UNAUTHENTICATED);
    assert.deepEqual(strange, []);
    assert.ok(codes.includes(status.RESOURCE_EXHAUSTED));
  });
});
