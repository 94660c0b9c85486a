import assert from "node:assert/strict";
import { posix } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { cleanPath, joinPath } from "../../src/shared/model/path.js";
import { type Api, tableOf, target } from "./fixture.js";

function upstream(api: Api, path: string, rawPaths = false): string | undefined {
  return tableOf([api], { rawPaths }).match(8080, "h", path)?.upstreamPath(path);
}

test("a gRPC path arrives as it was sent", () => {
  const path = "/helloworld.Greeter/SayHello";
  assert.equal(upstream({ path: "/helloworld.Greeter" }, path), path);
  assert.equal(upstream({ path: "/" }, path), path);
  assert.equal(upstream({ path: "/", strip: true }, path), path);
  assert.equal(upstream({ path: "/" }, "/a?b=%2F"), "/a?b=%2F");
  assert.equal(upstream({ path: "/" }, "/%2e%2E/a%2Fb"), "/%2e%2E/a%2Fb");
});

test("a stripped listen path leaves at least a slash", () => {
  const strip = (path: string, asked: string) => upstream({ path, strip: true }, asked);
  assert.equal(strip("/sample", "/sample"), "/");
  assert.equal(strip("/sample", "/sample/"), "/");
  assert.equal(strip("/sample", "/sample/a/b"), "/a/b");
  assert.equal(strip("/sample/", "/sample/a"), "/a");
  assert.equal(strip("/sample", "/samplefoo"), "/foo");
  assert.equal(strip("/sample", "/sample?x=1"), "/?x=1");
  assert.equal(strip("/bob/{name:[a-z]+}", "/bob/carol/x"), "/x");
  assert.equal(strip("/bob/{name:.*}", "/bob/carol/x"), "/");
});

test("the target's path stands before the caller's with one slash between, and the queries are merged", () => {
  const to = (written: string, asked: string, more: Partial<Api> = {}) =>
    upstream({ path: "/a", target: written, ...more }, asked);
  assert.equal(to("h2c://s/base", "/a/b"), "/base/a/b");
  assert.equal(to("h2c://s/base/", "/a/b"), "/base/a/b");
  assert.equal(to("h2c://s/base/", "/a/b", { strip: true }), "/base/b");
  assert.equal(to("h2c://s/base", "/a?c=d"), "/base/a?c=d");
  assert.equal(to("h2c://s/base?k=v", "/a?c=d"), "/base/a?k=v&c=d");
  assert.equal(to("h2c://s/?k=v", "/a"), "/a?k=v");
});

test("a slash at the end of the target stays with disable_strip_slash", () => {
  const to = (keepSlash: boolean, written: string) =>
    upstream({ path: "/a", strip: true, keepSlash, target: written }, "/a");
  assert.equal(to(false, "h2c://s/base/"), "/base");
  assert.equal(to(true, "h2c://s/base/"), "/base/");
  assert.equal(to(false, "h2c://s/"), "/");
  assert.equal(to(true, "h2c://s"), "/");
});

test("each target of a list has its own path", () => {
  const route = tableOf([{ path: "/a" }]).match(8080, "h", "/a/b");
  assert.equal(route?.upstreamPath("/a/b", target("h2c://s/two?x")), "/two/a/b?x");
});

test("a caller cannot leave the target's path by dot segments", () => {
  assert.equal(upstream({ path: "/a", strip: true, target: "h2c://s/base" }, "/a/../a/../../a/x"), "/base/x");
  assert.equal(upstream({ path: "/", target: "h2c://s/base" }, "/../../x"), "/base/x");
  assert.equal(upstream({ path: "/" }, "//x//y"), "/x/y");
  assert.equal(upstream({ path: "/" }, "/x/../y", true), "/x/../y");
});

test("a cleaned path is stable, absolute, and has neither empty nor dot segments", () => {
  const path = fc
    .array(fc.constantFrom("", ".", "..", "a", ".a", "b..", "%2e"), { maxLength: 8 })
    .map((s) => `/${s.join("/")}`);
  fc.assert(
    fc.property(path, (asked) => {
      const clean = cleanPath(asked);
      assert.equal(cleanPath(clean), clean);
      assert.ok(clean.startsWith("/"));
      for (const segment of clean.slice(1).replace(/\/$/, "").split("/")) {
        if (clean !== "/") assert.ok(segment !== "" && segment !== "." && segment !== "..", clean);
      }
      // Node's normalize differs only in dropping or keeping a slash at the end.
      const end = /(.)\/$/;
      assert.equal(clean.replace(end, "$1"), posix.normalize(asked).replace(end, "$1"));
    }),
  );
});

test("joining never gives two slashes at the seam nor an empty path", () => {
  const part = fc.stringMatching(/^[a/]{0,4}$/);
  fc.assert(
    fc.property(part, part, fc.boolean(), (base, path, keep) => {
      const joined = joinPath(base === "" ? "" : `/${base}`, path, keep);
      assert.ok(joined.startsWith("/"));
      if (path.replaceAll("/", "") !== "") assert.ok(joined.endsWith(path.replace(/^\/+/, "")));
    }),
  );
});
