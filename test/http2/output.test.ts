// Responsible for: what waits to be written: order, blocks, and payloads that are never copied (proven by identity of
// the underlying memory). Governed by: issue 2, section 5 (zero copy).

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ReadBlock, ReadBlockPool } from "../../src/shared/base/read-block.js";
import { OUTPUT_BLOCK, Output, OutputBlocks } from "../../src/shared/http2/output.js";

const held = (size: number): ReadBlock => {
  const block = new ReadBlock(Buffer.alloc(size, 7), null);
  block.holds = 1;
  return block;
};

describe("output", () => {
  test("a slice leaves as the very memory it was read into", () => {
    const output = new Output(new OutputBlocks());
    const block = held(10_000);
    output.slice(block, 100, 5_100);
    const [part] = output.takeFlight().parts;
    assert.equal(part?.buffer, block.buf.buffer);
    assert.equal(part?.byteOffset, block.buf.byteOffset + 100);
    assert.equal(part?.length, 5_000);
  });

  test("slices that follow each other in one block are one part", () => {
    const output = new Output(new OutputBlocks());
    const block = held(10_000);
    output.slice(block, 0, 3_000);
    output.slice(block, 3_000, 6_000);
    output.slice(block, 7_000, 8_000);
    const { parts } = output.takeFlight();
    assert.deepEqual(
      parts.map((it) => it.length),
      [6_000, 1_000],
    );
    assert.equal(block.holds, 3);
  });

  test("what lies in one block alone can be written in place, in parts, and the block is free when all of it is", () => {
    const blocks = new OutputBlocks();
    const output = new Output(blocks);
    assert.equal(output.sole, 0);
    output.copy(Buffer.from("abcdef"), 0, 6);
    const { block } = output;
    assert.deepEqual([output.sole, block.toString("latin1", output.base, output.base + 6)], [6, "abcdef"]);
    output.took(4);
    assert.deepEqual([output.sole, output.waiting, output.empty], [2, 2, false]);
    assert.equal(block.toString("latin1", output.base, output.base + 2), "ef");
    output.copy(Buffer.from("g"), 0, 1);
    assert.equal(Buffer.concat(output.takeFlight().parts).toString(), "efg");
    output.landed();
    output.copy(Buffer.from("h"), 0, 1);
    output.took(output.sole);
    assert.deepEqual([output.sole, output.waiting, output.empty], [0, 0, true]);
    assert.equal(blocks.take(), block);
  });

  test("nothing can be written in place while a slice or a full block waits before it or behind it", () => {
    const output = new Output(new OutputBlocks());
    output.copy(Buffer.from("a"), 0, 1);
    output.slice(held(10), 0, 10);
    assert.equal(output.sole, 0);
    output.copy(Buffer.from("b"), 0, 1);
    assert.equal(output.sole, 0);
    output.takeFlight();
    output.landed();
    output.copy(Buffer.alloc(OUTPUT_BLOCK + 1), 0, OUTPUT_BLOCK + 1);
    assert.equal(output.sole, 0);
    assert.equal(output.waiting, OUTPUT_BLOCK + 1);
  });

  test("a block is held until the flight has landed, and not longer", () => {
    const pool = new ReadBlockPool(4_096, 4);
    const block = pool.take();
    const output = new Output(new OutputBlocks());
    output.slice(block, 0, 2_000);
    block.release();
    output.takeFlight();
    assert.notEqual(pool.take(), block, "still being written");
    output.landed();
    assert.equal(pool.take(), block);
  });

  test("a block that a second flight still needs is not given back by the first", () => {
    const pool = new ReadBlockPool(4_096, 4);
    const block = pool.take();
    const output = new Output(new OutputBlocks());
    output.slice(block, 0, 2_000);
    output.takeFlight();
    output.slice(block, 2_000, 3_000);
    block.release();
    output.landed();
    output.takeFlight();
    assert.notEqual(pool.take(), block);
    output.landed();
    assert.equal(pool.take(), block);
  });

  test("an idle connection holds no output block", () => {
    const blocks = new OutputBlocks();
    const one = new Output(blocks);
    const two = new Output(blocks);
    one.copy(Buffer.from("abc"), 0, 3);
    const memory = one.block;
    one.takeFlight();
    assert.notEqual(one.block, memory);
    one.landed();
    two.copy(Buffer.from("def"), 0, 3);
    assert.equal(two.block, memory, "the block went back to all connections");
  });

  test("what is thrown away lets its blocks go", () => {
    const output = new Output(new OutputBlocks());
    const block = held(5_000);
    output.slice(block, 0, 5_000);
    output.copy(Buffer.alloc(100), 0, 100);
    output.discard();
    assert.deepEqual([block.holds, output.waiting, output.empty], [1, 0, true]);
  });

  test("whatever is copied and sliced leaves in order, and is counted while it waits", () => {
    const piece = fc.record({ copy: fc.boolean(), length: fc.nat(3 * OUTPUT_BLOCK), flush: fc.boolean() });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const output = new Output(new OutputBlocks());
        const expected: Buffer[] = [];
        const seen: Buffer[] = [];
        let waiting = 0;
        for (const [at, { copy, length, flush }] of pieces.entries()) {
          const bytes = Buffer.alloc(length, at + 1);
          expected.push(bytes);
          if (copy) output.copy(bytes, 0, length);
          else if (length > 0) output.slice(new ReadBlock(bytes, null), 0, length);
          waiting += length;
          assert.equal(output.waiting, waiting);
          assert.equal(output.empty, waiting === 0);
          if (!flush) continue;
          for (const part of output.takeFlight().parts) seen.push(Buffer.from(part));
          assert.equal(output.waiting, waiting, "what flies is still waiting");
          output.landed();
          waiting = 0;
        }
        for (const part of output.takeFlight().parts) seen.push(Buffer.from(part));
        assert.ok(Buffer.concat(seen).equals(Buffer.concat(expected)));
      }),
      { numRuns: 100 },
    );
  });
});
