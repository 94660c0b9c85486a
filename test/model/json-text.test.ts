import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readJson } from "../../src/shared/model/json-text.js";

const FAULTS: [string, number, number, RegExp][] = [
  ["", 1, 1, /expected a value, found the end/],
  ["{", 1, 2, /expected a key in double quotes or }, found the end/],
  ['{"a":1,}', 1, 8, /expected a key in double quotes \(no comma stands before \}\), found "}"/],
  ["[1,]", 1, 4, /no comma stands before \]/],
  ['{"a" 1}', 1, 6, /expected : after the key, found "1"/],
  ['{\n  "a": 1\n  "b": 2\n}', 3, 3, /expected , or }/],
  ['{"a": tru}', 1, 7, /expected a value, found "tru"/],
  ['{"a": 01}', 1, 7, /expected/],
  ["{'a': 1}", 1, 2, /expected a key/],
  ['{"a": "x\ny"}', 1, 7, /a string that does not end, or holds a control character/],
  ['{"a": "x', 1, 7, /a string that does not end/],
  ['{"a": "\\q"}', 1, 7, /unknown escape/],
  ["{} {}", 1, 4, /expected nothing after the value/],
  ["[1}", 1, 3, /expected , or \]/],
  ["// note\n{}", 1, 1, /expected a value/],
  ["[\n\t[]\n\t[]]", 3, 2, /expected , or \]/],
  ["nul", 1, 1, /expected a value, found "nul"/],
];

for (const [text, line, column, message] of FAULTS) {
  test(`${JSON.stringify(text)} is refused at line ${line}, column ${column}`, () => {
    const read = readJson(text);
    assert.ok("line" in read);
    assert.deepEqual([read.line, read.column], [line, column], read.message);
    assert.match(read.message, message);
  });
}

test("JSON is read as JSON.parse reads it, also after a byte order mark", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value, null, 1);
      assert.deepEqual(readJson(text), { value: JSON.parse(text) });
      assert.deepEqual(readJson(`\ufeff${text}`), { value: JSON.parse(text) });
    }),
  );
});

test("whatever JSON.parse refuses has a line and a column inside the text", () => {
  const broken = fc.tuple(fc.jsonValue(), fc.nat(), fc.string({ maxLength: 2 })).map(([value, at, put]) => {
    const text = JSON.stringify(value, null, 1);
    const cut = at % (text.length + 1);
    return text.slice(0, cut) + put + text.slice(cut + 1);
  });
  fc.assert(
    fc.property(broken, (text) => {
      const read = readJson(text);
      if ("value" in read) return;
      const lines = text.split("\n");
      assert.ok(read.line >= 1 && read.line <= lines.length);
      assert.ok(read.column >= 1 && read.column <= (lines[read.line - 1] ?? "").length + 1);
      assert.notEqual(read.message, "");
    }),
    { numRuns: 500 },
  );
});

test("a document nested beyond any use is refused, valid or not", () => {
  for (const end of ["]".repeat(5_000), ""]) {
    const read = readJson("[".repeat(5_000) + end);
    assert.ok("message" in read);
    assert.match(read.message, /nested deeper than 200/);
  }
  assert.ok("value" in readJson("[".repeat(150) + "]".repeat(150)));
});
