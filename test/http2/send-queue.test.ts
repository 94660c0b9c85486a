// Responsible for: DATA that must wait: order, what it keeps alive, and the bound on that.
// Governed by: issue 2, section 5 (bytes that wait may be copied once so that they do not pin a read block).

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ReadBlock, ReadBlockPool } from "../../src/shared/base/read-block.js";
import { sendData } from "../../src/shared/http2/send-data.js";
import { SendQueue } from "../../src/shared/http2/send-queue.js";
import { Side } from "./fixture.js";

const KIB = 1_024;

describe("a send queue", () => {
  test("keeps at most twice of what waits alive, whatever blocks it came in", () => {
    const piece = fc.record({
      block: fc.integer({ min: 1, max: 256 * KIB }),
      from: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), fc.array(fc.nat(100_000)), (pieces, takes) => {
        const queue = new SendQueue();
        for (const { block, from } of pieces) {
          queue.push(new ReadBlock(Buffer.alloc(block), null), Math.floor((block - 1) * from), block);
          assert.ok(queue.pinned <= queue.bytes * 2, `${queue.pinned} for ${queue.bytes}`);
        }
        let { bytes } = queue;
        for (const take of takes) {
          if (queue.bytes === 0) break;
          const { start, end } = queue.first();
          const n = Math.min(Math.max(take, 1), end - start);
          queue.advance(n);
          bytes -= n;
          assert.equal(queue.bytes, bytes);
        }
        assert.equal(queue.clear(), bytes);
        assert.deepEqual([queue.bytes, queue.pinned], [0, 0]);
      }),
      { numRuns: 100 },
    );
  });

  test("a small piece is copied out and its block let go at once", () => {
    const pool = new ReadBlockPool(64 * KIB, 4);
    const block = pool.take();
    const queue = new SendQueue();
    queue.push(block, 10, 11);
    block.release();
    assert.equal(pool.take(), block);
    assert.deepEqual([queue.bytes, queue.pinned], [1, 1]);
  });

  test("a large piece is not copied: it is the memory it was read into, until its last octet has left", () => {
    const pool = new ReadBlockPool(64 * KIB, 4);
    const block = pool.take();
    const queue = new SendQueue();
    queue.push(block, 0, 60 * KIB);
    block.release();
    assert.equal(queue.first().buf, block.buf);
    queue.advance(30 * KIB);
    assert.notEqual(pool.take(), block);
    queue.advance(30 * KIB);
    assert.equal(pool.take(), block);
  });
});

test("a thousand stalled streams that hold one octet of another block each pin a thousand octets, not their blocks", () => {
  const side = new Side(true).greet([4, 0]);
  const pool = new ReadBlockPool(64 * KIB, 2_000);
  const blocks = Array.from({ length: 1_000 }, () => pool.take());
  for (const [at, block] of blocks.entries()) {
    const stream = side.request(1 + 2 * at);
    side.respond(stream);
    sendData(stream, null, block, -1, 100, 101, 0);
    block.release();
  }
  assert.equal(side.shared.budget.held, 1_000);
  assert.ok(
    blocks.every((it) => it.holds === 0),
    "every block can be read into again",
  );
  side.connection.die();
  assert.equal(side.shared.budget.held, 0);
});
