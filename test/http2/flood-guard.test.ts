// Responsible for: peers that make us work for little: what each kind of cheap frame costs, what pays it back, and the
// error at the end. Governed by: RFC 9113, 10.5; CVE-2019-9512 to 9518, CVE-2023-44487, CVE-2024-27316, CVE-2025-8671.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FAULTS, Fault } from "../../src/shared/http2/faults.js";
import { FloodGuard } from "../../src/shared/http2/flood-guard.js";
import { DOWNSTREAM_LIMITS } from "../../src/shared/http2/limits.js";
import { openStream } from "../../src/shared/http2/open-stream.js";
import * as f from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import { Side } from "./fixture.js";

const limits = { ...DOWNSTREAM_LIMITS, controlBudget: 100, resetBudget: 50, tinyDataBudget: 60 };
const HOUR = 3_600_000;

const times = (n: number, run: () => boolean): boolean => {
  let over = false;
  for (let at = 0; at < n; at++) over = run() || over;
  return over;
};

describe("the flood guard", () => {
  test("lets a budget of control frames pass and no more", () => {
    const guard = new FloodGuard(limits);
    assert.equal(
      times(100, () => guard.controlFrame(0)),
      false,
    );
    assert.equal(guard.controlFrame(0), true);
  });

  test("lets a budget of tiny DATA pass and no more", () => {
    const guard = new FloodGuard(limits);
    assert.equal(
      times(60, () => guard.tinyData(0)),
      false,
    );
    assert.equal(guard.tinyData(0), true);
  });

  test("lets a budget of resets at once pass and no more", () => {
    const guard = new FloodGuard(limits);
    assert.equal(
      times(50, () => guard.reset(0, 0)),
      false,
    );
    assert.equal(guard.reset(0, 0), true);
  });

  test("hardly counts the reset of a stream that has lived for a while: deadlines are no attack", () => {
    const guard = new FloodGuard(limits);
    assert.equal(
      times(400, () => guard.reset(60_000, 0)),
      false,
    );
  });

  test("is paid back by calls that ran to their end", () => {
    const guard = new FloodGuard(limits);
    assert.equal(
      times(10_000, () => {
        guard.finishedCall();
        return guard.reset(0, 0) || guard.controlFrame(0) || guard.controlFrame(0) || guard.controlFrame(0);
      }),
      false,
    );
  });

  test("is paid back by DATA of ordinary size", () => {
    const guard = new FloodGuard(limits);
    assert.equal(
      times(10_000, () => {
        guard.usefulData();
        return guard.tinyData(0) || guard.controlFrame(0);
      }),
      false,
    );
  });

  test("is paid back by DATA we send: a receiver owes a WINDOW_UPDATE or two for each", () => {
    const guard = new FloodGuard(limits);
    const both = (): boolean => guard.controlFrame(0) || guard.controlFrame(0);
    const over = times(10_000, () => {
      guard.sentData(16_384);
      return both();
    });
    assert.equal(over, false);
  });

  test("is not paid back by DATA that tiny windows have made tiny", () => {
    const guard = new FloodGuard(limits);
    const over = times(101, () => {
      guard.sentData(1);
      return guard.controlFrame(0);
    });
    assert.equal(over, true);
  });

  test("is paid back by time, a whole budget at most", () => {
    const guard = new FloodGuard(limits);
    times(100, () => guard.controlFrame(0));
    assert.equal(
      times(100, () => guard.controlFrame(HOUR)),
      false,
    );
    assert.equal(guard.controlFrame(HOUR), true);
  });
});

const request = block([":method", "POST"], [":scheme", "http"], [":path", "/"]);
const malformed = block([":method", "POST"], [":scheme", "http"]);

interface Flood {
  readonly says: string;
  readonly fault: number;
  /** How many of them are too many at the defaults. */
  readonly enough: number;
  readonly frames: (at: number) => f.Frame[];
}

const floods: Flood[] = [
  { says: "PING", fault: Fault.FLOOD_CONTROL, enough: 5_001, frames: () => [f.ping()] },
  {
    says: "PING that answers nothing",
    fault: Fault.FLOOD_CONTROL,
    enough: 5_001,
    frames: () => [f.ping("12345678", true)],
  },
  { says: "SETTINGS", fault: Fault.FLOOD_CONTROL, enough: 5_001, frames: () => [f.settings()] },
  { says: "PRIORITY", fault: Fault.FLOOD_CONTROL, enough: 5_001, frames: () => [f.priority(1, { dependsOn: 3 })] },
  { says: "WINDOW_UPDATE", fault: Fault.FLOOD_CONTROL, enough: 5_001, frames: () => [f.windowUpdate(0, 1)] },
  {
    says: "frames of unknown type",
    fault: Fault.FLOOD_CONTROL,
    enough: 5_001,
    frames: () => [f.frame(0x42, 0, 0, "x")],
  },
  {
    says: "RST_STREAM of streams long gone",
    fault: Fault.FLOOD_CONTROL,
    enough: 5_002,
    frames: (at) => (at === 0 ? [f.headers(1, request), f.reset(1, 8)] : [f.reset(1, 8)]),
  },
  {
    says: "rapid reset",
    fault: Fault.FLOOD_RESET,
    enough: 1_001,
    frames: (at) => [f.headers(1 + 2 * at, request), f.reset(1 + 2 * at, 8)],
  },
  {
    says: "resets that the peer provokes",
    fault: Fault.FLOOD_RESET,
    enough: 1_001,
    frames: (at) => [f.headers(1 + 2 * at, malformed)],
  },
  {
    says: "resets provoked by windows",
    fault: Fault.FLOOD_RESET,
    enough: 1_001,
    frames: (at) => [f.headers(1 + 2 * at, request), f.windowUpdate(1 + 2 * at, 0)],
  },
  {
    says: "empty DATA",
    fault: Fault.FLOOD_EMPTY_DATA,
    enough: 5_001,
    frames: (at) => (at === 0 ? [f.headers(1, request), f.data(1, "")] : [f.data(1, "")]),
  },
  {
    says: "DATA of padding alone",
    fault: Fault.FLOOD_EMPTY_DATA,
    enough: 5_001,
    frames: (at) =>
      at === 0 ? [f.headers(1, request), f.data(1, "", { padding: 0 })] : [f.data(1, "", { padding: 0 })],
  },
  {
    says: "DATA of one octet",
    fault: Fault.FLOOD_EMPTY_DATA,
    enough: 5_001,
    frames: (at) => (at === 0 ? [f.headers(1, request), f.data(1, "x")] : [f.data(1, "x")]),
  },
];

/** So many reads that the whole flood comes in reads of this many frames. */
function run(it: Flood, together: number): Side {
  const side = new Side(true).greet();
  // A run of small DATA frames counts as one useful frame, too: a few more are needed.
  for (let at = 0; at < it.enough * 1.05 && side.faults.length === 0; at += together) {
    const frames: f.Frame[] = [];
    for (let one = at; one < at + together; one++) frames.push(...it.frames(one));
    side.feed(...frames);
    // Its answers are read: that is not what this flood is about.
    if (side.faults.length === 0) side.sent();
  }
  return side;
}

describe("floods, at the defaults", () => {
  for (const it of floods) {
    for (const together of [1, 50]) {
      test(`${it.says}, ${together} a read: ends with ENHANCE_YOUR_CALM`, () => {
        const side = run(it, together);
        assert.deepEqual(side.faults, [`failed ${it.fault}`], `${FAULTS[it.fault]?.text} was expected`);
        const goaway = side.sent().find((frame) => frame.type === f.Type.GOAWAY);
        assert.equal(goaway && f.codeOf(goaway), f.Code.ENHANCE_YOUR_CALM);
        assert.equal(side.connection.streams.size, 0);
      });
    }
  }

  test("CONTINUATION without end", () => {
    const side = new Side(true).greet();
    side.feed(f.headers(1, request, { endHeaders: false }));
    for (let at = 0; at < 17; at++) side.feed(f.continuation(1, block(["a", "b"]), false));
    assert.deepEqual(side.faults, [`failed ${Fault.FLOOD_CONTINUATION}`]);
  });

  test("a header block that never ends is cut at its octets, not kept", () => {
    const side = new Side(true).greet();
    side.feed(f.headers(1, Buffer.alloc(16_384), { endHeaders: false }));
    for (let at = 0; at < 16; at++) side.feed(f.continuation(1, Buffer.alloc(16_384), false));
    assert.deepEqual(side.faults, [`failed ${Fault.FLOOD_CONTINUATION}`]);
    assert.equal(side.connection.blockBytes, null);
  });

  test("PING of a peer that does not read the answers", () => {
    const side = new Side(true, { maxWaitingOutput: 1_000, controlBudget: 1_000_000 }).greet();
    for (let at = 0; at < 1_000 && side.faults.length === 0; at++) side.feed(f.ping());
    assert.deepEqual(side.faults, [`failed ${Fault.FLOOD_OUTPUT}`]);
  });

  test("a service's tiny DATA, resets and control frames close nothing: callers may have provoked them", () => {
    const side = new Side(false, { tinyDataBudget: 10, controlBudget: 10, resetBudget: 10 }).greet();
    const stream = openStream(side.connection);
    // The table's new size comes first, as our SETTINGS ask (RFC 7541 section 4.2).
    side.feed(f.headers(stream.id, Buffer.concat([Buffer.of(0x20), block([":status", "200"])])));
    for (let at = 0; at < 20; at++) side.feed(...Array.from({ length: 5 }, () => f.data(stream.id, Buffer.of(1))));
    for (let at = 0; at < 20; at++) side.feed(f.data(stream.id, Buffer.of(1)), f.ping(), f.settings());
    assert.deepEqual(side.faults, []);
    assert.equal(side.connection.streams.get(stream.id), stream);
  });
});
