// Responsible for: url_rewrites from the caller to the service. Governed by: spec 7.7, 6.10, 2.4.

import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { status } from "@grpc/grpc-js";
import { type Caller, type Fields, token } from "./caller.js";
import { type Json, rights } from "./control.js";
import { EchoService } from "./echo.js";
import { extended, keyed, onBothHomes, World } from "./world.js";

/** [says, match_pattern, rewrite_to, in, out] */
const PAIRS: [string, string, string, string, string][] = [
  ["an encoded dash", "/pairs/a/(.*)", "/to/$1", "/pairs/a/x%2Dy", "/to/x%2Dy"],
  ["a pattern met by the decoded form", "/pairs/b/x-y$", "/to/dash", "/pairs/b/x%2Dy", "/to/dash"],
  ["no groups", "/pairs/c/straight", "/change/to/me/ok", "/pairs/c/straight", "/change/to/me/ok"],
  ["one group", "/pairs/d/val/(.*)", "/change/to/$1", "/pairs/d/val/VALUE", "/change/to/VALUE"],
  ["three groups", "/pairs/e/(\\w+)/two/(\\w+)/four/(\\w+)", "/$1/$2/$3", "/pairs/e/1/two/2/four/3", "/1/2/3"],
  ["groups in reverse", "/pairs/f/(\\w+)/(\\w+)/(\\w+)", "/$3/$2/$1", "/pairs/f/1/2/3", "/3/2/1"],
  ["a group left out", "/pairs/g/(\\w+)/(\\w+)/(\\w+)", "/$1/$3", "/pairs/g/1/2/3", "/1/3"],
  ["a query made of the path", "/pairs/h/(\\w+)", "/to?id=$1", "/pairs/h/12", "/to?id=12"],
  [
    "a query appended",
    "(/pairs/i/.*)",
    "$1&newParam=that",
    "/pairs/i/foo/bar?param1=foo",
    "/pairs/i/foo/bar?param1=foo&newParam=that",
  ],
  ["a query as a group", "/pairs/j/x\\?a=(\\w+)", "/to/$1", "/pairs/j/x?a=b", "/to/b"],
  ["a method of another service", "/pairs/k/Old$", "/pkg.New/Method", "/pairs/k/Old", "/pkg.New/Method"],
  ["letters of another case", "/pairs/m/Method", "/to", "/pairs/m/method", "/pairs/m/method"],
  ["letters of another case, where the expression says so", "(?i)/pairs/n/Method", "/to", "/pairs/n/method", "/to"],
  ["no match", "/pairs/l/never", "/to", "/pairs/l/other", "/pairs/l/other"],
];

const rule = (path: string, pattern: string, to: string, more: Json = {}): Json => ({
  path,
  method: "POST",
  match_pattern: pattern,
  rewrite_to: to,
  ...more,
});

const rx = (match_rx: string, reverse = false): Json => ({ match_rx, reverse });
const trigger = (on: string, options: Json, rewrite_to: string): Json => ({ on, options, rewrite_to });
const HEADERS = { header_matches: { "x-one": rx("hello"), "X-Two": rx("w(or)ld") } };

interface Case {
  readonly says: string;
  readonly triggers: Json[];
  readonly to?: string;
  readonly query?: string;
  readonly fields?: Fields;
  readonly out: string;
}

const CASES: Case[] = [
  {
    says: "any of two headers, the first",
    triggers: [trigger("any", HEADERS, "/any")],
    fields: { "x-one": "hello" },
    out: "/any",
  },
  {
    says: "any of two headers, the second",
    triggers: [trigger("any", HEADERS, "/any")],
    fields: { "x-two": "world" },
    out: "/any",
  },
  {
    says: "any of two headers, none",
    triggers: [trigger("any", HEADERS, "/any")],
    fields: { "x-one": "no" },
    out: "/default",
  },
  {
    says: "all of two headers",
    triggers: [trigger("all", HEADERS, "/all")],
    fields: { "x-one": "hello", "x-two": "world" },
    out: "/all",
  },
  {
    says: "all of two headers, one missing",
    triggers: [trigger("all", HEADERS, "/all")],
    fields: { "x-one": "hello" },
    out: "/default",
  },
  {
    says: "all of two headers, one wrong",
    triggers: [trigger("all", HEADERS, "/all")],
    fields: { "x-one": "hello", "x-two": "x" },
    out: "/default",
  },
  {
    says: "the text and the group that a header's expression found",
    triggers: [trigger("all", HEADERS, "/$tyk_context.trigger-0-X-Two-0/$tyk_context.trigger-0-X-Two-0-0")],
    fields: { "x-one": "hello", "x-two": "world" },
    out: "/world/or",
  },
  {
    says: "a header that must not match, absent",
    triggers: [trigger("any", { header_matches: { "x-one": rx("hello", true) } }, "/not")],
    out: "/not",
  },
  {
    says: "a header that must not match, present",
    triggers: [trigger("any", { header_matches: { "x-one": rx("hello", true) } }, "/not")],
    fields: { "x-one": "hello" },
    out: "/default",
  },
  {
    says: "a header that must not match, another value",
    triggers: [trigger("any", { header_matches: { "x-one": rx("hello", true) } }, "/not")],
    fields: { "x-one": "bye" },
    out: "/not",
  },
  {
    says: "a parameter of the query",
    triggers: [trigger("any", { query_val_matches: { x: rx("^(\\d+)$") } }, "/q/$tyk_context.trigger-0-x-0")],
    query: "?x=42",
    out: "/q/42",
  },
  {
    says: "a parameter of the query that does not match",
    triggers: [trigger("any", { query_val_matches: { x: rx("^\\d+$") } }, "/q")],
    query: "?x=no",
    out: "/default",
  },
  {
    says: "a part of the path",
    triggers: [trigger("any", { path_part_matches: { pp1: rx("^Method$") } }, "/p/$tyk_context.trigger-0-pp1-0")],
    out: "/p/Method",
  },
  {
    says: "a part of the path that is not there",
    triggers: [trigger("any", { path_part_matches: { pp1: rx("^Other$") } }, "/p")],
    out: "/default",
  },
  {
    says: "meta data of the key",
    triggers: [trigger("any", { session_meta_matches: { plan: rx("gold") } }, "/gold/$tyk_meta.plan")],
    out: "/gold/gold",
  },
  {
    says: "meta data of the key that does not match",
    triggers: [trigger("any", { session_meta_matches: { plan: rx("silver") } }, "/silver")],
    out: "/default",
  },
  {
    says: "meta data that the key has not",
    triggers: [trigger("any", { session_meta_matches: { nothing: rx(".*") } }, "/never")],
    out: "/default",
  },
  {
    says: "a variable of the context",
    triggers: [trigger("any", { request_context_matches: { remote_addr: rx("^127\\.") } }, "/local")],
    out: "/local",
  },
  {
    says: "several kinds at once, all of them",
    triggers: [
      trigger(
        "all",
        {
          header_matches: { "x-one": rx("hello") },
          query_val_matches: { x: rx("1") },
          session_meta_matches: { plan: rx("gold") },
        },
        "/three",
      ),
    ],
    query: "?x=1",
    fields: { "x-one": "hello" },
    out: "/three",
  },
  {
    says: "several kinds at once, not all of them",
    triggers: [trigger("all", { header_matches: { "x-one": rx("hello") }, query_val_matches: { x: rx("1") } }, "/two")],
    query: "?x=2",
    fields: { "x-one": "hello" },
    out: "/default",
  },
  {
    says: "the first of two triggers that match",
    triggers: [
      trigger("any", { header_matches: { "x-one": rx("hello") } }, "/first"),
      trigger("any", { header_matches: { "x-two": rx("world") } }, "/second"),
    ],
    fields: { "x-one": "hello", "x-two": "world" },
    out: "/first",
  },
  {
    says: "the second of two triggers when only that matches",
    triggers: [
      trigger("any", { header_matches: { "x-one": rx("hello") } }, "/first"),
      trigger("any", { header_matches: { "x-two": rx("w(.*)d") } }, "/second/$tyk_context.trigger-1-X-Two-0-0"),
    ],
    fields: { "x-two": "world" },
    out: "/second/orl",
  },
  {
    says: "no trigger, where the rule has nothing else to say",
    triggers: [trigger("any", { header_matches: { "x-one": rx("hello") } }, "/first")],
    to: "",
    out: "unchanged",
  },
  {
    says: "a value of the caller that would add a query or another part, escaped",
    triggers: [trigger("any", { header_matches: { "x-one": rx(".+") } }, "/v/$tyk_context.trigger-0-X-One-0")],
    fields: { "x-one": "a?b=c#d e" },
    out: "/v/a%3Fb=c%23d%20e",
  },
];

const definitions = (target: string, second: string): Json[] => [
  keyed(
    "pairs",
    target,
    "/pairs",
    extended({
      url_rewrites: PAIRS.map(([, pattern, to, path]) => rule(`^${path.slice(0, 8)}`, pattern, to)),
    }),
  ),
  ...CASES.map(({ triggers, to }, n) =>
    keyed(`case${n}`, target, `/case${n}`, {
      enable_context_vars: true,
      ...extended({ url_rewrites: [rule(`/case${n}`, `/case${n}/.*`, to ?? "/default", { triggers })] }),
    }),
  ),
  keyed(
    "away",
    target,
    "/away",
    extended({
      url_rewrites: [
        rule("/away/Plain", "/away/Plain(.*)", `${second}/there$1`),
        rule("/away/Header", "/away/Header", "/stays", {
          triggers: [trigger("any", { header_matches: { "x-host": rx(".+") } }, "$tyk_context.trigger-0-X-Host-0")],
        }),
      ],
    }),
  ),
  keyed(
    "listed",
    target,
    "/listed",
    extended({
      white_list: [{ path: "/listed/Old", method_actions: { POST: { action: "no_action" } } }],
      url_rewrites: [rule("/listed", "/listed/(.*)", "/new/$1")],
    }),
  ),
  keyed("open", target, "/open", {
    use_keyless: true,
    ...extended({ url_rewrites: [rule("/open", "/open/(\\w+)", "/svc/$1")] }),
  }),
];

onBothHomes("url rewrite", (home) => {
  let world: World;
  let second: EchoService;
  let caller: Caller;
  let fields: Fields;
  before(async () => {
    second = await EchoService.listen("second");
    world = await World.start({ home, definitions: (target) => definitions(target, second.target) });
    caller = world.caller();
    const ids = ["pairs", "away", "listed", ...CASES.map((_, n) => `case${n}`)];
    fields = token((await world.control().key({ access_rights: rights(ids), meta_data: { plan: "gold" } })).key);
  });
  after(async () => {
    await world?.stop();
    await second?.close();
  });

  for (const [says, , , path, out] of PAIRS) {
    it(`with ${says}: ${path} becomes ${out}`, async () => {
      const seen = await caller.call(path, fields);
      assert.equal(seen.code, status.OK, seen.message);
      assert.equal(seen.arrived?.path, out);
    });
  }

  for (const [n, { says, query = "", fields: more, out }] of CASES.entries()) {
    it(`by a trigger: ${says}`, async () => {
      const path = `/case${n}/Method${query}`;
      const seen = await caller.call(path, { ...fields, ...more });
      assert.equal(seen.code, status.OK, seen.message);
      assert.equal(seen.arrived?.path, out === "unchanged" ? path : out);
    });
  }

  it("to a whole address goes to the service there", async () => {
    const seen = await caller.call("/away/Plain/x?y=1", fields);
    assert.equal(seen.code, status.OK, seen.message);
    assert.deepEqual([seen.arrived?.service, seen.arrived?.path], ["second", "/there/x?y=1"]);
    assert.equal(seen.arrived?.authority, second.target.replace("h2c://", ""));
  });

  it("never goes to an address that a caller wrote", async () => {
    const seen = await caller.call("/away/Header", { ...fields, "x-host": `${second.target}/x` });
    assert.notEqual(seen.arrived?.service, "second");
  });

  it("comes after the lists: they see the path as it was asked for", async () => {
    assert.equal((await caller.call("/listed/Old", fields)).arrived?.path, "/new/Old");
    assert.equal(await caller.code("/listed/Other", fields), status.PERMISSION_DENIED);
  });

  it("works on a keyless API", async () => {
    assert.equal((await caller.call("/open/M")).arrived?.path, "/svc/M");
  });
});
