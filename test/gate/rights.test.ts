// Responsible for: what a known caller may call: rights of keys, lists of definitions, policies and their merges.
// Governed by: spec 7.5, 3.2 to 3.4.

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { type Caller, type Fields, token } from "./caller.js";
import { type Control, type Json, rights } from "./control.js";
import { extended, keyed, onBothHomes, World } from "./world.js";

const { OK, UNAUTHENTICATED, PERMISSION_DENIED, INVALID_ARGUMENT, RESOURCE_EXHAUSTED } = status;
const RESOURCE = "Access to this resource has been disallowed";
const API = "Access to this API has been disallowed";
const FORBIDDEN = "Requested endpoint is forbidden";
const DAY = 86_400;

const post = { POST: { action: "no_action", code: 200 } };

const lists = {
  white_list: [
    { path: "/lists.Api/Allowed", method_actions: post },
    {
      path: "/lists.Api/Mock",
      method_actions: { POST: { action: "reply", code: 418, data: "tea", headers: { "x-mock": "yes" } } },
    },
    { path: "/lists.Api/CASE", ignore_case: true, method_actions: post },
    { path: "/lists.Api/Strict", method_actions: post },
    { path: "/lists.Api/item/{id}$", method_actions: post },
    { path: "/lists.Api/Off", disabled: true, method_actions: post },
    { path: "/lists.Api/Open", method_actions: post },
    { path: "/lists.Api/Black", method_actions: post },
  ],
  black_list: [
    { path: "/lists.Api/Black$", method_actions: post },
    { path: "/lists.Api/Contested$", method_actions: post },
    { path: "/lists.Api/Allowed", method_actions: { GET: { action: "no_action" } } },
  ],
  ignored: [
    { path: "/lists.Api/Open", method_actions: post },
    { path: "/lists.Api/ANYCASE", ignore_case: true, method_actions: post },
    { path: "/lists.Api/Contested", method_actions: post },
    { path: "/lists.Api/Renamed", method_actions: post },
  ],
  url_rewrites: [
    { path: "/lists.Api/Renamed", method: "POST", match_pattern: "/lists.Api/Renamed", rewrite_to: "/lists.Api/New" },
  ],
};

const simple = (paths: Json): Json => ({
  version_data: { not_versioned: true, versions: { Default: { name: "Default", paths } } },
});

const definitions = (target: string): Json[] => [
  keyed("rights", target, "/rights.Api"),
  keyed("second", target, "/second.Api"),
  keyed("lists", target, "/lists.Api", extended(lists)),
  keyed("white", target, "/white.Api", simple({ white_list: ["/white.Api/Yes"] })),
  keyed("black", target, "/black.Api", simple({ black_list: ["/black.Api/No"], ignored: ["/black.Api/Free"] })),
  keyed("allowip", target, "/allowip.Api", { enable_ip_whitelisting: true, allowed_ips: ["10.0.0.0/8"] }),
  keyed("denyip", target, "/denyip.Api", { enable_ip_blacklisting: true, blacklisted_ips: ["127.0.0.0/8"] }),
];

const acl = (id: string, urls: string[], more: Json = {}): Json => ({
  org_id: "test",
  active: true,
  access_rights: rights({ [id]: { allowed_urls: urls.map((url) => ({ url, methods: ["POST"] })) } }),
  ...more,
});

const policies: Record<string, Json> = {
  get: acl("rights", ["/rights.Api/Get"], { rate: 0, per: 0, quota_max: -1 }),
  put: acl("rights", ["/rights.Api/Put"], { quota_max: -1 }),
  other: acl("second", [], { quota_max: -1 }),
  aclonly: acl("rights", ["/rights.Api/Get"], { rate: 1, per: DAY, partitions: { acl: true } }),
  rateonly: { org_id: "test", active: true, rate: 2, per: DAY, access_rights: {}, partitions: { rate_limit: true } },
  quotaonly: { org_id: "test", active: true, quota_max: 1, quota_renewal_rate: DAY, partitions: { quota: true } },
  slow: acl("rights", [], { rate: 1, per: DAY, quota_max: 1, quota_renewal_rate: DAY }),
  fast: acl("rights", [], { rate: 3, per: DAY, quota_max: 100, quota_renewal_rate: DAY }),
  off: acl("rights", [], { quota_max: -1, is_inactive: true }),
  foreign: { ...acl("rights", []), org_id: "another" },
  perapi: {
    org_id: "test",
    active: true,
    partitions: { per_api: true },
    access_rights: rights({
      rights: { limit: { rate: 1, per: DAY, quota_max: -1 } },
      second: { limit: { rate: 2, per: DAY, quota_max: -1 } },
    }),
  },
  mixed: acl("rights", [], { partitions: { per_api: true, acl: true } }),
  leaving: acl("rights", [], { quota_max: -1 }),
};

onBothHomes("rights", (home) => {
  let world: World;
  let caller: Caller;
  let control: Control;
  before(async () => {
    world = await World.start({ home, definitions, policies });
    caller = world.caller();
    control = world.control();
  });
  after(() => world?.stop());

  const codes = async (fields: Fields, ...paths: string[]): Promise<number[]> => {
    const seen: number[] = [];
    for (const path of paths) seen.push(await caller.code(path, fields));
    return seen;
  };
  const keyFor = async (session: Json): Promise<Fields> => token((await control.key(session)).key);

  describe("allowed_urls of a key", () => {
    const allowed = (...urls: Json[]): Json => ({ access_rights: rights({ rights: { allowed_urls: urls } }) });

    it("name a method exactly, by default", async () => {
      const fields = await keyFor(allowed({ url: "/rights.Api/Get", methods: ["POST"] }));
      assert.deepEqual(
        await codes(fields, "/rights.Api/Get", "/rights.Api/GetMore", "/rights.Api/get", "/rights.Api/Put"),
        [OK, PERMISSION_DENIED, PERMISSION_DENIED, PERMISSION_DENIED],
      );
      const seen = await caller.call("/rights.Api/Put", fields);
      assert.equal(seen.message, RESOURCE);
      const http = await caller.http("/rights.Api/Put", fields);
      assert.deepEqual([http.status, JSON.parse(http.body)], [403, { error: RESOURCE }]);
    });

    it("name a whole service", async () => {
      const fields = await keyFor(allowed({ url: "/rights.Api", methods: ["POST"] }));
      assert.deepEqual(await codes(fields, "/rights.Api/Get", "/rights.Api/Put"), [OK, OK]);
    });

    it("search as Tyk does where the entry says so, and with expressions", async () => {
      const searched = await keyFor(allowed({ url: "/rights.Api/Get", methods: ["POST"], match: "regex" }));
      assert.deepEqual(await codes(searched, "/rights.Api/GetMore", "/rights.Api/Put"), [OK, PERMISSION_DENIED]);
      const anchored = await keyFor(allowed({ url: "^/rights\\.Api/G[a-z]t$", methods: ["POST"] }));
      assert.deepEqual(await codes(anchored, "/rights.Api/Get", "/rights.Api/GetMore"), [OK, PERMISSION_DENIED]);
    });

    it("hold for the methods of HTTP that they name", async () => {
      const fields = await keyFor(allowed({ url: "/rights.Api/Get", methods: ["GET"] }));
      assert.equal(await caller.code("/rights.Api/Get", fields), PERMISSION_DENIED);
      assert.equal((await caller.http("/rights.Api/Get", { ...fields, ":method": "GET" })).status, 200);
    });

    it("meet the path as it is forwarded: other spellings are refused, not translated", async () => {
      const fields = await keyFor(allowed({ url: "/rights.Api/Get", methods: ["POST"] }));
      for (const path of ["/rights.Api/%47et", "/rights.Api//Get", "/rights.Api/./Get", "/rights.Api/x/../Get"])
        assert.equal(await caller.code(path, fields), INVALID_ARGUMENT, path);
      assert.equal((await caller.http("/rights.Api/%47et", fields)).status, 400);
    });

    it("of a version that the API is not are no right to it", async () => {
      const versions = { access_rights: { rights: { api_id: "rights", versions: ["v9"] } } };
      const seen = await caller.call("/rights.Api/Get", await keyFor(versions));
      assert.deepEqual([seen.code, seen.message], [PERMISSION_DENIED, API]);
    });
  });

  it("a right that could never be kept to is refused with its place when a key is made or changed", async () => {
    const unusable: [string, Json][] = [
      ["allowed_urls[0].url", { allowed_urls: [{ url: "^/(a+)+$", methods: ["POST"] }] }],
      ["endpoints[0].path", { endpoints: [{ path: "[", methods: [{ name: "POST", limit: { rate: 1, per: 1 } }] }] }],
    ];
    const { key } = await control.key({ access_rights: rights(["rights"]) });
    for (const [place, more] of unusable) {
      const session = { org_id: "test", access_rights: rights({ rights: more }) };
      for (const [method, path] of [
        ["POST", "/tyk/keys/create"],
        ["POST", "/tyk/keys/unusable"],
        ["PUT", `/tyk/keys/${encodeURIComponent(key)}`],
      ] as const) {
        const answer = await control.ask(method, path, session);
        assert.equal(answer.status, 400, `${method} ${path}`);
        assert.match(String(answer.body["message"]), new RegExp(place.replace(/[[\]]/g, "\\$&")));
      }
    }
    assert.equal(await caller.code("/rights.Api/M", token(key)), OK);
  });

  describe("lists of a definition", () => {
    let fields: Fields;
    before(async () => {
      fields = await keyFor({ access_rights: rights(["lists", "white", "black", "allowip", "denyip"]) });
    });
    const rows: [says: string, path: string, code: number][] = [
      ["a white listed method passes", "/lists.Api/Allowed", OK],
      ["another does not", "/lists.Api/Other", PERMISSION_DENIED],
      ["a longer name of a white listed one does not", "/lists.Api/AllowedToo", PERMISSION_DENIED],
      ["case matters", "/lists.Api/strict", PERMISSION_DENIED],
      ["unless it is ignored", "/lists.Api/case", OK],
      ["a placeholder is one part of a path", "/lists.Api/item/12", OK],
      ["and no more", "/lists.Api/item/12/13", PERMISSION_DENIED],
      ["a disabled entry does not count", "/lists.Api/Off", PERMISSION_DENIED],
      ["black comes before white", "/lists.Api/Black", PERMISSION_DENIED],
      ["a simple white list names methods", "/white.Api/Yes", OK],
      ["a simple white list forbids the rest", "/white.Api/Else", PERMISSION_DENIED],
      ["a simple black list forbids", "/black.Api/No", PERMISSION_DENIED],
      ["a simple black list is searched as in Tyk", "/black.Api/Now", PERMISSION_DENIED],
      ["a simple black list lets the rest pass", "/black.Api/Else", OK],
    ];
    for (const [says, path, code] of rows) {
      it(`${says}: ${path}`, async () => {
        const seen = await caller.call(path, fields);
        assert.equal(seen.code, code, seen.message);
        if (code === PERMISSION_DENIED) assert.equal(seen.message, FORBIDDEN);
        const http = await caller.http(path, fields);
        assert.equal(http.status, code === OK ? 200 : 403);
      });
    }

    it("a black listed verb forbids that verb only", async () => {
      assert.equal((await caller.http("/lists.Api/Allowed", { ...fields, ":method": "GET" })).status, 403);
      assert.equal((await caller.http("/lists.Api/Allowed", fields)).status, 200);
    });

    it("a mock reply is the answer and the service is not asked", async () => {
      const before = world.service.calls;
      const http = await caller.http("/lists.Api/Mock", fields);
      assert.deepEqual([http.status, http.body, http.fields["x-mock"]], [418, "tea", "yes"]);
      assert.equal(world.service.calls, before);
    });

    it("an ignored method needs no credential, for its verb only", async () => {
      assert.equal(await caller.code("/lists.Api/Open"), OK);
      assert.equal(await caller.code("/lists.Api/Open", token("nonsense")), OK);
      assert.equal(await caller.code("/lists.Api/anycase"), OK);
      assert.equal(await caller.code("/lists.Api/Contested"), OK, "ignored comes before black");
      assert.equal((await caller.call("/lists.Api/Renamed")).arrived?.path, "/lists.Api/New");
      assert.equal(await caller.code("/black.Api/Free"), OK);
      assert.equal((await caller.http("/lists.Api/Open", { ":method": "GET" })).status, 403);
      assert.equal(await caller.code("/lists.Api/Allowed"), UNAUTHENTICATED);
    });

    it("addresses are the peer's, whatever the caller writes", async () => {
      const lie = { ...fields, "x-forwarded-for": "10.1.2.3", "x-real-ip": "10.1.2.3" };
      const seen = await caller.call("/allowip.Api/M", lie);
      assert.deepEqual([seen.code, seen.message], [PERMISSION_DENIED, "access from this IP has been disallowed"]);
      assert.equal(await caller.code("/denyip.Api/M", lie), PERMISSION_DENIED);
    });
  });

  describe("policies of a key", () => {
    const by = (...apply_policies: string[]): Promise<Fields> => keyFor({ apply_policies });
    const G = "/rights.Api/Get";
    const P = "/rights.Api/Put";
    const S = "/second.Api/M";

    it("give their rights", async () => {
      assert.deepEqual(await codes(await by("get"), G, P, S), [OK, PERMISSION_DENIED, PERMISSION_DENIED]);
    });

    it("unite their urls and APIs", async () => {
      assert.deepEqual(await codes(await by("get", "put"), G, P, S), [OK, OK, PERMISSION_DENIED]);
      assert.deepEqual(await codes(await by("other", "get"), G, P, S), [OK, PERMISSION_DENIED, OK]);
    });

    it("may stand in the key itself", async () => {
      const own = { ...acl("rights", ["/rights.Api/Own"], { quota_max: -1 }), id: "inline" };
      const fields = await keyFor({ meta_data: { policies: [own] }, apply_policies: ["inline"] });
      assert.deepEqual(await codes(fields, "/rights.Api/Own", "/rights.Api/Get"), [OK, PERMISSION_DENIED]);
    });

    it("control only their partitions", async () => {
      const fields = await by("aclonly", "rateonly");
      assert.deepEqual(await codes(fields, G, P, G, G), [OK, PERMISSION_DENIED, OK, RESOURCE_EXHAUSTED]);
    });

    it("give a quota apart from a rate", async () => {
      const fields = await by("aclonly", "quotaonly", "rateonly");
      assert.deepEqual(await codes(fields, G, G), [OK, RESOURCE_EXHAUSTED]);
      assert.equal((await caller.call(G, fields)).message, "Quota exceeded");
    });

    it("give the highest rate and quota of several", async () => {
      const fields = await by("slow", "fast");
      assert.deepEqual(await codes(fields, G, G, G, G), [OK, OK, OK, RESOURCE_EXHAUSTED]);
      assert.equal((await caller.call(G, fields)).message, "Rate Limit Exceeded");
    });

    it("give each API its own limit where they say so", async () => {
      const fields = await by("perapi");
      assert.deepEqual(await codes(fields, G, S, G, S, S), [OK, OK, RESOURCE_EXHAUSTED, OK, RESOURCE_EXHAUSTED]);
    });

    it("make the key inactive when one of them is", async () => {
      assert.deepEqual(await codes(await by("get", "off"), G), [PERMISSION_DENIED]);
    });

    it("that are missing are passed over among others and refused alone", async () => {
      assert.deepEqual(await codes(await by("get", "missing"), G), [OK]);
      const alone = await control.ask("POST", "/tyk/keys/create", { org_id: "test", apply_policies: ["missing"] });
      assert.equal(alone.status, 500);
    });

    it("of mixed partitions are refused when the key is made", async () => {
      for (const apply_policies of [["mixed"], ["perapi", "aclonly"]]) {
        const made = await control.ask("POST", "/tyk/keys/create", { org_id: "test", apply_policies });
        assert.equal(made.status, 500, apply_policies.join());
      }
    });

    it("of another organisation open nothing", async () => {
      assert.deepEqual(await codes(await by("foreign"), G), [PERMISSION_DENIED]);
      assert.deepEqual(await codes(await by("get", "foreign"), G, P), [PERMISSION_DENIED, PERMISSION_DENIED]);
    });

    it("are changed through the control API", async () => {
      const { key } = await control.key({ apply_policies: ["get"] });
      const changed = await control.ask("POST", `/tyk/keys/policy/${encodeURIComponent(key)}`, {
        apply_policies: ["put"],
      });
      assert.deepEqual([changed.status, changed.applied], [200, true]);
      assert.deepEqual(await codes(token(key), G, P), [PERMISSION_DENIED, OK]);
    });

    it("that are deleted make the key useless, not free, and coming back make it useful again", async () => {
      const fields = await by("leaving");
      assert.deepEqual(await codes(fields, G), [OK]);
      const { leaving, ...rest } = policies;
      writeFileSync(world.policyFile, JSON.stringify(rest));
      await control.reload();
      assert.deepEqual(await codes(fields, G), [PERMISSION_DENIED]);
      writeFileSync(world.policyFile, JSON.stringify({ ...rest, leaving }));
      await control.reload();
      assert.deepEqual(await codes(fields, G), [OK]);
    });
  });
});

describe("rights with Tyk's prefix matching", () => {
  let world: World;
  const allowed = ["^/valid_path", "^/test/try_valid_path"].map((url) => ({ url, methods: ["GET"] }));
  before(async () => {
    world = await World.start({
      home: "embedded",
      definitions: (target) => [keyed("test", target, "/test")],
      settings: {
        http_server_options: { enable_path_prefix_matching: true },
        trusted_proxies: ["127.0.0.0/8"],
      },
      policies: {
        granular: {
          org_id: "test",
          active: true,
          quota_max: -1,
          access_rights: rights({ test: { allowed_urls: allowed } }),
        },
      },
    });
  });
  after(() => world?.stop());

  for (const [says, session] of [
    ["a key's own urls", { access_rights: rights({ test: { allowed_urls: allowed } }) }],
    ["a policy's urls", { apply_policies: ["granular"] }],
  ] as const) {
    it(`${says} are tried below the listen path and on the whole`, async () => {
      const { key } = await world.control().key(session);
      const caller = world.caller();
      const ask = async (method: string, path: string): Promise<number> =>
        (await caller.http(path, { ...token(key), ":method": method })).status;
      assert.equal(await ask("GET", "/test/valid_path"), 200);
      assert.equal(await ask("GET", "/test/try_valid_path"), 200);
      assert.equal(await ask("POST", "/test/valid_path"), 403);
      assert.equal(await ask("GET", "/test/another_path"), 403);
    });
  }
});
