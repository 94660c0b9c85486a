/** The client's own HPACK, against the examples of RFC 7541 and against node:http2 as an independent peer. */
import assert from "node:assert/strict";
import * as http2 from "node:http2";
import { test } from "node:test";
import fc from "fast-check";
import { HeaderDecoder } from "../../bench/load/header-decoder.js";
import { HeaderEncoder, SentField } from "../../bench/load/header-encoder.js";
import { huffmanLength, huffmanRead, huffmanWrite } from "../../bench/load/huffman.js";
import { echoOrder } from "../../bench/load/order.js";
import { RequestHeaders } from "../../bench/load/request.js";
import { keyOfCall, keyToken } from "../../bench/load/token.js";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const decodeAll = (decoder: HeaderDecoder, block: Buffer): string[] =>
  decoder.decode(block, 0, block.length).map((field) => `${field.name}: ${field.value}`);

test("Huffman strings of RFC 7541 C.4 read and write", () => {
  const bytes = hex("f1e3 c2e5 f23a 6ba0 ab90 f4ff");
  assert.equal(huffmanRead(bytes, 0, bytes.length), "www.example.com");
  const written = Buffer.alloc(32);
  assert.equal(huffmanWrite("www.example.com", written, 0), bytes.length);
  assert.deepEqual(written.subarray(0, bytes.length), bytes);
});

test("every byte string survives the Huffman code", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (values) => {
      const text = Buffer.from(values).toString("latin1");
      const bytes = Buffer.alloc(huffmanLength(text));
      assert.equal(huffmanWrite(text, bytes, 0), bytes.length);
      assert.equal(huffmanRead(bytes, 0, bytes.length), text);
    }),
  );
});

test("the three requests of RFC 7541 C.4 decode with one growing table", () => {
  const decoder = new HeaderDecoder();
  decodeAll(decoder, hex("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"));
  const second = decodeAll(decoder, hex("8286 84be 5886 a8eb 1064 9cbf"));
  assert.deepEqual(second.slice(3), [":authority: www.example.com", "cache-control: no-cache"]);
  const third = decodeAll(decoder, hex("8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"));
  assert.deepEqual(third.slice(3), [":authority: www.example.com", "custom-key: custom-value"]);
});

test("the three responses of RFC 7541 C.6 decode with evictions", () => {
  const decoder = new HeaderDecoder(256);
  decodeAll(
    decoder,
    hex(
      "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
    ),
  );
  const second = decodeAll(decoder, hex("4883 640e ffc1 c0bf"));
  assert.deepEqual(second, [
    ":status: 307",
    "cache-control: private",
    "date: Mon, 21 Oct 2013 20:13:21 GMT",
    "location: https://www.example.com",
  ]);
});

test("faulty blocks are refused with a reason", () => {
  const faulty: [string, RegExp][] = [
    ["80", /index 0/],
    ["ff80 8001", /index/],
    ["82 3f e1 1f", /after a field/],
    ["3f e2 1f", /above/],
    ["40 05 61", /past the block/],
    ["41", /ends inside/],
    ["00 81 ff 00", /padding/],
  ];
  for (const [bytes, reason] of faulty) assert.throws(() => decodeAll(new HeaderDecoder(), hex(bytes)), reason, bytes);
});

test("what the encoder writes the decoder reads, also while changing values push the others out", () => {
  const encoder = new HeaderEncoder();
  const decoder = new HeaderDecoder();
  const timeout = new SentField("grpc-timeout", "");
  const fields = [
    new SentField(":method", "POST"),
    new SentField(":path", "/a.B/C"),
    new SentField("user-agent", "x".repeat(300)),
    timeout,
  ];
  const block = Buffer.alloc(2048);
  for (let i = 0; i < 500; i++) {
    timeout.change(`${i}m`);
    const end = encoder.encode(fields, block, 0);
    assert.deepEqual(
      decoder.decode(block, 0, end).map((field) => field.value),
      ["POST", "/a.B/C", "x".repeat(300), `${i}m`],
    );
  }
});

test("a smaller table of the peer is announced and kept to", () => {
  const encoder = new HeaderEncoder();
  encoder.allow(0);
  const block = Buffer.alloc(256);
  const field = new SentField("te", "trailers");
  const first = block.subarray(0, encoder.encode([field], block, 0));
  assert.equal(first[0], 0x20);
  const decoder = new HeaderDecoder(0);
  assert.deepEqual(decodeAll(decoder, Buffer.from(first)), ["te: trailers"]);
  assert.deepEqual(decodeAll(decoder, Buffer.from(block.subarray(0, encoder.encode([field], block, 0)))), [
    "te: trailers",
  ]);
});

test("each call carries the key that is its own, never indexed, and the other fields stay in the table", () => {
  const keys = 1000;
  const requests = new RequestHeaders(echoOrder(1, { keys }), new HeaderEncoder());
  const decoder = new HeaderDecoder();
  const seen = new Set<string>();
  for (let serial = 1; serial <= 200; serial++) {
    const fields = decodeAll(decoder, Buffer.from(requests.block(serial)));
    assert.ok(fields.includes(`authorization: ${keyToken(keyOfCall(serial, keys))}`));
    assert.ok(fields.includes("te: trailers"));
    seen.add(fields.at(-1)!);
  }
  assert.equal(seen.size, 200);
  assert.deepEqual(
    [1, 2]
      .map((serial) => new RequestHeaders(echoOrder(1, { keys: 1 }), new HeaderEncoder()).block(serial))
      .map(String),
    Array(2).fill(
      String(new RequestHeaders(echoOrder(1, { authorizations: [keyToken(0)] }), new HeaderEncoder()).block(9)),
    ),
  );
});

test("a block that node:http2 packed is read field by field", async () => {
  const server = http2.createServer();
  const seen = new Promise<string[]>((resolve) => {
    // The fourth argument, the fields as they came, is missing in the types.
    server.on(
      "stream",
      (...[stream, , , raw]: [http2.ServerHttp2Stream, http2.IncomingHttpHeaders, number, string[]]) => {
        stream.respond({ ":status": 200, "x-long": "v".repeat(200), "grpc-status": "0" });
        stream.end();
        resolve(raw);
      },
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { LoadSession } = await import("../../bench/load/session.js");
  const { port } = server.address() as import("node:net").AddressInfo;
  const outcome = await new LoadSession(echoOrder(port, { path: "/a.B/C", seconds: 5, calls: 1, varying: true })).run();
  const raw = await seen;
  server.close();
  assert.equal(raw[raw.indexOf("te") + 1], "trailers");
  assert.match(raw[raw.indexOf("grpc-timeout") + 1]!, /^\d+u$/);
  // It answered without a body: our client must say so, after reading node's block.
  assert.ok(
    Object.keys(outcome.failures).some((reason) =>
      /short body|without grpc-status|end without trailers|before the request/.test(reason),
    ),
    JSON.stringify(outcome.failures),
  );
});
