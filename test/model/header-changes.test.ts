// Responsible for: what a definition may change in header lists, and how a mistake is told. Governed by: spec 2.3.

import assert from "node:assert/strict";
import test from "node:test";
import { definitionWith, errorsOf, judge } from "./fixture.js";

const withVersion = (version: Record<string, unknown>, more: Record<string, unknown> = {}) =>
  definitionWith({ ...more, version_data: { not_versioned: true, versions: { Default: version } } });

const at = "$.version_data.versions.Default";

test("global lists, entries of paths and header_injector travel with the definition, names in lower case", () => {
  const judgement = judge(
    withVersion(
      {
        use_extended_paths: true,
        global_headers: { "X-One": "$tyk_meta.one" },
        global_headers_remove: ["X-Two"],
        global_response_headers: { "X-Three": "3" },
        global_response_headers_remove: ["Server"],
        extended_paths: {
          transform_headers: [
            { path: "/a", method: "POST", add_headers: { "X-A": "a" }, delete_headers: ["X-B"], act_on: true },
            { path: "/off", method: "POST", add_headers: { connection: "a" }, disabled: true },
          ],
          transform_response_headers: [{ path: "/a", method: "POST", add_headers: { "X-C": "c" } }],
        },
      },
      { response_processors: [{ name: "header_injector", options: { add_headers: { "X-Three": "4" } } }] },
    ),
  );
  assert.deepEqual(judgement.problems, []);
  assert.deepEqual(judgement.definition?.headers, {
    request: {
      everywhere: { remove: ["x-two"], set: [{ name: "x-one", value: "$tyk_meta.one" }] },
      paths: [{ path: "/a", method: "POST", remove: ["x-b"], set: [{ name: "x-a", value: "a" }] }],
    },
    response: {
      everywhere: { remove: ["server"], set: [{ name: "x-three", value: "4" }] },
      paths: [{ path: "/a", method: "POST", remove: [], set: [{ name: "x-c", value: "c" }] }],
    },
    ignoreCase: false,
    contextVariables: false,
  });
});

test("lists that are switched off, not in use or empty say nothing", () => {
  for (const version of [
    { global_headers: { "x-a": "b" }, global_headers_remove: ["x-c"], global_headers_disabled: true },
    { global_response_headers: { "x-a": "b" }, global_response_headers_disabled: true },
    { use_extended_paths: false, extended_paths: { transform_headers: [{ path: "/", add_headers: { a: "b" } }] } },
    { global_headers: {}, global_headers_remove: null },
  ])
    assert.equal(judge(withVersion(version)).definition?.headers, undefined, JSON.stringify(version));
});

const REFUSED: [string, Record<string, unknown>, RegExp][] = [
  ["a pseudo-header field", { ":path": "/x" }, /must not be a pseudo-header field/],
  ["no name", { "x y": "1" }, /must be the name of a header field/],
  ["a field of one connection", { Connection: "close" }, /belongs to one connection/],
  ["te", { te: "trailers" }, /how the message is to be read/],
  ["the content type", { "Content-Type": "text/plain" }, /how the message is to be read/],
  ["the host", { Host: "example.org" }, /how the message is to be read/],
  ["a field of gRPC's own", { "Grpc-Timeout": "1S" }, /is reserved for gRPC itself/],
  ["a value with a line break", { "x-a": "1\r\nx-b: 2" }, /must be printable ASCII/],
  ["a value that begins with a space", { "x-a": " 1" }, /must not begin or end with a space/],
  ["an unknown context variable", { "x-a": "$tyk_context.nothing" }, /has no variable \$tyk_context\.nothing/],
  ["a variable of another kind", { "x-a": "$secret_env.KEY" }, /has \$secret_env, which nothing here fills in/],
  ["binary metadata that is not base64", { "x-a-bin": "no base64!" }, /must be base64/],
  ["a number", { "x-a": 1 }, /must be a string/],
];

for (const [what, headers, message] of REFUSED) {
  test(`setting ${what} leaves the definition out and names the place`, () => {
    for (const list of ["global_headers", "global_response_headers"]) {
      const [error = ""] = errorsOf(judge(withVersion({ [list]: headers })));
      assert.ok(error.startsWith(`${at}.${list}`), error);
      assert.match(error, message);
    }
    const entry = { path: "/x", method: "POST", add_headers: headers };
    const version = { use_extended_paths: true, extended_paths: { transform_headers: [entry] } };
    assert.match(errorsOf(judge(withVersion(version)))[0] ?? "", /extended_paths\.transform_headers\[0\]\.add_headers/);
  });
}

test("what gRPC is told by cannot be removed either; what belongs to one connection may be, since it is not passed on", () => {
  assert.equal(errorsOf(judge(withVersion({ global_headers_remove: ["TE"] }))).length, 1);
  assert.equal(errorsOf(judge(withVersion({ global_headers_remove: ["grpc-encoding"] }))).length, 1);
  assert.deepEqual(errorsOf(judge(withVersion({ global_headers_remove: ["Connection", "X-Forwarded-For"] }))), []);
});

test("a pattern that cannot be used is named", () => {
  const entry = { path: "/(a+)+", method: "POST", add_headers: { "x-a": "1" } };
  const version = { use_extended_paths: true, extended_paths: { transform_headers: [entry] } };
  assert.match(
    errorsOf(judge(withVersion(version))).join(),
    /transform_headers\[0\]\.path .*cannot be used as a pattern/,
  );
});

test("context variables without enable_context_vars are warned of", () => {
  const version = { global_headers: { "x-a": "$tyk_context.request_id" } };
  const [problem] = judge(withVersion(version)).problems;
  assert.equal(problem?.level, "warning");
  assert.match(problem?.message ?? "", /empty while enable_context_vars is off/);
  assert.deepEqual(judge(withVersion(version, { enable_context_vars: true })).problems, []);
});

test("other response processors are warned of", () => {
  const judgement = judge(definitionWith({ response_processors: [{ name: "response_body_transform" }] }));
  assert.match(judgement.problems[0]?.message ?? "", /only header_injector/);
});
