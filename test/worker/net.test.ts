// Responsible for: one socket and one connection: which memory is read into, when it is written, how it ends. The socket
// is played by the test. Must not know: calls. Governed by: engine.md, sections 2 and 3.

import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Clock } from "../../src/shared/base/clock.js";
import { ReadBlock, type ReadBlockPool } from "../../src/shared/base/read-block.js";
import { Keepalive } from "../../src/worker/net/keepalive.js";
import { makeReadPools, READ_SIZES } from "../../src/worker/net/read-blocks.js";
import { Speech, speechOf } from "../../src/worker/net/sniff.js";
import { type Flushable, Turn } from "../../src/worker/net/turn.js";
import { Wire } from "../../src/worker/net/wire.js";
import { Side } from "../http2/fixture.js";
import { data, encode, type Frame, headers, PREFACE, ping, settings } from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";

const turnOver = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Takes writes at once, or when the test says so. */
class PlayedSocket {
  readonly parts: Buffer[] = [];
  writableLength = 0;
  writableEnded = false;
  ended = false;
  slow = false;
  destroyed = false;
  _handle: { readonly fd: number } | null = null;
  private readonly waiting: (() => void)[] = [];

  write(bytes: Buffer, taken?: () => void): boolean {
    this.parts.push(bytes);
    if (this.slow) this.writableLength += bytes.length;
    if (taken !== undefined) {
      if (this.slow) this.waiting.push(taken);
      else setImmediate(taken);
    }
    return !this.slow;
  }
  cork(): void {}
  uncork(): void {}
  pause(): void {}
  resumed = 0;
  resume(): void {
    this.resumed++;
  }
  end(): void {
    this.ended = this.writableEnded = true;
  }
  destroy(): void {
    this.destroyed = true;
  }

  takeAll(): void {
    this.writableLength = 0;
    for (const taken of this.waiting.splice(0)) taken();
  }

  get written(): Buffer {
    return Buffer.concat(this.parts);
  }
}

const request = (id: number): Frame =>
  headers(id, block([":method", "POST"], [":scheme", "http"], [":path", `/${id}`]));

/** As admission does when it has no time for one more in this turn. */
function haltAtRequests(side: Side): void {
  const told = side.events.headers.bind(side.events);
  side.events.headers = (stream, ...rest) => {
    side.connection.halted = true;
    told(stream, ...rest);
  };
}

interface Scene {
  wire: Wire;
  socket: PlayedSocket;
  side: Side;
  turn: Turn;
  closed: (Error | null)[];
  pools: readonly ReadBlockPool[];
}

function scene(): Scene {
  // PINGs are the simplest of frames that are answered: any number of them.
  const side = new Side(true, { controlBudget: 1_000_000 }).greet();
  const turn = new Turn(new Clock());
  const closed: (Error | null)[] = [];
  const socket = new PlayedSocket();
  const pools = makeReadPools();
  const wire = new Wire(turn, pools, { wireClosed: (_wire, error) => closed.push(error) });
  wire.connection = side.connection;
  wire.socket = socket as unknown as Socket;
  side.events.wake = () => turn.add(wire);
  return { wire, socket, side, turn, closed, pools };
}

function read(wire: Wire, bytes: Buffer): Buffer {
  const memory = wire.nextBuffer();
  bytes.copy(memory);
  wire.onRead(bytes.length);
  return memory;
}

describe("a turn", () => {
  test("flushes everything that got output once, at its end, and what became dirty meanwhile", async () => {
    const turn = new Turn(new Clock());
    const order: string[] = [];
    const late: Flushable = { flush: () => order.push("late"), destroy() {} };
    const early: Flushable = {
      destroy() {},
      flush: () => {
        order.push("early");
        turn.add(late);
      },
    };
    turn.add(early);
    assert.deepEqual(order, []);
    await turnOver();
    assert.deepEqual(order, ["early", "late"]);
    turn.add(late);
    await turnOver();
    assert.deepEqual(order, ["early", "late", "late"]);
  });
});

describe("a wire", () => {
  test("writes what many reads of a turn produced in one write", async () => {
    const { wire, socket } = scene();
    for (let at = 0; at < 10; at++) read(wire, encode(ping()));
    assert.equal(socket.parts.length, 0);
    await turnOver();
    assert.deepEqual([socket.parts.length, socket.written.length], [1, 170]);
  });

  test("reads into the same memory again while nobody holds it", () => {
    const { wire } = scene();
    const one = read(wire, encode(ping()));
    const two = read(wire, encode(ping()));
    assert.deepEqual([two.buffer === one.buffer, two.byteOffset], [true, one.byteOffset]);
  });

  test("never reads into memory that somebody holds", () => {
    const { wire, side } = scene();
    side.request(1);
    const held: { block: ReadBlock; copy: Buffer; start: number; end: number }[] = [];
    side.events.onData = ({ block, start, end }) => {
      block.holds++;
      held.push({ block, start, end, copy: Buffer.from(block.buf.subarray(start, end)) });
    };
    for (let at = 0; at < 60; at++) read(wire, encode(data(1, Buffer.alloc(1_000, at + 1))));
    for (const it of held) assert.ok(it.block.buf.subarray(it.start, it.end).equals(it.copy));
    assert.ok(new Set(held.map((it) => it.block)).size > 1);
  });

  test("begins with little memory, takes more while reads fill it, and less when they are small again", () => {
    const { wire, side } = scene();
    const pings = Buffer.concat(Array.from({ length: 100_000 }, () => encode(ping())));
    let at = 0;
    const sizes: number[] = [];
    for (let reads = 0; reads < 3; reads++) {
      const { length } = wire.nextBuffer();
      sizes.push(length);
      read(wire, pings.subarray(at, at + length));
      at = (at + length) % 17;
      side.written();
    }
    assert.deepEqual(sizes, READ_SIZES);
    read(wire, pings.subarray(at, 17));
    for (let reads = 0; reads < 300; reads++) {
      read(wire, encode(ping()));
      side.written();
    }
    assert.equal(wire.nextBuffer().length, READ_SIZES[0]);
    assert.deepEqual(side.faults, []);
  });

  test("keeps the blocks of a write until the system took it", async () => {
    const { socket, side } = scene();
    socket.slow = true;
    const block = new ReadBlock(Buffer.alloc(10_000), null);
    block.holds = 1;
    side.connection.output.slice(block, 0, 10_000);
    side.connection.wake();
    await turnOver();
    assert.deepEqual(
      [socket.parts[0]?.buffer, block.holds, side.connection.output.inFlight],
      [block.buf.buffer, 2, true],
    );
    socket.takeAll();
    assert.deepEqual([block.holds, side.connection.output.inFlight], [1, false]);
  });

  test("gathers what comes while a write is under way, and writes it when that is done", async () => {
    const { wire, socket } = scene();
    socket.slow = true;
    read(wire, encode(ping("first...")));
    await turnOver();
    read(wire, encode(ping("second..")));
    await turnOver();
    assert.equal(socket.parts.length, 1);
    socket.takeAll();
    await turnOver();
    assert.equal(socket.parts.length, 2);
    assert.ok(socket.written.includes("second.."));
  });

  test("looks at nothing behind what halted its connection, nor reads on, until it goes on", async () => {
    const { wire, socket, side } = scene();
    haltAtRequests(side);
    read(wire, Buffer.concat([1, 3, 5].map((id) => encode(request(id)))));
    // A TLS record that was begun is delivered all the same; a cut frame in it is none yet.
    const second = Buffer.concat([encode(request(7)), encode(ping())]);
    read(wire, second.subarray(0, second.length - 5));
    await turnOver();
    assert.deepEqual([side.events.paths, socket.resumed], [["/1"], 0]);
    for (let n = 0; n < 3; n++) {
      wire.readOn();
      await turnOver();
      assert.equal(socket.resumed, 0);
    }
    assert.deepEqual(side.events.paths, ["/1", "/3", "/5", "/7"]);
    wire.readOn();
    await turnOver();
    assert.deepEqual([socket.resumed, socket.parts.length], [1, 0]);
    read(wire, second.subarray(second.length - 5));
    await turnOver();
    assert.equal(socket.written.length, 17, "its PING is answered");
  });

  test("reads what comes next into other memory than what it holds back", () => {
    const { wire, side } = scene();
    haltAtRequests(side);
    const ids = Array.from({ length: 200 }, (_, n) => 2 * n + 1);
    for (const id of ids) read(wire, encode(request(id)));
    for (const _ of ids) wire.readOn();
    assert.deepEqual(
      side.events.paths,
      ids.map((id) => `/${id}`),
    );
    assert.deepEqual(side.faults, []);
  });

  test("lets go of what it held back when its socket closes", () => {
    const { wire, side, pools } = scene();
    haltAtRequests(side);
    const memory = read(wire, Buffer.concat([1, 3].map((id) => encode(request(id)))));
    wire.onClose();
    wire.readOn();
    assert.deepEqual(side.events.paths, ["/1"]);
    assert.equal(pools[0]!.take().buf.buffer, memory.buffer, "it is free for the next connection");
  });

  test("closes its socket only after everything is written", async () => {
    const { wire, socket } = scene();
    socket.slow = true;
    read(wire, encode(ping()));
    wire.endAfterFlush();
    await turnOver();
    assert.deepEqual([socket.parts.length, socket.ended], [1, false]);
    socket.takeAll();
    await turnOver();
    assert.equal(socket.ended, true);
  });

  test("writes small output to the descriptor, and never to that of a socket that has closed", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-wire-"));
    const [one, two] = ["one", "two"].map((name) => openSync(join(folder, name), "w")) as [number, number];
    t.after(() => {
      for (const fd of [one, two]) closeSync(fd);
      rmSync(folder, { recursive: true });
    });
    const sizes = (): number[] => ["one", "two"].map((name) => readFileSync(join(folder, name)).length);
    const { wire, socket, side } = scene();
    wire.direct = true;
    for (const [handle, expected] of [
      [{ fd: one }, [17, 0, 0]],
      [{ fd: two }, [17, 17, 0]],
      [null, [17, 17, 17]],
      [{ fd: -1 }, [17, 17, 34]],
    ] as const) {
      socket._handle = handle;
      read(wire, encode(ping()));
      await turnOver();
      assert.deepEqual([...sizes(), socket.written.length], expected);
    }
    assert.ok(side.connection.output.empty);
  });

  test("lets all memory go when its socket closes in the middle of a write, and tells its owner once", async () => {
    const { wire, socket, side, closed } = scene();
    socket.slow = true;
    const block = new ReadBlock(Buffer.alloc(10_000), null);
    block.holds = 1;
    side.connection.output.slice(block, 0, 5_000);
    side.connection.wake();
    await turnOver();
    side.connection.output.slice(block, 5_000, 10_000);
    wire.onError(new Error("reset"));
    wire.onClose();
    wire.onClose();
    assert.deepEqual([block.holds, side.connection.dead, closed.map((it) => it?.message)], [1, true, ["reset"]]);
    socket.takeAll();
    assert.equal(block.holds, 1, "a late receipt gives nothing back twice");
  });
});

describe("the first octets of a caller", () => {
  test("are HTTP/2 for the preface, HTTP/1 for its methods, and undecided while they may be either", () => {
    for (const line of [
      "GET / HTTP/1.1",
      "HEAD /",
      "POST /",
      "PUT /",
      "DELETE /",
      "OPTIONS *",
      "PATCH /",
      "TRACE /",
      "CONNECT h",
    ]) {
      for (let at = 1; at < line.indexOf(" "); at++) {
        // Undecided, or told already; never the other one.
        assert.notEqual(speechOf(Buffer.from(line.slice(0, at))), Speech.HTTP2, line.slice(0, at));
      }
      assert.equal(speechOf(Buffer.from(line)), Speech.HTTP1, line);
    }
    for (let at = 1; at <= PREFACE.length; at++) {
      const told = speechOf(PREFACE.subarray(0, at));
      assert.ok(told === Speech.HTTP2 || (at < 4 && told === Speech.UNKNOWN), `${at} octets`);
    }
  });

  test("that are neither are held to HTTP/2, which has an error for them", () => {
    assert.equal(speechOf(encode(settings())), Speech.HTTP2);
    assert.equal(speechOf(Buffer.from("\u0016\u0003\u0001\u0002", "latin1")), Speech.HTTP2);
    assert.equal(speechOf(Buffer.from("get / HTTP/1.1")), Speech.HTTP2);
  });
});

describe("keepalive", () => {
  const asks = (it: Scene): number => it.side.said().filter((line) => line.startsWith("PING")).length;

  test("asks a silent connection that carries calls, and gives it up when no octet comes", () => {
    const it = scene();
    it.side.request(1);
    it.wire.lastRead = 0;
    const keepalive = new Keepalive(60_000, 20_000);
    assert.deepEqual([keepalive.check(it.wire, 59_999), asks(it)], [false, 0]);
    assert.deepEqual([keepalive.check(it.wire, 60_000), asks(it)], [false, 1]);
    assert.deepEqual([keepalive.check(it.wire, 79_999), asks(it)], [false, 0]);
    assert.equal(keepalive.check(it.wire, 80_000), true);
  });

  test("is content with any octet, and asks again after another silence", () => {
    const it = scene();
    it.side.request(1);
    it.wire.lastRead = 0;
    const keepalive = new Keepalive(60_000, 20_000);
    keepalive.check(it.wire, 60_000);
    it.wire.lastRead = 61_000;
    assert.equal(keepalive.check(it.wire, 100_000), false);
    asks(it);
    assert.deepEqual([keepalive.check(it.wire, 121_000), asks(it)], [false, 1]);
  });

  test("peers 8: asks a service that only answers PINGs so seldom that it does not end the connection over them", () => {
    const it = scene();
    it.side.request(1);
    it.wire.lastRead = 0;
    const { connection } = it.side;
    const keepalive = new Keepalive(60_000, 20_000, 360_000);
    const asked: number[] = [];
    let first = 0;
    /** Every second, PINGs are answered at once. */
    const pass = (seconds: number): number[] => {
      asked.length = 0;
      for (let now = first * 1_000; now < (first + seconds) * 1_000; now += 1_000) {
        assert.equal(keepalive.check(it.wire, now), false);
        if (asks(it) === 0) continue;
        asked.push(now / 1_000);
        connection.frames++;
        it.wire.lastRead = now;
      }
      first += seconds;
      return asked;
    };
    assert.deepEqual(pass(1_000), [60, 420, 780]);
    // It has spoken: two frames, the second of which answers no PING.
    connection.frames++;
    it.wire.lastRead = first * 1_000;
    assert.deepEqual(pass(100), [1_060]);
    // New calls, of which it says nothing, are worth two PINGs more: the third would be one too many.
    for (const expected of [[1_120], [1_180], []]) {
      connection.nextStream += 2;
      assert.deepEqual(pass(60 + (first === 1_100 ? 20 : 0)), expected);
    }
  });

  test("does not ask connections without calls, nor when it is switched off", () => {
    const it = scene();
    it.wire.lastRead = 0;
    assert.deepEqual([new Keepalive(1_000, 1_000).check(it.wire, 50_000), asks(it)], [false, 0]);
    it.side.request(1);
    assert.deepEqual([new Keepalive(0, 1_000).check(it.wire, 50_000), asks(it)], [false, 0]);
  });
});
