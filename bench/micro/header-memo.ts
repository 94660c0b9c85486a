/**
 * What does recognising a header block by its octets cost? Against a Map by text, the plain way to remember. What decoding would cost
 * instead is in hpack.ts. Run: node <built>/bench/micro/header-memo.js
 */
import { bench, do_not_optimize, group, run } from "mitata";
import { BlockKind, MemoTable } from "../../src/shared/http2/header-memo.js";
import { FieldList } from "../../src/shared/http2/hpack/field-list.js";

const SLOTS = 256;
const list = new FieldList();

/** Octets as of a block with a filled table: indices, and a path as a literal. */
const blocksOf = (count: number, length: number): Buffer[] =>
  Array.from({ length: count }, (_, i) =>
    Buffer.from(Array.from({ length }, (_, at) => (at === length >> 1 ? i : (at * 37) & 0xff))),
  );

const compare = (title: string, blocks: readonly Buffer[]): void =>
  group(title, () => {
    const table = new MemoTable(SLOTS);
    for (let sight = 0; sight < 2; sight++)
      for (const block of blocks)
        if (table.find(block, 0, block.length, 1, BlockKind.REQUEST) === null)
          table.remember(block, 0, block.length, 1, BlockKind.REQUEST, list, 0);
    let i = 0;
    bench("memo", () => {
      const block = blocks[i++ % blocks.length]!;
      do_not_optimize(table.find(block, 0, block.length, 1, BlockKind.REQUEST));
    });
    const plain = new Map(blocks.map((block) => [`1 0 ${block.toString("latin1")}`, list]));
    let j = 0;
    bench("plain twin", () => {
      const block = blocks[j++ % blocks.length]!;
      do_not_optimize(plain.get(`1 0 ${block.toString("latin1")}`));
    });
  });

compare("one block of 9 octets", blocksOf(1, 9));
compare("one block of 40 octets", blocksOf(1, 40));
compare("32 blocks of 40 octets in turn", blocksOf(32, 40));
compare("one block of 400 octets", blocksOf(1, 400));

group("a block that never comes again, 40 octets", () => {
  const table = new MemoTable(SLOTS);
  const block = blocksOf(1, 40)[0]!;
  let serial = 0;
  bench("memo: looked for, not kept", () => {
    block.writeUInt32LE(serial++ >>> 0, 8);
    if (table.find(block, 0, block.length, 1, BlockKind.REQUEST) === null)
      do_not_optimize(table.remember(block, 0, block.length, 1, BlockKind.REQUEST, list, 0));
  });
});

await run();
