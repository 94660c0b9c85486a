/** RFC 7541 sections 2.3, 4, 5 and 6 as the decoder sees them: each representation and each fault. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HpackFault, hpackFaults } from "../../src/shared/http2/hpack/decoder.js";
import { FieldStore } from "../../src/shared/http2/hpack/field.js";
import { FieldList } from "../../src/shared/http2/hpack/field-list.js";
import { decoded, decodedText, faultOf, hex, newDecoder } from "./blocks.js";
import { plainInteger, plainString } from "./twin.js";

/** A literal with incremental indexing, both strings raw. */
function indexing(name: string, value: string): Uint8Array {
  return Uint8Array.from([0x40, ...plainString(name, false), ...plainString(value, false)]);
}

const faults: readonly (readonly [string, number, string])[] = [
  ["an index of 0", HpackFault.INDEX_ZERO, "80"],
  ["an index behind the static table while the other is empty", HpackFault.INDEX_UNKNOWN, "be"],
  ["a name index behind both tables", HpackFault.INDEX_UNKNOWN, "7e 00"],
  ["an index of several octets behind both tables", HpackFault.INDEX_UNKNOWN, "ff 80 01"],
  ["an integer longer than four octets behind its prefix", HpackFault.INTEGER_TOO_LARGE, "ff 80 80 80 80 00"],
  ["an integer that never ends", HpackFault.INTEGER_TOO_LARGE, "ff ff ff ff ff ff ff ff ff ff"],
  ["an index cut inside", HpackFault.TRUNCATED, "ff 80"],
  ["a literal cut before its name", HpackFault.TRUNCATED, "40"],
  ["a literal cut inside its name", HpackFault.TRUNCATED, "40 03 61"],
  ["a literal cut before its value", HpackFault.TRUNCATED, "40 01 61"],
  ["a literal cut inside its value", HpackFault.TRUNCATED, "40 01 61 02 61"],
  ["a length cut inside", HpackFault.TRUNCATED, "40 7f"],
  ["a length beyond the block", HpackFault.TRUNCATED, "00 01 61 7f ff ff ff 7f"],
  ["a name padded with zeros", HpackFault.HUFFMAN, "40 81 00 00"],
  ["a value with eight bits of padding", HpackFault.HUFFMAN, "04 82 1f ff"],
  ["EOS inside a value", HpackFault.HUFFMAN, "04 84 ff ff ff ff"],
  ["a size update behind a field", HpackFault.SIZE_UPDATE_LATE, "82 20"],
  ["a size update above the limit", HpackFault.SIZE_UPDATE_TOO_LARGE, "3f e2 1f"],
  ["a size update cut inside", HpackFault.TRUNCATED, "3f"],
];

for (const [name, fault, block] of faults) {
  test(`${name} is a fault: ${hpackFaults[fault]!.sentence}`, () => {
    assert.equal(faultOf(newDecoder(), hex(block)), fault);
  });
}

test("every fault has its row", () => {
  assert.equal(hpackFaults.length, Object.keys(HpackFault).length);
  for (const fault of Object.values(HpackFault)) assert.ok(hpackFaults[fault]!.sentence.length > 0);
});

test("every static index stands for its entry, and all names may be used in literals", () => {
  const store = new FieldStore();
  for (let index = 1; index <= 61; index++) {
    const [field] = decoded(newDecoder(store), Uint8Array.of(0x80 | index));
    assert.equal(field, store.statics[index]);
    for (const [first, bits] of [
      [0x40, 6],
      [0x00, 4],
      [0x10, 4],
    ] as const) {
      const block = Uint8Array.from([...plainInteger(first, bits, index), 1, 0x78]);
      const [literal] = decoded(newDecoder(store), block);
      assert.equal(literal!.name, store.statics[index]!.name);
      assert.equal(literal!.value, "x");
      assert.equal(literal!.neverIndexed, first === 0x10);
    }
  }
});

test("2.3.3: the newest entry has index 62, and older ones follow", () => {
  const decoder = newDecoder();
  for (let i = 0; i < 40; i++) decoded(decoder, indexing(`n${i}`, `v${i}`));
  assert.equal(decoder.entries, 40);
  for (let i = 0; i < 40; i++) {
    assert.deepEqual(decodedText(decoder, Uint8Array.from(plainInteger(0x80, 7, 62 + i))), [`n${39 - i}: v${39 - i}`]);
  }
  assert.equal(faultOf(decoder, Uint8Array.from(plainInteger(0x80, 7, 62 + 40))), HpackFault.INDEX_UNKNOWN);
});

test("4.4: an insertion pushes out the oldest entries, and one larger than the table empties it", () => {
  const decoder = newDecoder();
  decoded(decoder, Uint8Array.from(plainInteger(0x20, 5, 100)));
  decoded(decoder, indexing("a", "1"));
  decoded(decoder, indexing("b", "2"));
  assert.equal(decoder.tableSize, 68);
  decoded(decoder, indexing("c", "3"));
  assert.equal(decoder.tableSize, 68);
  assert.deepEqual(decodedText(decoder, hex("bebf")), ["c: 3", "b: 2"]);
  assert.deepEqual(decodedText(decoder, indexing("d", "x".repeat(100))), [`d: ${"x".repeat(100)}`]);
  assert.equal(decoder.tableSize, 0);
  assert.equal(decoder.entries, 0);
});

test("4.4: a literal may name the entry that its own insertion pushes out", () => {
  const decoder = newDecoder();
  decoded(decoder, Uint8Array.from(plainInteger(0x20, 5, 50)));
  decoded(decoder, indexing("a-name", "1"));
  assert.deepEqual(decodedText(decoder, hex("7e0132")), ["a-name: 2"]);
  assert.deepEqual(decodedText(decoder, hex("be")), ["a-name: 2"]);
});

test("4.2: size updates may begin a block, several of them, and evict at once", () => {
  const decoder = newDecoder();
  decoded(decoder, indexing("a", "1"));
  decoded(decoder, hex("20 3fe11f"));
  assert.equal(decoder.entries, 0);
  decoded(decoder, indexing("a", "1"));
  assert.equal(decoder.entries, 1);
});

test("4.2: after a smaller limit the next block has to begin with its size update", () => {
  const decoder = newDecoder();
  decoder.setTableLimit(100);
  assert.equal(faultOf(decoder, hex("82")), HpackFault.SIZE_UPDATE_MISSING);
  assert.equal(faultOf(decoder, hex("")), HpackFault.SIZE_UPDATE_MISSING);

  const other = newDecoder();
  other.setTableLimit(100);
  assert.equal(faultOf(other, Uint8Array.from(plainInteger(0x20, 5, 101))), HpackFault.SIZE_UPDATE_TOO_LARGE);

  const third = newDecoder();
  third.setTableLimit(100);
  decoded(third, Uint8Array.from([...plainInteger(0x20, 5, 100), 0x82]));
  decoded(third, hex("82"));
});

test("4.2: a larger limit asks for nothing and may be used after an update", () => {
  const decoder = newDecoder();
  decoder.setTableLimit(8192);
  decoded(decoder, hex("82"));
  decoded(decoder, Uint8Array.from(plainInteger(0x20, 5, 8192)));
  for (let i = 0; i < 60; i++) decoded(decoder, indexing(`n${i}`, "x".repeat(100)));
  assert.equal(decoder.entries, 60);
});

test("the generation tells when remembered blocks are stale, and only then", () => {
  const decoder = newDecoder();
  const at = (): number => decoder.generation;
  const start = at();
  decoded(decoder, hex("82 040c2f73616d706c652f70617468 1008 7061737377 6f726406736563726574"));
  assert.equal(at(), start);
  decoded(decoder, indexing("a", "1"));
  const inserted = at();
  assert.notEqual(inserted, start);
  decoded(decoder, hex("be"));
  decoded(decoder, hex("3fe11f"));
  const updated = at();
  assert.notEqual(updated, inserted, "a block with an update is never remembered, even where the size stays");
  decoded(decoder, hex("20"));
  const emptied = at();
  assert.notEqual(emptied, updated);
  decoded(decoder, indexing("a", "1"));
  assert.notEqual(at(), emptied, "an entry too large for the table counts as a change");
  const before = at();
  newDecoder().setTableLimit(0);
  const due = newDecoder();
  due.setTableLimit(0);
  assert.notEqual(due.generation, 0, "a block remembered must not stand in for one that owes a size update");
  assert.equal(at(), before);
});

test("a list over its limits ends early but keeps the table in step and its size counted", () => {
  const block = Uint8Array.from([...indexing("a", "1"), ...indexing("b", "2"), ...indexing("c", "3")]);
  const list = new FieldList();
  const few = newDecoder(new FieldStore(), { maxFields: 2, maxListSize: 1000 });
  assert.equal(few.decode(block, 0, block.length, list), 0);
  assert.deepEqual([list.length, list.size, list.overflow], [2, 3 * 34, true]);
  assert.equal(few.entries, 3);

  const small = newDecoder(new FieldStore(), { maxFields: 100, maxListSize: 68 });
  assert.equal(small.decode(block, 0, block.length, list), 0);
  assert.deepEqual([list.length, list.size, list.overflow], [2, 3 * 34, true]);
  assert.deepEqual(decodedText(few, hex("be")), ["c: 3"]);

  assert.equal(few.decode(block, 0, 5, list), 0);
  assert.deepEqual([list.length, list.size, list.overflow], [1, 34, false], "the next list starts anew");
});

test("only the octets between start and end are read", () => {
  const block = hex("ffff 82 86 ffff");
  const list = new FieldList();
  assert.equal(newDecoder().decode(block, 2, 4, list), 0);
  assert.equal(list.length, 2);
  const cut = hex("ffff 0403616263 ff");
  assert.equal(newDecoder().decode(cut, 2, 6, list), HpackFault.TRUNCATED);
});

test("a fresh field that the table repeats becomes an interned one", () => {
  const store = new FieldStore();
  const decoder = newDecoder(store);
  for (let i = 0; i < 100; i++) decoded(decoder, indexing("x-request-id", `${i}`));
  const block = indexing("x-request-id", "the one");
  const [fresh] = decoded(decoder, block);
  assert.equal(fresh!.stable, false);
  const [again] = decoded(decoder, hex("be"));
  assert.equal(again!.stable, true);
  assert.equal(again!.value, "the one");
  assert.equal(decoded(decoder, hex("be"))[0], again);
});
