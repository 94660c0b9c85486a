import assert from "node:assert/strict";
import { test } from "node:test";
import { type Assembly, assemble } from "../../src/shared/model/assembly.js";
import { judgeDefinition } from "../../src/shared/model/definition.js";
import { printProblem } from "../../src/shared/model/problem.js";
import { definitionWith, settingsWith } from "./fixture.js";

const open = settingsWith({ disable_ports_whitelist: true, enable_custom_domains: true, listen_address: "127.0.0.1" });

function together(documents: readonly Record<string, unknown>[], settings = open): Assembly {
  const judgements = documents.map((document, index) => judgeDefinition(document, `${index}.json`, settings));
  return assemble(judgements, settings);
}

const api = (api_id: string, listen_path: string, more: Record<string, unknown> = {}) =>
  definitionWith({ api_id, name: api_id, ...more, proxy: { listen_path } });
const paths = (assembly: Assembly) => assembly.definitions.map((d) => [d.api_id, d.proxy.listen_path]);

test("the first of two definitions with one id is served, the later is left out by name", () => {
  const assembly = together([api("a", "/a"), api("a", "/b")]);
  assert.deepEqual(paths(assembly), [["a", "/a"]]);
  assert.deepEqual(
    assembly.left_out.map(({ file, reason }) => [file, reason]),
    [["1.json", "$.api_id is taken already by 0.json"]],
  );
});

test("an id is taken by a definition that was left out too", () => {
  assert.deepEqual(paths(together([api("a", "/a", { internal: true }), api("a", "/b")])), []);
});

test("of two equal listen paths the later gets its id as a suffix, and says so as an error", () => {
  const assembly = together([api("a", "/x"), api("b", "/x"), api("c", "/x-b"), api("d", "/x")]);
  assert.deepEqual(paths(assembly), [
    ["a", "/x"],
    ["b", "/x-b"],
    ["c", "/x-b-c"],
    ["d", "/x-d"],
  ]);
  assert.deepEqual(assembly.left_out, []);
  assert.match(
    printProblem(assembly.problems[0]!),
    /^error: 1\.json \$\.proxy\.listen_path \[b\]: is the listen path already of 0\.json on port 8080; changed to \/x-b/,
  );
});

test("a path that an open and a protected definition want is nobody's, whichever comes first", () => {
  const open = api("open", "/x");
  const kept = api("kept", "/x", { use_keyless: false });
  const broken = api("broken", "/x", { use_keyless: false, use_oauth2: true });
  const below = api("below", "/");
  for (const documents of [
    [open, kept],
    [kept, open],
    [open, broken],
    [broken, open],
    [open, kept, broken],
  ]) {
    const assembly = together([below, ...documents]);
    assert.deepEqual(paths(assembly), [["below", "/"]]);
    assert.deepEqual(
      assembly.closed.map(({ listen_path }) => listen_path),
      ["/x"],
    );
    assert.equal(assembly.left_out.length, documents.length);
    const told = assembly.problems.filter(({ path }) => path === "$.proxy.listen_path");
    assert.equal(told.length, documents.length);
    assert.match(told[0]?.message ?? "", /^is the listen path of 2\.json.* too, and they ask callers for different/);
  }
});

test("two protected definitions of one path, or two open ones, are told apart as in Tyk", () => {
  for (const more of [{ use_keyless: false }, {}])
    assert.deepEqual(paths(together([api("a", "/x", more), api("b", "/x", more)])), [
      ["a", "/x"],
      ["b", "/x-b"],
    ]);
});

test("a suffix that is taken gets underscores", () => {
  const assembly = together([api("a", "/x"), api("z", "/x-b"), api("b", "/x")]);
  assert.deepEqual(paths(assembly)[2], ["b", "/x-b_"]);
});

test("equal paths on different ports or domains are different", () => {
  const assembly = together([
    api("a", "/"),
    api("b", "/", { listen_port: 6000 }),
    api("c", "/", { domain: "c.example.com" }),
    api("d", "/", { domain: "d.example.com" }),
  ]);
  assert.deepEqual(assembly.problems, []);
  assert.equal(assembly.definitions.length, 4);
});

test("a domain that does not count does not make equal paths different", () => {
  const off = settingsWith();
  const assembly = together([api("a", "/x", { domain: "a.com" }), api("b", "/x", { domain: "b.com" })], off);
  assert.deepEqual(paths(assembly), [
    ["a", "/x"],
    ["b", "/x-b"],
  ]);
  const disabled = together([api("a", "/x", { domain: "a.com", domain_disabled: true }), api("b", "/x")]);
  assert.deepEqual(paths(disabled)[1], ["b", "/x-b"]);
});

test("domains in another case are the same domain", () => {
  const assembly = together([api("a", "/x", { domain: "A.com" }), api("b", "/x", { domain: "a.com" })]);
  assert.deepEqual(paths(assembly)[1], ["b", "/x-b"]);
});

test("the first definition on a port decides its protocol, another one is left out", () => {
  const assembly = together([
    api("a", "/a", { listen_port: 6000, protocol: "h2c" }),
    api("b", "/b", { listen_port: 6000, protocol: "http" }),
    api("c", "/c", { listen_port: 6000, protocol: "h2c" }),
  ]);
  assert.deepEqual(paths(assembly), [
    ["a", "/a"],
    ["c", "/c"],
  ]);
  assert.match(assembly.left_out[0]?.reason ?? "", /^\$\.protocol must be "h2c" on port 6000/);
});

test("ports are the main one first, then every other that is served, once", () => {
  const assembly = together([
    api("a", "/a", { listen_port: 7000 }),
    api("b", "/b", { listen_port: 6000, protocol: "h2c" }),
    api("c", "/c", { listen_port: 7000 }),
    api("d", "/d", { listen_port: 5000, internal: true }),
    api("e", "/e", { listen_port: 4000, active: false }),
  ]);
  const address = "127.0.0.1";
  assert.deepEqual(assembly.ports, [
    { port: 8080, address, protocol: "http", main: true },
    { port: 6000, address, protocol: "h2c", main: false },
    { port: 7000, address, protocol: "http", main: false },
  ]);
});

test("the path of a definition that was left out stays closed, that of an inactive one does not", () => {
  const assembly = together([
    api("a", "/"),
    api("b", "/admin", { internal: true }),
    api("c", "/off", { active: false, internal: true }),
    api("d", "/{x:(}", {}),
  ]);
  assert.deepEqual(assembly.closed, [{ api: "b", port: 8080, domain: "", listen_path: "/admin" }]);
  assert.deepEqual(paths(assembly), [["a", "/"]]);
  assert.equal(assembly.left_out.length, 2);
});

test("a path is closed also where its definition spells the names in another case", () => {
  const { proxy: _, ...rest } = definitionWith();
  const assembly = together([{ ...rest, Proxy: { Listen_Path: "/p" } }]);
  assert.equal(assembly.closed[0]?.listen_path, "/p");
});
