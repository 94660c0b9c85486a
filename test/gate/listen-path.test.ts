// Responsible for: rewrites under a listen path that is cut off, and requests as operators' tools send them: both were
// wrong once. Governed by: spec 7.7 (TestStripPathWithURLRewrite).

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { token } from "./caller.js";
import { rights, SECRET } from "./control.js";
import { extended, keyed, World } from "./world.js";

describe("a listen path that is cut off", () => {
  let world: World;
  before(async () => {
    world = await World.start({
      home: "embedded",
      definitions: (target) => [
        keyed("strip", target, "/strip", {
          proxy: { listen_path: "/strip", target_url: `${target}/base`, strip_listen_path: true },
          ...extended({
            url_rewrites: [
              { path: "/strip", method: "POST", match_pattern: "/strip/(\\w+)", rewrite_to: "/service/$1" },
            ],
          }),
        }),
      ],
    });
  });
  after(() => world?.stop());

  it("strip_listen_path cuts a listen path off, not as many letters of a rewritten path", async () => {
    const { key } = await world.control().key({ access_rights: rights(["strip"]) });
    const seen = await world.caller().call("/strip/M", token(key));
    assert.equal(seen.arrived?.path, "/base/service/M");
  });

  it("a DELETE without a content-length works, as curl sends it", async () => {
    const { key } = await world.control().key({ access_rights: rights(["strip"]) });
    const answer = await fetch(`http://127.0.0.1:${world.gateway().controlPort}/tyk/keys/${encodeURIComponent(key)}`, {
      method: "DELETE",
      headers: { "x-tyk-authorization": SECRET },
    });
    assert.equal(answer.status, 200, await answer.text());
  });
});
