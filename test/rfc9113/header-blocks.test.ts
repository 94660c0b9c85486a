// Responsible for: header blocks beyond the conformance suite: what a caller's blocks mean must reach the service, and
// both tables must stay in step whatever becomes of a stream. Must not know: the engine's HPACK.
// Governed by: RFC 7541; RFC 9113, 4.3. One gateway, one service.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { request, WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block, indexed, integer, literal, string, tableSize } from "../support/wire/hpack.js";
import { huffmanOf } from "../support/wire/huffman.js";
import { WireServer } from "../support/wire/server.js";

const { Code } = f;
const usual = block(...request());
const indexing = (name: string, value: string) => literal(name, value, 0x40);

let gateway: Gateway;
let service: WireServer;

/** Sends a block as a request and returns the values that the service got under a name. */
async function got(client: WireClient, name: string, ...parts: Buffer[]): Promise<string[]> {
  const stream = client.newStream();
  client.send(f.headers(stream, Buffer.concat(parts), { end: true }));
  const it = await service.request();
  it.connection.reply(it.stream);
  await client.message(stream);
  return it.fields.filter((field) => field.name === name).map((field) => field.value);
}

async function refused(client: WireClient, ...parts: Buffer[]): Promise<void> {
  client.send(f.headers(client.newStream(), Buffer.concat(parts), { end: true }));
  await client.expectConnectionError(Code.COMPRESSION_ERROR);
}

/** One connection per test, closed whatever happens. */
const on = (says: string, run: (client: WireClient) => Promise<void>) =>
  test(says, async () => {
    const client = await WireClient.ready(gateway.port);
    try {
      await run(client);
    } finally {
      client.close();
    }
  });

describe("header blocks", () => {
  before(async () => {
    service = await WireServer.listen();
    gateway = await startGateway({ definitions: [keyless({ target: service.target })] });
  });

  after(async () => {
    await gateway?.stop();
    await service?.close();
  });

  on("entries are found at their index, newest first", async (c) => {
    assert.deepEqual(await got(c, "x-a", usual, indexing("x-a", "1"), indexing("x-b", "2")), ["1"]);
    assert.deepEqual(await got(c, "x-a", usual, indexed(63)), ["1"]);
    assert.deepEqual(await got(c, "x-b", usual, indexed(62), indexed(62)), ["2", "2"]);
  });

  on("a name of the dynamic table serves for a new value", async (c) => {
    await got(c, "x-a", usual, indexing("x-a", "1"));
    assert.deepEqual(await got(c, "x-a", usual, integer(62, 4, 0), string("other")), ["other"]);
    assert.deepEqual(await got(c, "x-a", usual, integer(62, 6, 0x40), string("third")), ["third"]);
    assert.deepEqual(await got(c, "x-a", usual, indexed(62), indexed(63)), ["third", "1"]);
  });

  on("the oldest entries leave when the table is full", async (c) => {
    const entry = (at: number) => indexing(`x-${at}`, "v".repeat(964));
    await got(c, "x-1", usual, entry(1), entry(2), entry(3), entry(4));
    await refused(c, usual, indexed(66));
  });

  on("an entry larger than the table empties it and is no error", async (c) => {
    assert.deepEqual(await got(c, "x-a", usual, indexing("x-a", "1"), indexing("x-large", "v".repeat(5_000))), ["1"]);
    await refused(c, usual, indexed(62));
  });

  on("a smaller table forgets, a larger one does not bring back", async (c) => {
    await got(c, "x-a", usual, indexing("x-a", "1"));
    assert.deepEqual(await got(c, "x-b", tableSize(0), tableSize(4096), usual, indexing("x-b", "2")), ["2"]);
    assert.deepEqual(await got(c, "x-b", usual, indexed(62)), ["2"]);
    await refused(c, usual, indexed(63));
  });

  on("an entry whose name is evicted by its own insertion is still understood", async (c) => {
    await got(c, "x-a", tableSize(60), usual, indexing("x-a", "123456"));
    assert.deepEqual(await got(c, "x-a", usual, integer(62, 6, 0x40), string("abcdefg")), ["abcdefg"]);
    assert.deepEqual(await got(c, "x-a", usual, indexed(62)), ["abcdefg"]);
  });

  on("an integer with needless zeros is understood", async (c) => {
    const padded = Buffer.from([0xff, 0x80, 0x80, 0x00]);
    // 127 + 0: beyond both tables, so the integer was read to its end.
    await refused(c, usual, padded);
  });

  on("an integer without end is an error, not a wait", (c) => refused(c, usual, Buffer.alloc(40, 0xff)));

  on("a string longer than its block is an error", (c) =>
    refused(c, usual, Buffer.from([0x00]), string("x-a"), Buffer.from([0x7f, 0xff, 0xff, 0x7f])),
  );

  on("a string said to be gigabytes long is an error at once", (c) =>
    refused(c, usual, Buffer.from([0x00]), integer(2 ** 31, 7), Buffer.from("abc")),
  );

  on("every octet that a value may hold passes Huffman's code", async (c) => {
    const octets = [9, ...Array.from({ length: 223 }, (_, at) => at + 32)].filter((it) => it !== 127);
    const value = `<${Buffer.from(octets).toString("latin1")}>`;
    assert.deepEqual(await got(c, "x-all", usual, literal("x-all", value, 0, true)), [value]);
  });

  on("an empty string in Huffman's code is empty", async (c) => {
    const empty = Buffer.concat([Buffer.from([0]), string("x-a"), Buffer.from([0x80])]);
    assert.deepEqual(await got(c, "x-a", usual, empty), [""]);
  });

  on("a whole octet of padding is an error", (c) => {
    const body = Buffer.concat([huffmanOf([97]), Buffer.from([0xff])]);
    return refused(c, usual, Buffer.from([0]), string("x-a"), integer(body.length, 7, 0x80), body);
  });

  on("the table stays in step over a malformed request", async (c) => {
    const stream = c.newStream();
    c.send(f.headers(stream, Buffer.concat([indexing("x-kept", "1"), literal("X-UP", "2")]), { end: true }));
    await c.expectReset(stream, Code.PROTOCOL_ERROR);
    assert.deepEqual(await got(c, "x-kept", usual, indexed(62)), ["1"]);
  });

  on("the table stays in step over a block for a stream that was reset", async (c) => {
    const stream = c.newStream();
    c.send(f.headers(stream, block(...request({ ":method": "POST" }))));
    await service.request();
    c.send(f.reset(stream, Code.CANCEL), f.headers(stream, indexing("x-kept", "1"), { end: true }));
    await c.expectReset(stream, Code.STREAM_CLOSED);
    assert.deepEqual(await got(c, "x-kept", usual, indexed(62)), ["1"]);
  });

  on("the table stays in step over trailers and over a request that nothing serves", async (c) => {
    const stream = c.newStream();
    c.send(f.headers(stream, block(...request({ ":method": "POST" }))));
    c.send(f.headers(stream, indexing("x-trailer", "1"), { end: true }));
    const it = await service.request();
    it.connection.reply(it.stream);
    await c.message(stream);
    assert.deepEqual(await got(c, "x-trailer", usual, indexed(62)), ["1"]);
  });

  on("cookies in crumbs arrive whole", async (c) => {
    const values = await got(c, "cookie", block(...request(), ["cookie", "a=1"], ["cookie", "b=2"]));
    assert.equal(values.join("; "), "a=1; b=2");
  });

  on("a block of 17 CONTINUATION frames is too many, one of 16 is not", async (c) => {
    const send = (pieces: number) => {
      const stream = c.newStream();
      c.send(f.headers(stream, usual, { end: true, endHeaders: false }));
      c.send(...Array.from({ length: pieces }, (_, at) => f.continuation(stream, "", at === pieces - 1)));
      return stream;
    };
    const stream = send(16);
    const it = await service.request();
    it.connection.reply(it.stream);
    await c.message(stream);
    send(17);
    await c.expectConnectionError(Code.ENHANCE_YOUR_CALM);
  });
});
