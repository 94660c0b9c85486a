import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { RewriteEntry, RewriteTrigger } from "../../src/worker/admit/gated-definition.js";
import { compileRewrites } from "../../src/worker/admit/rights/rewrite.js";

const options = { prefix: false, suffix: false, plain: "exact", ignoreCase: false } as const;

interface Given {
  readonly headers?: Record<string, string>;
  readonly meta?: Record<string, unknown>;
  readonly context?: Record<string, string>;
}

function rewrite(entry: Partial<RewriteEntry>, path: string, given: Given = {}): string | undefined {
  const compiled = compileRewrites([{ path: "", match_pattern: "(.*)", rewrite_to: "", ...entry }], options);
  return compiled.rewrite({
    method: "POST",
    path,
    below: path.split("?", 1)[0] ?? "",
    get: (name) => given.headers?.[name],
    meta: given.meta ?? {},
    context: given.context ?? {},
  });
}

describe("a rewrite", () => {
  const three = "/test/val/(.*)/space/(.*)/and/then/(.*)";
  const words = "/test/val/ONE/space/TWO/and/then/THREE";
  for (const [title, match_pattern, rewrite_to, path, result] of [
    ["matches the decoded path", "/test/payment-intents", "/change/to/me", "/test/payment%2Dintents", "/change/to/me"],
    ["matches the encoded path", "^(.+)%2[Dd](.+)$", "/change/to/me", "/test/payment%2Dintents", "/change/to/me"],
    ["replaces a path", "/test/straight/rewrite", "/change/to/me", "/test/straight/rewrite", "/change/to/me"],
    ["fills one group", "test/val/(.*)", "change/to/$1", "/test/val/VALUE", "/change/to/VALUE"],
    ["fills three groups", three, "/change/to/$1/$2/$3", words, "/change/to/ONE/TWO/THREE"],
    ["fills groups in another order", three, "/change/to/$3/$2/$1", words, "/change/to/THREE/TWO/ONE"],
    ["leaves groups out", three, "/change/to/$1/$2", words, "/change/to/ONE/TWO"],
    ["leaves the middle out", three, "/change/to/$3/$1", words, "/change/to/THREE/ONE"],
    ["adds a parameter", "(.*)", "$1&newParam=that", "/foo/bar?param1=val1", "/foo/bar?param1=val1&newParam=that"],
    [
      "makes a query of the path",
      "test/val/(.*)/space/(.*)/and/then/(.*)",
      "/change/to/$2?a=$1&b=$3",
      words,
      "/change/to/TWO?a=ONE&b=THREE",
    ],
    ["goes to another service", "^/a/(.*)", "h2c://other:50051/b/$1", "/a/c", "h2c://other:50051/b/c"],
    ["says nothing about what it does not match", "^/other", "/x", "/test", undefined],
  ] as const) {
    test(title, () => assert.equal(rewrite({ match_pattern, rewrite_to }, path), result));
  }

  test("cannot be led to another service by a caller", () => {
    const everything = { match_pattern: "^/(.*)$", rewrite_to: "$1" };
    assert.equal(rewrite(everything, "/http://elsewhere/x"), "/http://elsewhere/x");
    const host = { match_pattern: "^/(.*)/to$", rewrite_to: "h2c://$1.internal:50051/x" };
    assert.equal(rewrite(host, "/blue/to"), "h2c://blue.internal:50051/x");
    assert.equal(rewrite(host, "/elsewhere:1/to"), undefined);
    assert.equal(rewrite(host, "/user@elsewhere/to"), undefined);
    assert.equal(rewrite({ match_pattern: "^/(.*)$", rewrite_to: "h2c://svc/$1" }, "/a/b"), "h2c://svc/a/b");
  });

  test("is chosen by path and method", () => {
    const entry = { path: "/a", method: "GET", match_pattern: "/a", rewrite_to: "/b" };
    assert.equal(rewrite(entry, "/a"), undefined);
    assert.equal(rewrite({ ...entry, method: "POST" }, "/a"), "/b");
    assert.equal(rewrite({ ...entry, method: "POST", disabled: true }, "/a"), undefined);
    assert.equal(rewrite({ ...entry, method: "POST", path: "/other" }, "/a"), undefined);
    assert.equal(rewrite({ path: "/a", match_pattern: "/A", rewrite_to: "/b" }, "/a"), undefined);
  });

  test("that would hold a stream's messages back or loop is a problem, as is a broken pattern", () => {
    const problems = (entry: Partial<RewriteEntry>): number =>
      compileRewrites([{ path: "/", match_pattern: "/", rewrite_to: "/", ...entry }], options).problems.length;
    assert.equal(
      problems({ triggers: [{ on: "any", options: { payload_matches: { match_rx: "x" } }, rewrite_to: "/" }] }),
      1,
    );
    assert.equal(problems({ rewrite_to: "tyk://self/x" }), 1);
    assert.equal(problems({ match_pattern: "(" }), 1);
    assert.equal(problems({ triggers: [{ options: { header_matches: { A: { match_rx: "(" } } } }] }), 1);
    assert.equal(problems({}), 0);
  });
});

describe("a trigger", () => {
  const to = "/change/to/me";
  const rule = (match_rx: string, reverse = false) => ({ match_rx, reverse });
  const fired = (triggers: RewriteTrigger[], given: Given = {}, path = "/test/straight/rewrite"): string | undefined =>
    rewrite({ match_pattern: "/test/straight/rewrite", rewrite_to: "/basic", triggers }, path, given);
  const headers = (
    on: string,
    header_matches: Record<string, { match_rx: string; reverse: boolean }>,
    rewrite_to = to,
  ) => [{ on, rewrite_to, options: { header_matches } }];

  test("on one header", () => {
    assert.equal(fired(headers("any", { "X-Test": rule("bar") }), { headers: { "x-test": "bar" } }), to);
    assert.equal(fired(headers("any", { "X-Test": rule("bar") }), { headers: { "x-test": "baz" } }), "/basic");
  });

  test("reversed fires when the header does not match or is missing", () => {
    const reversed = headers("any", { "X-Test": rule("bar", true) });
    assert.equal(fired(reversed, { headers: { "x-test": "baz" } }), to);
    assert.equal(fired(reversed, { headers: { "x-test": "bar" } }), "/basic");
    assert.equal(fired(reversed), to);
  });

  test("on any of several headers, on all of them", () => {
    const both = { "X-Test": rule("hello"), "X-Test-Two": rule("world") };
    const one = { headers: { "x-test": "hello" } };
    const two = { headers: { "x-test": "hello", "x-test-two": "world" } };
    assert.deepEqual(
      [fired(headers("any", both), one), fired(headers("all", both), one), fired(headers("all", both), two)],
      [to, "/basic", to],
    );
    assert.equal(fired(headers("any", both)), "/basic");
  });

  test("gives what it matched to the target, by trigger, header, value and group", () => {
    const target = "/change/to/me/$tyk_context.trigger-0-X-Test-0-0/$tyk_context.trigger-0-X-Test-0";
    assert.equal(
      fired(headers("any", { "x-test": rule("hello-(\\w+)") }, target), { headers: { "x-test": "hello-world" } }),
      "/change/to/me/world/hello-world",
    );
    assert.equal(
      fired(headers("any", { "x-test": rule("x") }, "/to/$tyk_context.nothing"), { headers: { "x-test": "x" } }),
      "/to/",
    );
  });

  test("on the query, on a part of the path, on meta data and on context", () => {
    const query: RewriteTrigger[] = [
      {
        on: "all",
        rewrite_to: "/to/$tyk_context.trigger-0-culprit-0",
        options: { query_val_matches: { culprit: rule("kronk") } },
      },
    ];
    assert.equal(fired(query, {}, "/test/straight/rewrite?culprit=kronk"), "/to/kronk");
    assert.equal(fired(query, {}, "/test/straight/rewrite?x=kronk"), "/basic");
    const part: RewriteTrigger[] = [
      {
        on: "all",
        rewrite_to: "/to/$tyk_context.trigger-0-pathpart-0",
        options: { path_part_matches: { pathpart: rule("str.*") } },
      },
    ];
    assert.equal(fired(part), "/to/straight");
    const meta: RewriteTrigger[] = [
      {
        on: "all",
        rewrite_to: "/to/$tyk_context.trigger-0-rewrite-0/$tyk_meta.other",
        options: { session_meta_matches: { rewrite: rule("bar-(.*)") } },
      },
    ];
    assert.equal(fired(meta, { meta: { rewrite: "bar-baz", other: 7 } }), "/to/baz/7");
    const context: RewriteTrigger[] = [
      { on: "any", rewrite_to: to, options: { request_context_matches: { remote_addr: rule("^10\\.") } } },
    ];
    assert.equal(fired(context, { context: { remote_addr: "10.0.0.1" } }), to);
  });

  test("kinds of conditions add up under any and all", () => {
    const mixed = (on: string): RewriteTrigger[] => [
      { on, rewrite_to: to, options: { header_matches: { A: rule("1") }, query_val_matches: { b: rule("2") } } },
    ];
    const path = "/test/straight/rewrite?b=2";
    assert.deepEqual(
      [
        fired(mixed("any"), {}, path),
        fired(mixed("all"), {}, path),
        fired(mixed("all"), { headers: { a: "1" } }, path),
      ],
      [to, "/basic", to],
    );
  });

  test("is the first of several that fires", () => {
    const several: RewriteTrigger[] = [
      { on: "all", rewrite_to: "/one", options: { header_matches: { A: rule("x") } } },
      { on: "all", rewrite_to: "/two/$tyk_context.trigger-1-A-0", options: { header_matches: { A: rule("y") } } },
      { on: "all", rewrite_to: "/three", options: { header_matches: { A: rule("y") } } },
    ];
    assert.equal(fired(several, { headers: { a: "y" } }), "/two/y");
  });

  test("with a condition that cannot be used never fires", () => {
    const broken: RewriteTrigger[] = [
      { on: "any", rewrite_to: to, options: { header_matches: { A: rule("(", true) } } },
    ];
    assert.equal(fired(broken), "/basic");
  });

  test("cannot be made to leave the path by a caller's value", () => {
    const target = "h2c://svc/$tyk_context.trigger-0-A-0";
    const result = fired(headers("any", { A: rule(".*") }, target), { headers: { a: "x?y=1#z \r\nb%2f" } }) ?? "";
    assert.doesNotMatch(result.slice("h2c://svc/".length), /[?#\s]/);
  });

  test("without another rule the call goes on unchanged when no trigger fires", () => {
    assert.equal(rewrite({ match_pattern: "/test", triggers: headers("any", { A: rule("1") }) }, "/test"), undefined);
  });
});
