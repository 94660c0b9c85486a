/**
 * What does a header block cost: one that repeats, one with a field that changes each time, one never seen before?
 * Each against the plain twin of the tests. Run: node --expose-gc <built>/bench/micro/hpack.js
 */
import { bench, do_not_optimize, group, run } from "mitata";
import { checkRequest } from "../../src/shared/http2/header-rules.js";
import { HpackDecoder } from "../../src/shared/http2/hpack/decoder.js";
import { HpackEncoder } from "../../src/shared/http2/hpack/encoder.js";
import { type Field, FieldStore } from "../../src/shared/http2/hpack/field.js";
import { FieldList } from "../../src/shared/http2/hpack/field-list.js";
import { PlainDecoder, plainString } from "../../test/rfc7541/twin.js";

const limits = { maxFields: 100, maxListSize: 16384 };
/** Enough that a name whose values take turns is met as new each time. */
const ROUND = 65536;
const call: readonly (readonly [string, string])[] = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/helloworld.Greeter/SayHello"],
  [":authority", "127.0.0.1:8080"],
  ["te", "trailers"],
  ["content-type", "application/grpc"],
  ["user-agent", "grpc-node-js/1.14.7"],
  ["grpc-accept-encoding", "identity,deflate,gzip"],
];

function fieldsOf(store: FieldStore, last: readonly [string, string]): Field[] {
  return [...call, last].map(([name, value]) => store.field(name, value));
}

/** The block as a client with a filled table sends it; with `before`, the block that fills the table. */
function blocks(last: readonly [string, string]): { before: Uint8Array; block: Uint8Array } {
  const store = new FieldStore();
  const encoder = new HpackEncoder(4096);
  const fields = fieldsOf(store, last);
  const first = encoder.encode(fields, fields.length);
  const before = encoder.out.slice(0, first);
  const second = encoder.encode(fields, fields.length);
  return { before, block: encoder.out.slice(0, second) };
}

function changing(): { before: Uint8Array; round: Uint8Array[] } {
  const { before, block } = blocks(["x-constant", "1"]);
  const head = block.subarray(0, 8);
  const round: Uint8Array[] = [];
  for (let i = 0; i < ROUND; i++) {
    const name = plainString("grpc-timeout", true);
    round.push(Uint8Array.from([...head, 0, ...name, ...plainString(`${(i * 7919) % 99991}u`, i % 2 === 0)]));
  }
  return { before, round };
}

/** nghttp2's way: everything indexed but the path, which comes as a literal each time. */
function literalPath(): { before: Uint8Array; block: Uint8Array } {
  const { before, block } = blocks(["x-constant", "1"]);
  const path = [4, ...plainString("/helloworld.Greeter/SayHello", true)];
  return { before, block: Uint8Array.from([...block.subarray(0, 2), ...path, ...block.subarray(3)]) };
}

function decoding(name: string, before: Uint8Array, round: readonly Uint8Array[]): void {
  group(`decode, ${name}`, () => {
    const list = new FieldList();
    const decoder = new HpackDecoder(new FieldStore(), 4096, limits);
    if (decoder.decode(before, 0, before.length, list) !== 0) throw new Error("fault");
    let i = 0;
    bench("interned", () => {
      const block = round[i++ % round.length]!;
      if (decoder.decode(block, 0, block.length, list) !== 0) throw new Error("fault");
      do_not_optimize(list.length);
    });
    let j = 0;
    bench("interned and checked", () => {
      const block = round[j++ % round.length]!;
      if (decoder.decode(block, 0, block.length, list) !== 0 || checkRequest(list) !== 0) throw new Error("fault");
      do_not_optimize(list.path);
    });
    const twin = new PlainDecoder();
    twin.decode(before);
    let k = 0;
    bench("plain twin", () => do_not_optimize(twin.decode(round[k++ % round.length]!)));
  });
}

const repeated = blocks(["x-constant", "1"]);
decoding("9 fields that repeat", repeated.before, [repeated.block]);
const literal = literalPath();
decoding("9 fields that repeat, the path a literal", literal.before, [literal.block]);
const timeouts = changing();
decoding("8 fields that repeat and a new grpc-timeout", timeouts.before, timeouts.round);

group("decode, first block of a connection", () => {
  const list = new FieldList();
  const store = new FieldStore();
  bench("interned, the worker knows the fields", () => {
    const decoder = new HpackDecoder(store, 4096, limits);
    do_not_optimize(decoder.decode(repeated.before, 0, repeated.before.length, list));
  });
  bench("plain twin", () => do_not_optimize(new PlainDecoder().decode(repeated.before)));
});

group("encode", () => {
  const store = new FieldStore();
  const encoder = new HpackEncoder(4096);
  const fields = fieldsOf(store, ["x-constant", "1"]);
  bench("9 fields that repeat", () => do_not_optimize(encoder.encode(fields, fields.length)));
  const fresh: Field[][] = [];
  const volatile = new FieldStore();
  for (let i = 0; i < ROUND; i++) fresh.push(fieldsOf(volatile, ["grpc-timeout", `${(i * 7919) % 99991}u`]));
  const other = new HpackEncoder(4096);
  let i = 0;
  bench("8 fields that repeat and a new grpc-timeout", () =>
    do_not_optimize(other.encode(fresh[i++ % ROUND]!, fields.length)),
  );
});

await run();
