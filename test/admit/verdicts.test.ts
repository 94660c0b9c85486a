import assert from "node:assert/strict";
import { test } from "node:test";
import * as verdicts from "../../src/worker/admit/verdicts.js";

test("every verdict has a row of its own with an answer for both kinds of callers", () => {
  const ids = Object.entries(verdicts).filter(([name, value]) => typeof value === "number" && /^[A-Z_]+$/.test(name));
  const table = verdicts.verdictTable();
  assert.equal(new Set(ids.map(([, id]) => id)).size, ids.length);
  for (const [name, id] of ids) {
    const row = table[id as number];
    assert.ok(row, name);
    assert.ok(row.grpc > 0 && row.grpc <= 16, name);
    assert.ok(row.http >= 400 && row.http !== 500, name);
    assert.ok(row.message !== "" && row.counted !== "", name);
  }
});

test("an override of the message keeps the code, and the other way round", () => {
  const table = verdicts.verdictTable({
    "auth.auth_field_missing": { message: "Token?" },
    "auth.key_not_found": { code: 404 },
    "oauth.unknown": { message: "x" },
  });
  const missing = table[verdicts.AUTH_FIELD_MISSING];
  assert.deepEqual([missing?.message, missing?.http, missing?.grpc], ["Token?", 401, 16]);
  const unknown = table[verdicts.KEY_NOT_FOUND];
  assert.deepEqual([unknown?.message, unknown?.http], ["Access to this API has been disallowed", 404]);
  assert.deepEqual([...verdicts.OVERRIDE_IDS].sort(), [
    "auth.auth_field_missing",
    "auth.cert_expired",
    "auth.cert_mismatch",
    "auth.cert_not_found",
    "auth.cert_required",
    "auth.key_is_invalid",
    "auth.key_not_found",
  ]);
});
