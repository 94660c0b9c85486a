import assert from "node:assert/strict";
import { test } from "node:test";
import { answer, tableOf } from "./fixture.js";

const SUBROUTES = [
  { id: "root", path: "/" },
  { id: "apple", path: "/apple" },
  { id: "bottom", path: "/apple/bottom" },
  { id: "bob", path: "/bob/{name:.*}" },
  { id: "charlie", path: "/charlie/{name:.*}/suffix" },
];

// TestHandleSubroutes, with strict routes: which API each of its paths belongs to.
const SUBROUTE_CASES: [string, string][] = [
  ["/", "root"],
  ["/app", "root"],
  ["/apple", "apple"],
  ["/apple/", "apple"],
  ["/apple/bot", "apple"],
  ["/apple/bottom", "bottom"],
  ["/apple/bottom/", "bottom"],
  ["/apple/bottom/jeans", "bottom"],
  ["/applebottomjeans", "none"],
  ["/apple-bottom-jeans", "none"],
  ["/apple/bottom-jeans", "none"],
  ["/bob", "root"],
  ["/bob/", "bob"],
  ["/bob/name", "bob"],
  ["/bob/name/surname", "bob"],
  ["/bob/name/patronym/surname", "bob"],
  ["/charlie//suffix/", "root"],
  ["/charlie/name/suffix", "charlie"],
  ["/charlie/name/suffix/", "charlie"],
  ["/charlie/name/suffix/foo", "charlie"],
  ["/charlie/name/suffixfoo", "charlie"],
  ["/charlie/name/name/suffix/foo", "charlie"],
  ["/charlie/name/name/name/suffix/foo", "charlie"],
];

for (const [path, expected] of SUBROUTE_CASES) {
  test(`strict routes: ${path} belongs to ${expected}`, () => {
    const table = tableOf(SUBROUTES, { strict: true });
    assert.equal(answer(table, path), expected);
    assert.equal(answer(table, `${path}?q=/apple`), expected);
  });
}

test("a loose listen path runs on into longer names, a strict one does not", () => {
  const apis = [{ id: "sample", path: "/sample" }];
  assert.equal(answer(tableOf(apis), "/samplefoo"), "sample");
  assert.equal(answer(tableOf(apis, { strict: true }), "/samplefoo"), "none");
  for (const strict of [true, false]) {
    assert.equal(answer(tableOf(apis, { strict }), "/sample"), "sample");
    assert.equal(answer(tableOf(apis, { strict }), "/sample/foo"), "sample");
    assert.equal(answer(tableOf(apis, { strict }), "/sampl"), "none");
    assert.equal(answer(tableOf(apis, { strict }), "/"), "none");
  }
});

test("a listen path that ends in a slash is strict by itself", () => {
  const table = tableOf([{ id: "a", path: "/a/" }], { strict: true });
  assert.equal(answer(table, "/a/b"), "a");
  assert.equal(answer(table, "/a"), "none");
});

test("the longest listen path wins, whatever the order of definitions", () => {
  const apis = ["/", "/pkg.Service", "/pkg.Service/Method", "/pkg.ServiceTwo"].map((path) => ({ path }));
  for (const order of [apis, [...apis].reverse()]) {
    for (const strict of [true, false]) {
      const table = tableOf(order, { strict });
      assert.equal(answer(table, "/pkg.Service/Method"), "/pkg.Service/Method");
      assert.equal(answer(table, "/pkg.Service/Other"), "/pkg.Service");
      assert.equal(answer(table, "/pkg.ServiceTwo/Method"), "/pkg.ServiceTwo");
      assert.equal(answer(table, "/grpc.health.v1.Health/Check"), "/");
    }
  }
});

test("a port has its own routes", () => {
  const table = tableOf([
    { id: "main", path: "/" },
    { id: "own", path: "/", port: 6000 },
  ]);
  assert.equal(answer(table, "/x", "h", 8080), "main");
  assert.equal(answer(table, "/x", "h", 6000), "own");
  assert.equal(answer(table, "/x", "h", 7000), "none");
});

test("a domain is compared without its port, whatever its case, and comes before every API without one", () => {
  const table = tableOf([
    { id: "everyone", path: "/pkg.Service/Method" },
    { id: "one", path: "/pkg.Service", domain: "one.example.com" },
  ]);
  for (const authority of ["one.example.com", "one.example.com:8080", "ONE.Example.COM", "one.example.com."])
    assert.equal(answer(table, "/pkg.Service/Method", authority), "one", authority);
  for (const authority of ["two.example.com", "xone.example.com", "", "one.example.com.evil", "[::1]:8080"])
    assert.equal(answer(table, "/pkg.Service/Method", authority), "everyone", authority);
  assert.equal(answer(table, "/other", "one.example.com"), "none");
});

test("a shorter listen path on a domain wins over a longer one without", () => {
  const table = tableOf([
    { id: "long", path: "/listen/long" },
    { id: "short", path: "/listen", domain: "tyk.io" },
  ]);
  assert.equal(answer(table, "/listen/long", "tyk.io"), "short");
  assert.equal(answer(table, "/listen/long", "localhost"), "long");
});

test("a path that no API of the domain has falls to the APIs without a domain", () => {
  const table = tableOf([
    { id: "domain", path: "/a", domain: "a.com" },
    { id: "everyone", path: "/" },
  ]);
  assert.equal(answer(table, "/b", "a.com"), "everyone");
});

test("of domains with one listen path the exact one wins over the wildcard, and that over the pattern", () => {
  const exact = { id: "exact", path: "/", domain: "a.example.com" };
  const wildcard = { id: "wildcard", path: "/", domain: "*.example.com" };
  const pattern = { id: "pattern", path: "/", domain: "{sub:[a-c]}.example.com" };
  for (const apis of [
    [pattern, wildcard, exact],
    [exact, wildcard, pattern],
  ]) {
    assert.equal(answer(tableOf(apis), "/x", "a.example.com"), "exact");
    assert.equal(answer(tableOf(apis), "/x", "b.example.com"), "wildcard");
    assert.equal(answer(tableOf(apis), "/x", "b.b.example.com"), "none");
  }
  const patternOnly = tableOf([pattern]);
  assert.equal(answer(patternOnly, "/x", "C.example.com:1"), "pattern");
  assert.equal(answer(patternOnly, "/x", "d.example.com"), "none");
});

test("between domains the longer listen path wins, as in Tyk", () => {
  const table = tableOf([
    { id: "exact", path: "/", domain: "a.example.com" },
    { id: "wildcard", path: "/pkg.Service", domain: "*.example.com" },
  ]);
  assert.equal(answer(table, "/pkg.Service/M", "a.example.com"), "wildcard");
});

test("with a hostname set, APIs without a domain answer for that host only", () => {
  const table = tableOf(
    [
      { id: "own", path: "/" },
      { id: "domain", path: "/", domain: "a.com" },
    ],
    { hostname: "gateway.example.com" },
  );
  assert.equal(answer(table, "/x", "gateway.example.com:8080"), "own");
  assert.equal(answer(table, "/x", "a.com"), "domain");
  assert.equal(answer(table, "/x", "localhost"), "none");
});

test("paths are cleaned before they are matched, unless skip_url_cleaning says otherwise", () => {
  const apis = [
    { id: "root", path: "/" },
    { id: "admin", path: "/admin" },
  ];
  const clean = tableOf(apis, { strict: true });
  for (const path of ["//admin/x", "/./admin/x", "/x/../admin/y", "/../admin", "/admin/."])
    assert.equal(answer(clean, path), "admin", path);
  const raw = tableOf(apis, { strict: true, rawPaths: true });
  assert.equal(answer(raw, "//admin/x"), "root");
  assert.equal(answer(raw, "/admin/x"), "admin");
});

test("what is no path matches nothing", () => {
  const table = tableOf([{ path: "/" }]);
  for (const path of ["", "*", "x", "?", "http://h/"]) assert.equal(answer(table, path), "none", path);
});

test("a closed path answers nothing, and what is longer or shorter is not touched", () => {
  const table = tableOf([{ path: "/" }, { path: "/pkg.Service/Open" }], {
    closed: [{ api: "closed", port: 8080, domain: "", listen_path: "/pkg.Service" }],
  });
  assert.equal(answer(table, "/pkg.Service/Get"), "none");
  assert.equal(answer(table, "/pkg.Service/Open"), "/pkg.Service/Open");
  assert.equal(answer(table, "/other/Get"), "/");
});

test("an equal path is closed even when something is served there", () => {
  const closed = [{ api: "closed", port: 8080, domain: "a.com", listen_path: "/x" }];
  const table = tableOf([{ path: "/x", domain: "a.com" }], { closed });
  assert.equal(answer(table, "/x", "a.com"), "none");
});

test("routes have small dense ids", () => {
  const table = tableOf([{ path: "/" }, { path: "/a" }, { path: "/b/{x}" }]);
  assert.deepEqual(
    table.routes.map((route) => route.id),
    [0, 1, 2],
  );
  assert.equal(table.routes[table.match(8080, "", "/a")!.id]?.listenPath, "/a");
});

test("a pattern is not tried on a path or host beyond any real length", () => {
  const table = tableOf([
    { id: "path", path: "/{x:.*}/end" },
    { id: "host", path: "/", domain: "{x:.*}.com" },
  ]);
  assert.equal(answer(table, `/${"a".repeat(5000)}/end`), "none");
  assert.equal(answer(table, "/", `${"a".repeat(300)}.com`), "none");
});
