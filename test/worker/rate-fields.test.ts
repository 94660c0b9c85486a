// Responsible for: the X-RateLimit-* fields as a response carries them, whatever the call before had.

import assert from "node:assert/strict";
import { test } from "node:test";
import { RateFields } from "../../src/worker/call/rate-fields.js";

/** Reads literals without indexing with new names, not Huffman-coded. */
function read(block: Uint8Array): Record<string, string> {
  const fields: Record<string, string> = {};
  const buffer = Buffer.from(block);
  for (let at = 0; at < buffer.length; ) {
    assert.equal(buffer[at++], 0);
    const name = buffer.toString("latin1", at + 1, at + 1 + buffer[at]!);
    at += 1 + name.length;
    const value = buffer.toString("latin1", at + 1, at + 1 + buffer[at]!);
    at += 1 + value.length;
    fields[name] = value;
  }
  return fields;
}

test("every call gets its own numbers, however many digits those of the call before had", () => {
  const rates = new RateFields();
  const values = [
    0, 9, 10, 4_294_967_295, 2_147_483_647, 2_147_483_648, 1_000_000_000, 999_999_999_999_999, 7, 1e18, -3,
  ];
  for (const limit of values)
    for (const left of values)
      for (const reset of [1_790_000_000, 0, 12.7]) {
        rates.encode({ rateLimit: limit, rateLeft: left, rateReset: reset });
        const text = (value: number): string => String(Math.min(Math.max(0, Math.floor(value)), 999_999_999_999_999));
        assert.deepEqual(read(rates.block), {
          "x-ratelimit-limit": text(limit),
          "x-ratelimit-remaining": text(left),
          "x-ratelimit-reset": text(reset),
        });
      }
});
