import assert from "node:assert/strict";
import { test } from "node:test";
import { nearest } from "../../src/shared/model/likeness.js";
import { definitionWith, errorsOf, judge, warningsOf } from "./fixture.js";

const NAMES = ["listen_port", "listen_address", "secret", "node_secret", "workers", "api_id"];

test("a name that differs little from a known one is understood", () => {
  const meant: [string, string | undefined][] = [
    ["listen_prot", "listen_port"],
    ["listenport", "listen_port"],
    ["Secrets", "secret"],
    ["wrokers", "workers"],
    ["apiid", "api_id"],
    ["colour", undefined],
    ["x", undefined],
    ["", undefined],
  ];
  for (const [written, name] of meant) assert.equal(nearest(written, NAMES), name, written);
});

test("an unknown field of a definition is told with the one that was meant", () => {
  const [warning] = warningsOf(judge(definitionWith({ proxy: { target_lists: ["h2c://a:1"] } })));
  assert.equal(warning, "$.proxy.target_lists is not a known field and has no effect; did you mean target_list?");
});

test("what is missing is told to be missing, what is wrong to be wrong", () => {
  const { api_id: _id, proxy: _proxy, ...rest } = definitionWith();
  assert.deepEqual(errorsOf(judge({ ...rest, proxy: {} })), [
    "$.api_id is missing",
    "$.proxy.listen_path is missing",
    "$.proxy.target_url is missing",
  ]);
  const paths = { use_extended_paths: true, extended_paths: { white_list: [{}], url_rewrites: [{ path: "/a" }] } };
  const version_data = { not_versioned: true, versions: { Default: paths } };
  assert.deepEqual(errorsOf(judge(definitionWith({ version_data }))), [
    "$.version_data.versions.Default.extended_paths.white_list[0].path is missing",
    "$.version_data.versions.Default.extended_paths.url_rewrites[0].match_pattern is missing",
  ]);
  assert.deepEqual(errorsOf(judge(definitionWith({ proxy: { listen_path: "" } }))), [
    "$.proxy.listen_path must not be empty",
  ]);
});
