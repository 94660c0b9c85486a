import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { compileAddresses } from "../../src/shared/model/address-list.js";
import { compilePath, compileRegex, type MatchOptions } from "../../src/shared/model/path-pattern.js";
import { callerAddress } from "../../src/worker/admit/rights/addresses.js";
import { compileAllowedUrls } from "../../src/worker/admit/rights/allowed-urls.js";
import { isPlainPath } from "../../src/worker/admit/rights/path-form.js";
import { compileLists, FORBIDDEN, IGNORED, PASS, REPLY } from "../../src/worker/admit/rights/path-lists.js";

const exact: MatchOptions = { prefix: false, suffix: false, plain: "exact", ignoreCase: false };
const tyk: MatchOptions = { ...exact, plain: "regex" };
const hello = "/helloworld.Greeter/SayHello";

describe("a pattern of a path", () => {
  for (const [title, source, options, path, matches] of [
    ["a plain method is compared", hello, exact, hello, true],
    ["a plain method is not a prefix", hello, exact, `${hello}Again`, false],
    ["a plain method's dots are dots", hello, exact, "/helloworldXGreeter/SayHello", false],
    ["a plain service names all its methods", "/helloworld.Greeter", exact, hello, true],
    ["a plain service may end in a slash", "/helloworld.Greeter/", exact, hello, true],
    ["a plain service is not the beginning of another", "/helloworld.Greet", exact, hello, false],
    ["a single slash is everything", "/", exact, hello, true],
    ["case matters", hello.toLowerCase(), exact, hello, false],
    ["unless it is ignored", hello.toLowerCase(), { ...exact, ignoreCase: true }, hello, true],
    [
      "as in Tyk a string is searched",
      hello,
      tyk,
      "/xhelloworldXGreeter/SayHelloAgain".replace("xhello", "hello"),
      true,
    ],
    ["an expression is searched", "Say.*$", exact, hello, true],
    ["prefix matching anchors the beginning", "/helloworld", { ...tyk, prefix: true }, hello, true],
    ["prefix matching refuses the middle", "/SayHello", { ...tyk, prefix: true }, hello, false],
    ["suffix matching anchors the end", "/SayHello", { ...tyk, suffix: true }, `${hello}Again`, false],
    ["a placeholder is one segment", "^/foo/{id}$", exact, "/foo/a.b", true],
    ["a placeholder is not two segments", "^/foo/{id}$", exact, "/foo/a/b", false],
    ["a count stays a count", "^/a{2}$", exact, "/aa", true],
    ["Go's inline flag", "(?i)^/HELLOWORLD", exact, hello, true],
    ["Go's named group", "^/(?P<service>[^/]+)/SayHello$", exact, hello, true],
  ] as const) {
    test(title, () => assert.equal(compilePath(source, options).matches(path), matches));
  }

  test("that may take for ever, is too long or broken has a problem and matches nothing", () => {
    for (const source of [
      "(a+)+$",
      "(a*|b)*",
      "([a-z]+){2,}",
      "(",
      "[[:alpha:]]+",
      "^/\\Qa\\E",
      `^${"a".repeat(1_100)}`,
    ]) {
      const pattern = compilePath(source, exact);
      assert.ok(pattern.problem, source);
      assert.equal(pattern.matches("/a"), false);
    }
    assert.notEqual(typeof compileRegex("^/a+/b*$"), "string");
  });

  test("is not tried on endless paths, which then count as what is safe", () => {
    assert.equal(compilePath("a", tyk).matches("a".repeat(3_000)), false);
    assert.equal(compilePath("a", { ...tyk, tooLong: true }).matches("b".repeat(3_000)), true);
    const slow = compileRegex("^/(.*)/(.*)/(.*)$");
    assert.ok(typeof slow !== "string" && slow.limit >= 200 && slow.limit < 300);
    const segments = compileRegex("^/([^/]+)/([^/]+)/([^/]+)/([^/]+)$");
    assert.ok(typeof segments !== "string" && segments.limit === 2_048);
    assert.equal(typeof compileRegex(".*a.*b.*c.*d.*"), "string");
    assert.equal(typeof compileRegex("(a|a)*b"), "string");
  });
});

describe("the plain form of a path", () => {
  for (const path of ["/", hello, "/a-b_c~d/e.f", "/.hidden/..x", "/a/..b"]) {
    test(`${path} is plain`, () => assert.equal(isPlainPath(path), true));
  }
  for (const path of [
    "",
    "a",
    "//a",
    "/a//b",
    "/a/",
    "/./a",
    "/a/.",
    "/a/..",
    "/../a",
    "/%61",
    "/a\\b",
    "/a b",
    "/é",
    "/a\u0000",
  ]) {
    test(`${JSON.stringify(path)} is ${path === "/a/" ? "" : "not "}plain`, () => {
      assert.equal(isPlainPath(path), path === "/a/");
    });
  }
});

describe("allowed urls", () => {
  test("allow the listed method of a matching url and nothing else", () => {
    const urls = compileAllowedUrls([{ url: hello, methods: ["POST"] }], exact);
    assert.equal(urls.check("POST", hello, hello), true);
    assert.equal(urls.check("GET", hello, hello), false);
    assert.equal(urls.check("POST", "/other", "/other"), false);
  });

  test("are tried after the listen path and on the whole path", () => {
    const urls = compileAllowedUrls(
      [
        { url: "^/valid_path", methods: ["GET"] },
        { url: "^/test/try_valid_path", methods: ["GET"] },
      ],
      { ...tyk, prefix: true },
    );
    assert.equal(urls.check("GET", "/test/valid_path", "/valid_path"), true);
    assert.equal(urls.check("GET", "/test/try_valid_path", "/try_valid_path"), true);
    assert.equal(urls.check("POST", "/test/valid_path", "/valid_path"), false);
    assert.equal(urls.check("GET", "/test/invalid_path", "/invalid_path"), false);
  });

  test("without entries allow everything; a broken one allows nothing", () => {
    assert.equal(compileAllowedUrls([], exact).check("POST", "/a", "/a"), true);
    const broken = compileAllowedUrls([{ url: "(", methods: ["POST"] }], exact);
    assert.equal(broken.check("POST", "/(", "/("), false);
    assert.equal(broken.problems.length, 1);
  });

  test("choose exact or searched matching for themselves", () => {
    const urls = compileAllowedUrls([{ url: hello, methods: ["POST"], match: "regex" }], exact);
    assert.equal(urls.check("POST", `${hello}Again`, `${hello}Again`), true);
  });
});

describe("lists of an API", () => {
  const kind = (lists: ReturnType<typeof compileLists>, method: string, path: string): number =>
    lists.check(method, path, path).kind;

  test("a simple white list forbids everything else, for every method", () => {
    const lists = compileLists({ paths: { white_list: ["/a.B"] } }, exact);
    assert.deepEqual(
      [kind(lists, "POST", "/a.B/C"), kind(lists, "GET", "/a.B"), kind(lists, "POST", "/x")],
      [PASS, PASS, FORBIDDEN],
    );
  });

  test("an extended list speaks of its methods only", () => {
    const lists = compileLists(
      {
        use_extended_paths: true,
        paths: { black_list: ["/ignored-by-extended"] },
        extended_paths: { black_list: [{ path: "/a.B/C", method_actions: { POST: { action: "no_action" } } }] },
      },
      exact,
    );
    assert.deepEqual(
      [kind(lists, "POST", "/a.B/C"), kind(lists, "GET", "/a.B/C"), kind(lists, "POST", "/ignored-by-extended")],
      [FORBIDDEN, PASS, PASS],
    );
  });

  test("a black list denies at least what Tyk denies", () => {
    const lists = compileLists({ paths: { black_list: ["/SayHello"] } }, exact);
    assert.deepEqual([kind(lists, "POST", hello), kind(lists, "POST", `${hello}Again`)], [FORBIDDEN, FORBIDDEN]);
  });

  test("ignored goes before black, black before white", () => {
    const lists = compileLists(
      { paths: { ignored: ["/i"], black_list: ["^/i", "^/b"], white_list: ["/b", "/w"] } },
      exact,
    );
    assert.deepEqual(
      ["/i", "/b", "/w", "/x"].map((path) => kind(lists, "POST", path)),
      [IGNORED, FORBIDDEN, PASS, FORBIDDEN],
    );
  });

  test("an ignored entry counts for its method only, in any case where that is asked for", () => {
    const version = {
      use_extended_paths: true,
      extended_paths: { ignored: [{ path: "/A.B/C", method: "POST", ignore_case: true }] },
    };
    const lists = compileLists(version, exact);
    assert.deepEqual([kind(lists, "POST", "/a.b/c"), kind(lists, "GET", "/a.b/c")], [IGNORED, PASS]);
  });

  test("a disabled entry is as if it were not there", () => {
    const lists = compileLists(
      { use_extended_paths: true, extended_paths: { white_list: [{ path: "/a", disabled: true }] } },
      exact,
    );
    assert.equal(kind(lists, "POST", "/b"), PASS);
    assert.equal(lists.restricts, false);
  });

  test("a reply answers for the service", () => {
    const lists = compileLists(
      {
        use_extended_paths: true,
        extended_paths: {
          white_list: [
            { path: "/a", method_actions: { GET: { action: "reply", code: 201, data: "flump", headers: { a: "b" } } } },
          ],
        },
      },
      exact,
    );
    assert.deepEqual(lists.check("GET", "/a", "/a"), {
      kind: REPLY,
      reply: { code: 201, data: "flump", headers: { a: "b" } },
    });
    assert.equal(kind(lists, "POST", "/a"), FORBIDDEN);
  });

  test("a pattern that cannot be used is a problem", () => {
    assert.equal(compileLists({ paths: { black_list: ["("] } }, exact).problems.length, 1);
  });
});

describe("lists of addresses", () => {
  const list = compileAddresses(["127.0.0.1", "10.0.0.0/8", "2001:db8::/32", "::1", "::ffff:192.168.0.0/112"]);

  for (const [address, inside] of [
    ["127.0.0.1", true],
    ["127.0.0.2", false],
    ["10.255.0.1", true],
    ["11.0.0.1", false],
    ["::ffff:10.1.2.3", true],
    ["2001:db8:1::1", true],
    ["2001:db9::1", false],
    ["[::1]", true],
    ["fe80::1%eth0", false],
    ["192.168.200.1", true],
    ["192.169.0.1", false],
    ["nonsense", false],
    ["", false],
  ] as const) {
    test(`${address || "nothing"} is ${inside ? "in" : "out"}`, () => assert.equal(list.has(address), inside));
  }

  test("name what is no address", () => {
    assert.equal(compileAddresses(["10.0.0.0/33", "x", "::/129", "1.2.3.4/", "1.2.3.4/a"]).problems.length, 5);
  });

  test("nobody's word about the caller is believed but a trusted peer's", () => {
    const get = (name: string): string | undefined =>
      ({ "x-forwarded-for": "1.1.1.1, 2.2.2.2, 3.3.3.3" })[name as "x-forwarded-for"];
    const nobody = compileAddresses([]);
    const proxy = compileAddresses(["10.0.0.1"]);
    assert.equal(callerAddress("10.0.0.1", nobody, get, 0), "10.0.0.1");
    assert.equal(callerAddress("10.0.0.2", proxy, get, 0), "10.0.0.2");
    assert.equal(callerAddress("10.0.0.1", proxy, get, 0), "3.3.3.3");
    const both = compileAddresses(["10.0.0.1", "3.3.3.0/24"]);
    assert.equal(callerAddress("10.0.0.1", both, get, 0), "2.2.2.2");
    assert.equal(callerAddress("::ffff:10.0.0.1", proxy, get, 1), "3.3.3.3");
    assert.equal(callerAddress("10.0.0.1", proxy, get, 2), "2.2.2.2");
    assert.equal(callerAddress("10.0.0.1", proxy, get, 9), "1.1.1.1");
    assert.equal(
      callerAddress("10.0.0.1", proxy, () => "abc, test.com", 0),
      "10.0.0.1",
    );
    const real = (name: string): string | undefined => (name === "x-real-ip" ? "9.9.9.9" : undefined);
    assert.equal(callerAddress("10.0.0.1", proxy, real, 0), "9.9.9.9");
    const forged = (name: string): string => (name === "x-real-ip" ? "9.9.9.9" : "1.1.1.1");
    assert.equal(callerAddress("10.0.0.1", proxy, forged, 0), "1.1.1.1");
  });
});

test("no input makes a check throw", () => {
  const lists = compileLists({ paths: { white_list: ["/a/{id}"], black_list: ["^/b.*c$"] } }, exact);
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
      lists.check(text, text, text);
      isPlainPath(text);
      compileRegex(text);
      callerAddress(text, compileAddresses(["0.0.0.0/0", "::/0"]), () => text, 1);
    }),
  );
});
