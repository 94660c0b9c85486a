// Responsible for: lists of addresses where a proxy stands before the gateway. Governed by: spec 6.5 (client IP), 7.7
// (TestRequestIP, TestRequestIPHops), and our rule that only trusted proxies are believed.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import type { Fields } from "./caller.js";
import { type Json, rights } from "./control.js";
import { extended, keyed, World } from "./world.js";

const { OK, PERMISSION_DENIED } = status;

const definitions = (target: string): Json[] => [
  keyed("allow", target, "/allow.Api", {
    use_keyless: true,
    enable_ip_whitelisting: true,
    allowed_ips: ["10.0.0.0/8", "2001:db8::/32"],
  }),
  keyed("deny", target, "/deny.Api", {
    use_keyless: true,
    enable_ip_blacklisting: true,
    blacklisted_ips: ["10.6.6.6"],
  }),
  keyed("off", target, "/off.Api", {
    use_keyless: true,
    ip_access_control_disabled: true,
    enable_ip_whitelisting: true,
    allowed_ips: ["10.0.0.1"],
  }),
  keyed("keyed", target, "/keyed.Api", {
    enable_ip_whitelisting: true,
    allowed_ips: ["10.0.0.0/8"],
    ...extended({ ignored: [{ path: "/keyed.Api/Free", method_actions: { POST: {} } }] }),
  }),
];

/** Some text of X-Forwarded-For or X-Real-IP, and whether the allowing list lets it in. */
type Row = readonly [says: string, fields: Fields, allowed: boolean];

const HOPS: readonly Row[] = [
  ["nothing said: the proxy itself", {}, false],
  ["one hop that is allowed", { "x-forwarded-for": "10.1.2.3" }, true],
  ["an IPv6 hop", { "x-forwarded-for": "2001:db8::7" }, true],
  ["the last hop counts, whatever the caller wrote before it", { "x-forwarded-for": "10.1.2.3, 192.0.2.1" }, false],
  ["proxies that are trusted are passed over", { "x-forwarded-for": "10.1.2.3, 127.0.0.9" }, true],
  ["what is no address says nothing", { "x-forwarded-for": "abc, test.com" }, false],
  ["the real address, where no hops are said", { "x-real-ip": "10.1.2.3" }, true],
  ["hops before the real address", { "x-real-ip": "10.1.2.3", "x-forwarded-for": "192.0.2.1" }, false],
  ["an IPv4 address in IPv6 clothes", { "x-forwarded-for": "::ffff:10.1.2.3" }, true],
];

describe("lists of addresses behind a trusted proxy", () => {
  let world: World;
  before(async () => {
    world = await World.start({ home: "embedded", definitions, settings: { trusted_proxies: ["127.0.0.0/8"] } });
  });
  after(() => world?.stop());

  for (const [says, fields, allowed] of HOPS) {
    it(`${says}: ${allowed ? "let in" : "refused"}`, async () => {
      const seen = await world.caller().call("/allow.Api/M", fields);
      assert.equal(seen.code, allowed ? OK : PERMISSION_DENIED, seen.message);
      assert.equal((await world.caller().http("/allow.Api/M", fields)).status, allowed ? 200 : 403);
    });
  }

  it("a denied address is refused wherever the proxy says it is from", async () => {
    const caller = world.caller();
    assert.equal(await caller.code("/deny.Api/M", { "x-forwarded-for": "10.6.6.6" }), PERMISSION_DENIED);
    assert.equal(await caller.code("/deny.Api/M", { "x-forwarded-for": "10.6.6.7" }), OK);
    assert.equal(await caller.code("/deny.Api/M"), OK);
  });

  it("a list that is switched off restricts nothing", async () => {
    assert.equal(await world.caller().code("/off.Api/M"), OK);
  });

  it("an address that is not allowed gets no further, with a key, without, and to what is ignored", async () => {
    const caller = world.caller();
    const { key } = await world.control().key({ access_rights: rights(["keyed"]) });
    const from = (address: string): Fields => ({ authorization: key, "x-forwarded-for": address });
    for (const path of ["/keyed.Api/M", "/keyed.Api/Free"]) {
      assert.equal(await caller.code(path, from("10.1.2.3")), OK);
      // The same key on the same connection: what was decided for one address does not hold for another.
      assert.equal(await caller.code(path, from("192.0.2.1")), PERMISSION_DENIED);
      assert.equal(await caller.code(path, from("10.1.2.3")), OK);
    }
  });
});

describe("lists of addresses behind a number of proxies (xff_depth)", () => {
  let world: World;
  before(async () => {
    world = await World.start({
      home: "embedded",
      definitions,
      settings: { trusted_proxies: ["127.0.0.1"], http_server_options: { xff_depth: 2 } },
    });
  });
  after(() => world?.stop());

  it("the hop so far from the right is the caller", async () => {
    const caller = world.caller();
    const codeOf = (hops: string) => caller.code("/allow.Api/M", { "x-forwarded-for": hops });
    assert.equal(await codeOf("10.1.2.3, 192.0.2.1"), OK);
    assert.equal(await codeOf("192.0.2.1, 10.1.2.3"), PERMISSION_DENIED);
    assert.equal(await codeOf("10.9.9.9, 192.0.2.1, 10.1.2.3"), PERMISSION_DENIED);
    assert.equal(await codeOf("10.1.2.3"), OK);
  });
});
