import assert from "node:assert/strict";
import { test } from "node:test";
import { compileHostTemplate, compilePathTemplate } from "../../src/shared/model/template.js";

function path(template: string): RegExp {
  const compiled = compilePathTemplate(template);
  if ("problem" in compiled) throw new Error(compiled.problem);
  return compiled.pattern;
}

function host(template: string): RegExp {
  const compiled = compileHostTemplate(template);
  if ("problem" in compiled) throw new Error(compiled.problem);
  return compiled.pattern;
}

test("a variable without a pattern is one segment of a path or one label of a host", () => {
  assert.ok(path("/a/{x}/c").test("/a/b/c/d"));
  assert.ok(!path("/a/{x}/c").test("/a/b/b/c"));
  assert.ok(!path("/a/{x}/c").test("/a//c"));
  assert.ok(host("{x}.example.com").test("API.Example.com"));
  assert.ok(!host("{x}.example.com").test("a.b.example.com"));
  assert.ok(!host("{x}.example.com").test("a.example.com.evil"));
});

test("a pattern may hold braces and alternatives of its own, and what is around it is literal", () => {
  assert.ok(path("/{v:v[0-9]{1,2}}/x").test("/v12/x"));
  assert.ok(!path("/{v:v[0-9]{1,2}}/x").test("/v123/x"));
  assert.ok(path("/{v:a|b}/x").test("/b/x"));
  assert.ok(!path("/{v:a|b}/x").test("/a"));
  assert.ok(!path("/a.b/{x}").test("/aXb/c"));
});

test("templates that mean nothing say why", () => {
  for (const bad of ["/{", "/}", "/a}", "/{}", "/{:x}", "/{x:}", "/{x:[}", "/{x:)(}", "/{x:*}"]) {
    const compiled = compilePathTemplate(bad);
    assert.ok("problem" in compiled && compiled.problem !== "", bad);
  }
});

test("a repeated repetition is refused, because a caller's path could hold a worker with it", () => {
  for (const bad of ["(a+)+", "(a*)*", "(?:a|b)+", "((a+)b?)*", "([a-z]+){2,}", "(x(y+))+"])
    assert.ok("problem" in compilePathTemplate(`/{x:${bad}}`), bad);
  for (const good of ["a+", "(a+)b", "(ab)+", "[+*]+x", "a\\+\\*", "(a+)?", "(a|b)", ".*", "(?:x){2}"])
    assert.ok("pattern" in compilePathTemplate(`/{x:${good}}`), good);
});
