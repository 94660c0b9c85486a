// Responsible for: header blocks that are recognised by their octets: only ever for what they were.
// Governed by: engine.md, section 2 (a header block is decoded once); RFC 7541, 2.2.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BlockKind, MemoTable } from "../../src/shared/http2/header-memo.js";
import { FieldList } from "../../src/shared/http2/hpack/field-list.js";
import { headers } from "../support/wire/frame.js";
import { block, IndexingEncoder } from "../support/wire/hpack.js";
import { newShared, Side } from "./fixture.js";

const list = new FieldList();
const octets = (text: string): Buffer => Buffer.from(text, "latin1");

function meet(table: MemoTable, text: string, generation = 0, kind: number = BlockKind.REQUEST): boolean {
  const bytes = octets(text);
  if (table.find(bytes, 0, bytes.length, generation, kind) !== null) return true;
  table.remember(bytes, 0, bytes.length, generation, kind, list, 0);
  return false;
}

describe("remembered header blocks", () => {
  test("are kept from their second sight on", () => {
    const table = new MemoTable(16);
    assert.deepEqual([meet(table, "block"), meet(table, "block"), meet(table, "block")], [false, false, true]);
  });

  test("are not found under another generation of the table, or as another kind", () => {
    const table = new MemoTable(16);
    for (let at = 0; at < 3; at++) meet(table, "block", 1);
    const bytes = octets("block");
    assert.notEqual(table.find(bytes, 0, 5, 1, BlockKind.REQUEST), null);
    assert.equal(table.find(bytes, 0, 5, 2, BlockKind.REQUEST), null);
    assert.equal(table.find(bytes, 0, 5, 1, BlockKind.TRAILERS), null);
  });

  test("are compared octet by octet: equal hashes are not enough", () => {
    const table = new MemoTable(16);
    // 31 × "A" + "a" = 31 × "B" + "B": the same hash for every hash of this kind.
    for (let at = 0; at < 3; at++) meet(table, "xAay");
    const other = octets("xBBy");
    assert.equal(table.find(other, 0, 4, 0, BlockKind.REQUEST), null);
  });

  test("are not kept when they are long, whatever they cost", () => {
    const table = new MemoTable(16);
    const long = "x".repeat(513);
    for (let at = 0; at < 5; at++) assert.equal(meet(table, long), false);
  });

  test("are copies: memory that is read into again does not change them", () => {
    const table = new MemoTable(16);
    const bytes = octets("some block");
    for (let at = 0; at < 2; at++) {
      table.find(bytes, 0, bytes.length, 0, 0);
      table.remember(bytes, 0, bytes.length, 0, 0, list, 0);
    }
    bytes.fill(0);
    assert.equal(table.find(bytes, 0, bytes.length, 0, 0), null);
    assert.notEqual(table.find(octets("some block"), 0, 10, 0, 0), null);
  });

  test("never mean what they meant before the peer's table changed", () => {
    const side = new Side(true).greet();
    const encoder = new IndexingEncoder();
    const start: [string, string][] = [
      [":method", "POST"],
      [":scheme", "http"],
    ];
    const path = (value: string): Buffer => encoder.block(...start, [":path", value]);
    let stream = -1;
    const ask = (bytes: Buffer): void => {
      stream += 2;
      side.feed(headers(stream, bytes, { end: true }));
    };
    ask(path("/one"));
    for (let at = 0; at < 4; at++) ask(path("/one"));
    const indexed = path("/one");
    ask(indexed);
    ask(path("/two"));
    // The newest entry of the table is another one now, so these octets name it.
    ask(indexed);
    assert.deepEqual(side.faults, []);
    assert.deepEqual(side.events.paths, [...Array.from({ length: 6 }, () => "/one"), "/two", "/two"]);
  });

  test("of peers without a table are shared by all their connections, malformed ones with their flaw", () => {
    const shared = newShared();
    const bad = block([":method", "POST"], [":scheme", "http"]);
    for (let at = 0; at < 4; at++) {
      const side = new Side(true, {}, shared).greet();
      side.feed(headers(1, bad));
      assert.deepEqual(side.said(), ["RST_STREAM stream=1 flags=0 length=4 PROTOCOL_ERROR"]);
    }
  });

  test("as a request say nothing about the same octets as trailers", () => {
    const side = new Side(true).greet();
    const request = block([":method", "POST"], [":scheme", "http"], [":path", "/"]);
    for (let at = 0; at < 4; at++) side.feed(headers(1 + 2 * at, request));
    side.feed(headers(1, request, { end: true }));
    assert.deepEqual(side.said(), ["RST_STREAM stream=1 flags=0 length=4 PROTOCOL_ERROR"]);
  });
});
