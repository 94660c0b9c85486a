/** The attacks must be what they say: well-formed frames up to the one thing that is wrong with them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ATTACKS, Attacker } from "../../bench/accept/attacks.js";
import {
  DATA,
  END_HEADERS,
  FrameReader,
  HEADERS,
  PREFACE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from "../../bench/load/frames.js";
import { HeaderDecoder } from "../../bench/load/header-decoder.js";

interface Seen {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** What the other side reads of the beginning and two ticks. */
const framesOf = (name: string): Seen[] => {
  const attack = ATTACKS.find((one) => one.name === name)!;
  const attacker = new Attacker(1);
  const bytes = Buffer.concat([...attack.begin(attacker), ...attack.tick(attacker), ...attack.tick(attacker)]);
  assert.equal(bytes.toString("latin1", 0, PREFACE.length), PREFACE);
  const seen: Seen[] = [];
  const reader = new FrameReader((type, flags, stream, chunk, start, end) => {
    seen.push({ type, flags, stream, payload: Buffer.from(chunk.subarray(start, end)) });
  });
  reader.push(bytes.subarray(PREFACE.length));
  return seen;
};

for (const { name } of ATTACKS) {
  test(`${name} begins with settings and uses odd streams that only grow`, () => {
    const seen = framesOf(name);
    assert.equal(seen[0]!.type, SETTINGS);
    const opened = seen.filter((frame) => frame.type === HEADERS).map((frame) => frame.stream);
    assert.ok(opened.every((stream, i) => stream % 2 === 1 && (i === 0 || stream > opened[i - 1]!)));
  });
}

test("every request of the rapid reset is complete and then cancelled", () => {
  const seen = framesOf("rapid-reset").slice(1);
  const decoder = new HeaderDecoder();
  for (let i = 0; i < seen.length; i += 2) {
    assert.equal(seen[i]!.flags & END_HEADERS, END_HEADERS);
    const fields = decoder.decode(seen[i]!.payload, 0, seen[i]!.payload.length);
    assert.deepEqual(
      fields.slice(0, 4).map((field) => field.name),
      [":method", ":scheme", ":path", ":authority"],
    );
    assert.deepEqual([seen[i + 1]!.type, seen[i + 1]!.stream], [RST_STREAM, seen[i]!.stream]);
  }
});

test("the bomb is twelve thousand bytes and unfolds into forty-eight million", () => {
  const blocks = framesOf("hpack-bomb").filter((frame) => frame.type === HEADERS);
  const decoder = new HeaderDecoder();
  decoder.decode(blocks[0]!.payload, 0, blocks[0]!.payload.length);
  const fields = decoder.decode(blocks[1]!.payload, 0, blocks[1]!.payload.length);
  assert.equal(blocks[1]!.payload.length, 12_000);
  assert.equal(
    fields.reduce((sum, field) => sum + field.value.length, 0),
    48_000_000,
  );
});

test("provoked resets send a window update of nothing, empty data sends data of nothing", () => {
  assert.ok(
    framesOf("provoked-resets").some(
      (frame) => frame.type === WINDOW_UPDATE && frame.payload.readUInt32BE(0) === 0 && frame.stream > 0,
    ),
  );
  assert.ok(framesOf("empty-data").filter((frame) => frame.type === DATA && frame.payload.length === 0).length >= 1000);
});
