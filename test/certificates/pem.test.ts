// Responsible for: what counts as PEM, and that reading it costs each octet once. Governed by: RFC 7468.

import assert from "node:assert/strict";
import { test } from "node:test";
import { readPem, writePem } from "../../src/shared/certificates/pem.js";

test("beginnings without an end cost no more than their octets, and hide no block behind them", () => {
  // A body of the control API may be as large; looking for each end anew takes minutes.
  const text = "-----BEGIN CERTIFICATE-----\n".repeat(37_000) + writePem("CERTIFICATE", Buffer.from("good"));
  assert.deepEqual(
    readPem(text).map(({ label, der }) => [label, der.toString()]),
    [["CERTIFICATE", "good"]],
  );
});

test("single dashes may stand in the headers of the old encryption", () => {
  const [block] = readPem("-----BEGIN KEY-----\nDEK-Info: AES-256-CBC,--00\n\nZ29vZA==\n-----END KEY-----\n");
  assert.equal(block?.headers.get("dek-info"), "AES-256-CBC,--00");
  assert.equal(block?.der.toString(), "good");
});
