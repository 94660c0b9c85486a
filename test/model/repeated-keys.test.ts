// Responsible for: keys that stand twice in a JSON text. Must not know: what the text is for.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { repeatedKeys } from "../../src/shared/model/repeated-keys.js";

const CASES: [string, string, string[]][] = [
  ["in the outermost object", '{"a": 1,\n "a": 2}', ["a 2:2"]],
  ["in an inner one, beside one of the same name outside", '{"a": {"b": 1, "a": 2, "b": 3}, "b": 4}', ["a.b 1:24"]],
  ["in an object of a list", '[{"a": 1}, {"a": [1, {}, 2], "a": 1}]', ["1.a 1:30"]],
  ["written with an escape", '{"a": 1, "\\u0061": 2}', ["a 1:10"]],
  ["three times", '{"a": 1, "a": 2, "a" : 3}', ["a 1:10", "a 1:18"]],
  ["as a value", '{"a": "a", "b": "a"}', []],
  ["inside a text", '{"a": "\\"a\\": 1, {\\"a\\": 2}"}', []],
  ["as the name of what every object has", '{"__proto__": 1, "toString": 2}', []],
];

for (const [says, text, found] of CASES) {
  test(`a key ${says} is ${found.length > 0 ? "found with its place" : "none that stands twice"}`, () => {
    const told = repeatedKeys(text).map(({ path, line, column }) => `${path.map(String).join(".")} ${line}:${column}`);
    assert.deepEqual(told, found);
    assert.deepEqual(
      repeatedKeys(`\ufeff${text}`).map(({ column }) => column),
      repeatedKeys(text).map(({ column }) => column),
    );
  });
}

test("what JSON.stringify writes has none", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => assert.deepEqual(repeatedKeys(JSON.stringify(value, null, 1)), [])));
});

test("of a text that repeats itself without end not all is told", () => {
  assert.equal(repeatedKeys(`{${'"a": 1, '.repeat(1_000)}"a": 1}`).length, 20);
});
