// Responsible for: the tables of docs/ say what the schemas say, and each row is explained.
// A table that fell behind is made anew with SLUICE_WRITE_DOCS=1 in the environment of this test; new rows then wait for
// their last column. Must not know: what a row means. Governed by: docs/settings.md, docs/migration.md.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { SETTINGS_SUPPORT } from "../../src/shared/config/support.js";
import { SUPPORT } from "../../src/shared/model/support.js";
import { blockOf, settingsTables, supportTable, unexplained } from "./reference.js";

const ADVICE = "run this test with SLUICE_WRITE_DOCS=1, then fill the last column of new rows";

function holds(page: string, block: string, make: (written: string) => string): void {
  const file = fileURLToPath(new URL(`../../../docs/${page}`, import.meta.url));
  const { before, text, after } = blockOf(readFileSync(file, "utf8"), block);
  const made = make(text);
  if (process.env["SLUICE_WRITE_DOCS"] === "1") writeFileSync(file, before + made + after);
  else assert.equal(text, made, `docs/${page} fell behind the program: ${ADVICE}`);
  assert.deepEqual(unexplained(made), [], `rows of docs/${page} without an explanation`);
}

describe("the reference in docs", () => {
  test("lists every setting with its default, its bounds and when it counts", () => {
    holds("settings.md", "settings", settingsTables);
  });

  test("lists every field of a definition, and what becomes of it", () => {
    holds("migration.md", "definition", (written) => supportTable(SUPPORT, written));
  });

  test("lists every setting of Tyk that has no meaning here, and what becomes of it", () => {
    holds("migration.md", "settings", (written) => supportTable(SETTINGS_SUPPORT, written));
  });
});
