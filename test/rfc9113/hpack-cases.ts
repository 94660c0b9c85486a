// Responsible for: broken header blocks of the conformance suite (8 cases): each is a decoding error of the connection.
// Must not know: what is tested. Governed by: RFC 7541; RFC 9113, 4.3. How often: tests only.

import * as accept from "../support/wire/acceptance.js";
import type { WireClient } from "../support/wire/client.js";
import { Code, headers, Setting } from "../support/wire/frame.js";
import { indexed, integer, string, tableSize } from "../support/wire/hpack.js";
import { EOS, huffmanOf } from "../support/wire/huffman.js";
import { blockOf, type Case, section } from "./conformance-case.js";

type Part = Buffer | ((client: WireClient) => Buffer);

const refused = (says: string, it: { before?: Part; behind?: Part }): Omit<Case, "id"> => ({
  says,
  run: (c) => {
    const bytes = (part: Part = Buffer.alloc(0)) => (typeof part === "function" ? part(c) : part);
    const block = Buffer.concat([bytes(it.before), blockOf(c), bytes(it.behind)]);
    c.send(headers(1, block, { end: true }));
    return accept.connectionError(c, Code.COMPRESSION_ERROR);
  },
});

const symbols = (text: string): number[] => [...Buffer.from(text, "latin1")];

/** A literal field whose value is this body, said to be in Huffman's code. */
const coded = (body: Buffer): Buffer =>
  Buffer.concat([Buffer.from([0]), string("x-test", true), integer(body.length, 7, 0x80), body]);

const test = huffmanOf(symbols("test"));

export const hpackCases: Case[] = [
  ...section(
    "hpack",
    "2.3.3",
    refused("an index beyond both tables is an error", { behind: indexed(70) }),
    refused("a literal whose name stands beyond both tables is an error", {
      behind: Buffer.concat([integer(70, 6, 0x40), string("")]),
    }),
  ),
  ...section("hpack", "4.2", refused("a change of size behind fields is an error", { behind: tableSize(1) })),
  ...section(
    "hpack",
    "5.2",
    refused("more than 7 bits of padding are an error", { behind: coded(Buffer.concat([test, Buffer.from([255])])) }),
    refused("padding with zeros is an error", { behind: coded(huffmanOf(symbols("test"), "0")) }),
    refused("EOS inside a string is an error", {
      behind: coded(huffmanOf([...symbols("te"), EOS, ...symbols("st")])),
    }),
  ),
  ...section("hpack", "6.1", refused("index 0 is an error", { behind: indexed(0) })),
  ...section(
    "hpack",
    "6.3",
    refused("a table larger than was allowed is an error", {
      before: (c) => tableSize((c.peerSettings.get(Setting.HEADER_TABLE_SIZE) ?? 4096) + 1),
    }),
  ),
];
