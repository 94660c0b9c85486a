/** The examples of RFC 7541 appendix C, octet by octet. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HpackEncoder } from "../../src/shared/http2/hpack/encoder.js";
import { FieldStore } from "../../src/shared/http2/hpack/field.js";
import { writeInteger } from "../../src/shared/http2/hpack/integer.js";
import { decoded, decodedText, hex, newDecoder, toHex } from "./blocks.js";

test("C.1: integers are written as in the examples", () => {
  const out = new Uint8Array(8);
  assert.deepEqual([...out.subarray(0, writeInteger(out, 0, 0, 5, 10))], [10]);
  assert.deepEqual([...out.subarray(0, writeInteger(out, 0, 0, 5, 1337))], [31, 154, 10]);
  assert.deepEqual([...out.subarray(0, writeInteger(out, 0, 0, 8, 42))], [42]);
});

test("C.2: each representation stands for the field of its example", () => {
  const indexing = newDecoder();
  assert.deepEqual(decodedText(indexing, hex("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572")), [
    "custom-key: custom-header",
  ]);
  assert.equal(indexing.tableSize, 55);

  const without = newDecoder();
  assert.deepEqual(decodedText(without, hex("040c 2f73 616d 706c 652f 7061 7468")), [":path: /sample/path"]);
  assert.equal(without.tableSize, 0);

  const never = newDecoder();
  const [secret] = decoded(never, hex("1008 7061 7373 776f 7264 0673 6563 7265 74"));
  assert.equal(secret!.name.text, "password");
  assert.equal(secret!.value, "secret");
  assert.equal(secret!.neverIndexed, true);
  assert.equal(never.tableSize, 0);

  assert.deepEqual(decodedText(newDecoder(), hex("82")), [":method: GET"]);
});

const requests = [
  [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
  [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"],
  [":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com", "custom-key: custom-value"],
];

const responses = [
  [
    ":status: 302",
    "cache-control: private",
    "date: Mon, 21 Oct 2013 20:13:21 GMT",
    "location: https://www.example.com",
  ],
  [
    ":status: 307",
    "cache-control: private",
    "date: Mon, 21 Oct 2013 20:13:21 GMT",
    "location: https://www.example.com",
  ],
  [
    ":status: 200",
    "cache-control: private",
    "date: Mon, 21 Oct 2013 20:13:22 GMT",
    "location: https://www.example.com",
    "content-encoding: gzip",
    "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
  ],
];

const examples = [
  {
    name: "C.3: requests without Huffman coding",
    fields: requests,
    sizes: [57, 110, 164],
    blocks: [
      "828684410f7777772e6578616d706c652e636f6d",
      "828684be58086e6f2d6361636865",
      "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
    ],
  },
  {
    name: "C.4: requests with Huffman coding",
    fields: requests,
    sizes: [57, 110, 164],
    blocks: [
      "828684418cf1e3c2e5f23a6ba0ab90f4ff",
      "828684be5886a8eb10649cbf",
      "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
    ],
  },
  {
    name: "C.5: responses without Huffman coding, in a table of 256 octets",
    fields: responses,
    sizes: [222, 222, 215],
    first: "3fe101",
    blocks: [
      `4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54
       6e1768747470733a2f2f7777772e6578616d706c652e636f6d`,
      "4803333037c1c0bf",
      `88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a
       4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31`,
    ],
  },
  {
    name: "C.6: responses with Huffman coding, in a table of 256 octets",
    fields: responses,
    sizes: [222, 222, 215],
    first: "3fe101",
    blocks: [
      `488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae
       82ae43d3`,
      "4883640effc1c0bf",
      `88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960
       d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007`,
    ],
  },
];

for (const example of examples) {
  test(`${example.name}: the fields and the table's size are those of the example`, () => {
    const decoder = newDecoder();
    if (example.first !== undefined) decodedText(decoder, hex(example.first));
    for (const [at, block] of example.blocks.entries()) {
      assert.deepEqual(decodedText(decoder, hex(block)), example.fields[at]);
      assert.equal(decoder.tableSize, example.sizes[at]);
    }
  });
}

test("C.4: the encoder writes the very octets of the example", () => {
  const store = new FieldStore();
  const encoder = new HpackEncoder(4096);
  for (const [at, lines] of requests.entries()) {
    const fields = lines.map((line) => {
      const cut = line.indexOf(": ");
      return store.field(line.slice(0, cut), line.slice(cut + 2));
    });
    const length = encoder.encode(fields, fields.length);
    assert.equal(toHex(encoder.out.subarray(0, length)), examples[1]!.blocks[at]);
    assert.equal(encoder.tableSize, examples[1]!.sizes[at]);
  }
});
