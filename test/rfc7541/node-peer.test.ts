/** node:http2 as an independent peer of encoder and decoder, over a pair of streams in memory. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import type { Duplex } from "node:stream";
import * as streams from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { HpackDecoder, hpackFaults } from "../../src/shared/http2/hpack/decoder.js";
import { HpackEncoder } from "../../src/shared/http2/hpack/encoder.js";
import { FieldStore } from "../../src/shared/http2/hpack/field.js";
import { FieldList } from "../../src/shared/http2/hpack/field-list.js";
import { roomy } from "./blocks.js";

type Line = readonly [name: string, value: string];

interface Section {
  stream: number;
  lines: Line[];
  secrets: string[];
}

const HEADERS = 1;
const SETTINGS = 4;
const CONTINUATION = 9;
const END_STREAM = 1;
const END_HEADERS = 4;
const ACK = 1;
const HEADER_TABLE_SIZE = 1;

/** Splits frames and keeps both tables; everything else of HTTP/2 is left out. */
class TablePeer {
  readonly store = new FieldStore();
  readonly decoder = new HpackDecoder(this.store, 4096, roomy);
  readonly encoder = new HpackEncoder(4096);
  readonly #side: Duplex;
  #held = Buffer.alloc(0);
  #block = Buffer.alloc(0);
  #limits: number[] = [];
  #sections: Section[] = [];
  #waiting: ((section: Section) => void)[] = [];

  constructor(side: Duplex, client: boolean) {
    this.#side = side;
    side.on("data", (chunk: Buffer) => this.#receive(chunk));
    if (client) side.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    else this.#preface = 24;
    this.settings(4096);
  }

  #preface = 0;

  settings(tableSize: number): void {
    const payload = Buffer.alloc(6);
    payload.writeUInt16BE(HEADER_TABLE_SIZE, 0);
    payload.writeUInt32BE(tableSize, 2);
    this.#limits.push(tableSize);
    this.#send(SETTINGS, 0, 0, payload);
  }

  headers(stream: number, lines: readonly Line[]): void {
    const fields = lines.map(([name, value]) => this.store.field(name, value));
    const length = this.encoder.encode(fields, fields.length);
    const block = Buffer.from(this.encoder.out.subarray(0, length));
    this.#send(HEADERS, END_STREAM | END_HEADERS, stream, block);
  }

  section(): Promise<Section> {
    const ready = this.#sections.shift();
    if (ready !== undefined) return Promise.resolve(ready);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #send(type: number, flags: number, stream: number, payload: Buffer): void {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head[3] = type;
    head[4] = flags;
    head.writeUInt32BE(stream, 5);
    this.#side.write(Buffer.concat([head, payload]));
  }

  #receive(chunk: Buffer): void {
    this.#held = Buffer.concat([this.#held, chunk]);
    if (this.#preface > 0) {
      if (this.#held.length < this.#preface) return;
      this.#held = this.#held.subarray(this.#preface);
      this.#preface = 0;
    }
    while (this.#held.length >= 9) {
      const length = this.#held.readUIntBE(0, 3);
      if (this.#held.length < 9 + length) return;
      const payload = this.#held.subarray(9, 9 + length);
      this.#frame(this.#held[3]!, this.#held[4]!, this.#held.readUInt32BE(5), payload);
      this.#held = this.#held.subarray(9 + length);
    }
  }

  #frame(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === SETTINGS) this.#settingsCame(flags, payload);
    if (type !== HEADERS && type !== CONTINUATION) return;
    assert.equal(type === HEADERS ? flags & 0x28 : 0, 0, "neither padding nor priority is expected");
    this.#block = Buffer.concat([this.#block, payload]);
    if ((flags & END_HEADERS) === 0) return;
    const list = new FieldList();
    const fault = this.decoder.decode(this.#block, 0, this.#block.length, list);
    assert.equal(fault, 0, hpackFaults[fault]?.sentence);
    this.#block = Buffer.alloc(0);
    const fields = list.fields.slice(0, list.length);
    const section = {
      stream,
      lines: fields.map((field): Line => [field.name.text, field.value]),
      secrets: fields.filter((field) => field.neverIndexed).map((field) => field.name.text),
    };
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#sections.push(section);
    else waiting(section);
  }

  #settingsCame(flags: number, payload: Buffer): void {
    if ((flags & ACK) !== 0) {
      this.decoder.setTableLimit(this.#limits.shift()!);
      return;
    }
    for (let at = 0; at < payload.length; at += 6) {
      if (payload.readUInt16BE(at) === HEADER_TABLE_SIZE) this.encoder.setPeerTableSize(payload.readUInt32BE(at + 2));
    }
    this.#send(SETTINGS, ACK, 0, Buffer.alloc(0));
  }
}

const name = fc.constantFrom(
  "x-a",
  "x-b",
  "accept",
  "grpc-timeout",
  "grpc-encoding",
  "x-rather-long-name",
  "cache-control",
);
const value = fc.oneof(
  fc.constantFrom("1", "2", "gzip", "v".repeat(300), "identity"),
  fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 40,
  }),
);
const sections = fc.array(fc.uniqueArray(fc.tuple(name, value), { selector: ([of]) => of, maxLength: 6 }), {
  minLength: 60,
  maxLength: 60,
});
const tableSizes = [4096, 0, 200, 65536, 1000];

function pairsOf(raw: readonly string[]): Line[] {
  const lines: Line[] = [];
  for (let at = 0; at < raw.length; at += 2) lines.push([raw[at]!, raw[at + 1]!]);
  return lines;
}

/** The same octets in the same order; node adds a date to responses and rewrites nothing else. */
function without(lines: readonly Line[], dropped: string): Line[] {
  return lines.filter(([of]) => of !== dropped);
}

test("a node:http2 client's requests are read, and it reads our answers, through changes of both tables", async (t) => {
  const [ours, theirs] = streams.duplexPair();
  const peer = new TablePeer(ours, false);
  const client = http2.connect("http://gateway.test", { createConnection: () => theirs });
  t.after(() => {
    client.destroy();
    ours.destroy();
  });
  await once(client, "connect");
  const [generated] = fc.sample(sections, { seed: 9113, numRuns: 1 });
  for (const [at, lines] of generated!.entries()) {
    if (at % 12 === 7) {
      const size = tableSizes[(at / 12) | 0]!;
      await new Promise<void>((resolve) => client.settings({ headerTableSize: size }, () => resolve()));
      peer.settings(tableSizes[((at / 12) | 0) + 1] ?? 4096);
    }
    const headers: http2.OutgoingHttpHeaders = {
      ":method": "POST",
      ":path": `/s/m${at % 5}`,
      ...Object.fromEntries(lines),
    };
    headers["x-secret"] = "hush";
    headers[http2.sensitiveHeaders as unknown as string] = ["x-secret"] as unknown as string;
    const stream = client.request(headers, { endStream: true });
    const answered = once(stream, "response") as Promise<[unknown, number, string[]]>;
    const closed = once(stream, "close");
    const section = await peer.section();
    assert.deepEqual(section.secrets, ["x-secret"]);
    assert.deepEqual(section.lines.slice(4), [...lines, ["x-secret", "hush"]]);
    peer.headers(section.stream, [[":status", "200"], ...lines]);
    const [, , raw] = await answered;
    assert.deepEqual(pairsOf(raw), [[":status", "200"], ...lines]);
    stream.resume();
    await closed;
  }
});

test("a node:http2 server reads our requests, and its answers are read, through changes of both tables", async (t) => {
  const [ours, theirs] = streams.duplexPair();
  const server = http2.createServer();
  const received: Line[][] = [];
  const answer = (stream: http2.ServerHttp2Stream, _headers: unknown, _flags: number, raw: string[]): void => {
    const lines = pairsOf(raw);
    received.push(lines);
    stream.respond({ ":status": 200, ...Object.fromEntries(lines.slice(4)) }, { endStream: true });
  };
  server.on("stream", answer);
  let session: http2.ServerHttp2Session | null = null;
  server.on("session", (opened) => {
    session = opened;
  });
  server.emit("connection", theirs);
  const peer = new TablePeer(ours, true);
  t.after(() => {
    session?.destroy();
    server.close();
    ours.destroy();
  });
  const [generated] = fc.sample(sections, { seed: 7541, numRuns: 1 });
  for (const [at, lines] of generated!.entries()) {
    if (at % 12 === 7) {
      const size = tableSizes[(at / 12) | 0]!;
      await new Promise<void>((resolve) => session!.settings({ headerTableSize: size }, () => resolve()));
      peer.settings(tableSizes[((at / 12) | 0) + 1] ?? 4096);
    }
    const request: Line[] = [
      [":method", "POST"],
      [":scheme", "http"],
      [":path", `/s/m${at % 5}`],
      [":authority", "service.test"],
      ...lines,
    ];
    peer.headers(at * 2 + 1, request);
    const section = await peer.section();
    assert.deepEqual(received.at(-1), request);
    assert.deepEqual(without(section.lines, "date"), [[":status", "200"], ...lines]);
  }
});
