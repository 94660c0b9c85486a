/** Values of volatile names, which are passed on as they came: the octets stand for the same text, and are judged as text is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HpackDecoder, HpackFault } from "../../src/shared/http2/hpack/decoder.js";
import { encodeLiteral, HpackEncoder, literalBound } from "../../src/shared/http2/hpack/encoder.js";
import { type Field, FieldStore, octetsOf } from "../../src/shared/http2/hpack/field.js";
import { FieldList } from "../../src/shared/http2/hpack/field-list.js";
import { huffmanDecode } from "../../src/shared/http2/hpack/huffman.js";
import { copyCoded, copyPlain } from "../../src/shared/http2/hpack/sent-value.js";
import { decoded, decodedText, newDecoder } from "./blocks.js";
import { plainString } from "./twin.js";

const NAME = "x-request-id";

/** A store in which every value of NAME is made anew. */
function heated(name = NAME): FieldStore {
  const store = new FieldStore();
  for (let i = 0; i < 60; i++) store.field(name, `${i}`);
  assert.ok(store.name(name).skip > 0);
  return store;
}

function literal(value: string, coded: boolean, name = NAME): Uint8Array {
  return Uint8Array.from([0, ...plainString(name, false), ...plainString(value, coded)]);
}

function sentOnce(value: string, coded: boolean, name = NAME): Field {
  return decoded(newDecoder(heated(name)), literal(value, coded, name))[0]!;
}

const VALUES = [
  "7",
  "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  "a b\tc",
  "~|{}<>",
  "\u00e9t\u00e9",
  "",
];

test("a value is its text, its octets and its size, coded or not, and leaves as it came", () => {
  for (const value of VALUES) {
    for (const coded of [false, true]) {
      const [field, again] = [sentOnce(value, coded), sentOnce(value, coded)];
      assert.equal(field.stable, false);
      assert.equal(field.flaw, 0);
      assert.equal(field.size, NAME.length + value.length + 32);
      const out = new Uint8Array(literalBound(field));
      const end = encodeLiteral(field, out, 0);
      assert.ok(end <= literalBound(field));
      assert.deepEqual(decodedText(newDecoder(), out.subarray(0, end)), [`${NAME}: ${value}`]);
      const encoder = new HpackEncoder(4096);
      const length = encoder.encode([field], 1);
      assert.deepEqual(decodedText(newDecoder(), encoder.out.slice(0, length)), [`${NAME}: ${value}`]);
      assert.equal(field.value, value);
      assert.equal(again.value, value);
      if (field.sent !== null) {
        const octets = new Uint8Array(128);
        assert.equal(Buffer.from(octets.subarray(0, octetsOf(field.sent, octets))).toString("latin1"), value);
        const string = plainString(value, coded);
        assert.deepEqual([...out.subarray(end - string.length, end)], [...string]);
      }
    }
  }
  assert.notEqual(sentOnce(VALUES[1]!, true).sent, null);
  assert.notEqual(sentOnce(VALUES[1]!, false).sent, null);
});

test("what came outlives the memory it was read from", () => {
  const bytes = literal("12ab", true);
  const field = decoded(newDecoder(heated()), bytes)[0]!;
  bytes.fill(0);
  assert.equal(field.value, "12ab");
});

test("a value that is too long, or longer coded than plain, is kept as text and never leaves longer than its bound", () => {
  for (const value of ["v".repeat(64), "v".repeat(300), "\u00ff".repeat(20)]) {
    for (const coded of [false, true]) {
      const field = sentOnce(value, coded);
      if (coded || value.length > 63) assert.ok(field.sent === null || field.sent.length <= value.length + 1);
      const out = new Uint8Array(literalBound(field));
      const end = encodeLiteral(field, out, 0);
      assert.ok(end <= literalBound(field));
      assert.deepEqual(decodedText(newDecoder(), out.subarray(0, end)), [`${NAME}: ${value}`]);
    }
  }
});

test("an octet that no value may hold is a flaw, coded or not, as it is in text", () => {
  for (let octet = 0; octet < 256; octet++) {
    const char = String.fromCharCode(octet);
    for (const value of [`a${char}b`, `${char}ab`, `ab${char}`]) {
      const flaw = new FieldStore().field(NAME, value).flaw;
      for (const coded of [false, true]) assert.equal(sentOnce(value, coded).flaw, flaw, JSON.stringify(value));
    }
  }
});

test("values that are judged by more than their octets are judged", () => {
  assert.notEqual(sentOnce("x1", false, "content-length").flaw, 0);
  assert.notEqual(sentOnce("x1", true, "te").flaw, 0);
  assert.notEqual(sentOnce("a", true, "X-Upper").flaw, 0);
  assert.notEqual(sentOnce("a", true, "connection").flaw, 0);
});

test("5.2: a Huffman form at fault is a fault of the block, whatever is kept of it", () => {
  const store = heated();
  for (const octets of [[0xff], [0xff, 0xff, 0xff, 0xff], [0x00], [0x07, 0xff, 0xff]]) {
    const bytes = Uint8Array.from([0, ...plainString(NAME, false), 0x80 | octets.length, ...octets]);
    const decoder = new HpackDecoder(store, 4096, { maxFields: 10, maxListSize: 1000 });
    assert.equal(decoder.decode(bytes, 0, bytes.length, new FieldList()), HpackFault.HUFFMAN);
  }
});

test("a value that the table repeats becomes an interned one with the same text", () => {
  const decoder = newDecoder(heated());
  const bytes = literal("4bf92f", true);
  bytes[0] = 0x40;
  const fresh = decoded(decoder, bytes)[0]!;
  const repeated = decoded(decoder, Uint8Array.from([0x80 | 62]))[0]!;
  assert.equal(fresh.stable, false);
  assert.equal(repeated.stable, true);
  assert.equal(repeated.value, "4bf92f");
});

test("a coded value is passed on unread exactly where decoding it finds visible text, whatever its octets", () => {
  const [sent, text] = [new Uint8Array(64), new Uint8Array(128)];
  let random = 12_345;
  const octet = (): number => {
    random = (Math.imul(random, 1_103_515_245) + 12_345) | 0;
    return (random >>> 16) & 255;
  };
  let passed = 0;
  for (let round = 0; round < 40_000; round++) {
    // A few octets of any kind, and visible text with its end cut off or changed.
    const coded = Uint8Array.from(
      round % 2 === 0 ? plainString("a7-Z/09f".slice(round % 8), true).slice(1) : new Array<number>(round % 5).fill(0),
    );
    for (let at = 0; at < coded.length; at++) if (round % 2 === 1 || at === coded.length - 1) coded[at] = octet();
    const decodedLength = huffmanDecode(coded, 0, coded.length, text);
    const visible = decodedLength >= 0 && text.subarray(0, decodedLength).every((each) => each > 0x20 && each !== 0x7f);
    const length = copyCoded(coded, 0, coded.length, sent);
    assert.equal(length, visible ? decodedLength : -1, Buffer.from(coded).toString("hex"));
    if (visible) passed++;
    assert.deepEqual(sent.subarray(1, coded.length + 1), coded);
  }
  assert.ok(passed > 1_000);
});

test("every octet is passed on coded and plain, or looked at, alike", () => {
  const sent = new Uint8Array(64);
  for (let octet = 0; octet < 256; octet++) {
    const string = Uint8Array.from(plainString(String.fromCharCode(octet), true));
    const expected = octet > 0x20 && octet !== 0x7f ? 1 : -1;
    assert.equal(copyCoded(string, 1, string.length, sent), expected, `${octet}`);
    assert.equal(copyPlain(Uint8Array.of(octet), 0, 1, sent), expected, `${octet}`);
  }
});
