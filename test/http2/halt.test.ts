// Responsible for: a connection that the layer above halts behind a frame: what is left of a read is said, and nothing of it
// is lost or looked at before it goes on. Must not know: why it is halted. Governed by: the contract of `receive`.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ReadBlock } from "../../src/shared/base/read-block.js";
import { receive } from "../../src/shared/http2/receive.js";
import type { Stream } from "../../src/shared/http2/stream.js";
import { data, encode, type Frame, headers, ping } from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import { Events, Side } from "./fixture.js";

const request = (id: number): Frame =>
  headers(id, block([":method", "POST"], [":scheme", "http"], [":path", `/${id}`]));
const CALLS = [1, 3, 5];
const bytes = Buffer.concat(
  [...CALLS.flatMap((id) => [request(id), data(id, `body ${id}`, { end: true })]), ping()].map((it) => encode(it)),
);

/** A side that is halted by each request. */
function halting(): Side {
  const side = new Side(true).greet();
  const told = Events.prototype.headers;
  side.events.headers = function (this: Events, stream: Stream, ...rest) {
    side.connection.halted = true;
    told.call(this, stream, ...rest);
  };
  return side;
}

const heard = (side: Side): string[] => side.events.log.filter((it) => /^(headers|data|failed)/.test(it));

/** Gives a read, and again what was not taken of it, once the connection goes on. @returns how often it was halted */
function give(side: Side, part: Buffer): number {
  const of = new ReadBlock(Buffer.from(part), null);
  of.holds = 1;
  let halts = 0;
  for (let at = 0; at < part.length; ) {
    side.connection.halted = false;
    const before = heard(side).length;
    at = receive(side.connection, of, at, part.length);
    if (side.connection.halted) halts++;
    assert.ok(
      heard(side)
        .slice(before)
        .filter((it) => it.startsWith("headers")).length <= 1,
    );
  }
  of.release();
  return halts;
}

describe("a halted connection", () => {
  test("stops behind the frame that halted it, and says where", () => {
    const side = halting();
    const of = new ReadBlock(Buffer.from(bytes), null);
    const first = encode(request(1)).length;
    assert.equal(receive(side.connection, of, 0, bytes.length), first);
    assert.deepEqual(heard(side), ["headers 1 :method=POST"]);
    assert.deepEqual(side.sent(), []);
  });

  test("loses nothing, wherever reads are cut", () => {
    const whole = new Side(true).greet();
    whole.bytes(bytes);
    const expected = heard(whole)
      .join("\n")
      .replace(/^data.*$/gm, "");
    for (let cut = 1; cut < bytes.length; cut++) {
      const side = halting();
      const halts = give(side, bytes.subarray(0, cut)) + give(side, bytes.subarray(cut));
      assert.equal(halts, CALLS.length, `cut at ${cut}`);
      const octets = heard(side)
        .filter((it) => it.startsWith("data"))
        .map((it) => Number(it.split(" ")[2]));
      assert.equal(
        octets.reduce((sum, n) => sum + n, 0),
        18,
        `cut at ${cut}`,
      );
      const blocks = heard(side).filter((it) => it.startsWith("headers"));
      assert.deepEqual(
        blocks,
        expected.split("\n").filter((it) => it !== ""),
        `cut at ${cut}`,
      );
      assert.equal(side.sent().length, 1, "its PING is answered");
    }
  });

  test("takes no part of a read that ends the connection for a second one", () => {
    const side = halting();
    const broken = Buffer.concat([encode(request(1)), encode(request(2)), encode(ping())]);
    const of = new ReadBlock(broken, null);
    const at = receive(side.connection, of, 0, broken.length);
    side.connection.halted = false;
    assert.equal(receive(side.connection, of, at, broken.length), broken.length);
    assert.equal(side.faults.length, 1);
    assert.equal(receive(side.connection, of, at, broken.length), broken.length);
    assert.equal(side.faults.length, 1);
  });
});
