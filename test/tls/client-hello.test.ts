// The ClientHello of real clients, cut anywhere, and what is none. Governed by: RFC 8446 sections 4.1.2 and 5.1.

import assert from "node:assert/strict";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import fc from "fast-check";
import { HelloReader, HelloState, MAX_HELLO, readClientHello } from "../../src/worker/tls/client-hello.js";

/** What node:tls sends first. */
function helloOf(options: ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      socket.once("data", (bytes) => {
        client.destroy();
        socket.destroy();
        server.close(() => resolve(bytes));
      });
    });
    let client: TLSSocket;
    server.listen(0, "127.0.0.1", () => {
      client = connect({ ...options, host: "127.0.0.1", port: (server.address() as AddressInfo).port });
      client.on("error", () => {});
    });
  });
}

const stateOf = (bytes: Buffer): number => readClientHello(bytes).state;

/** Cuts the message into records of at most `size` octets. */
function fragmented(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.of(22, 3, 1, part.length >> 8, part.length & 255), part);
  }
  return Buffer.concat(records);
}

test("a name, the protocols and no ticket are read", async () => {
  const { state, hello } = readClientHello(
    await helloOf({ servername: "A.Example", ALPNProtocols: ["h2", "http/1.1"] }),
  );
  assert.equal(state, HelloState.HELLO);
  assert.deepEqual(hello, { serverName: "a.example", protocols: ["h2", "http/1.1"], ticketKeyNames: [] });
});

test("a caller without a name and without protocols has neither", async () => {
  const { hello } = readClientHello(await helloOf({}));
  assert.deepEqual([hello?.serverName, hello?.protocols], ["", []]);
});

test("cut at every octet it is never taken for anything but unfinished, however its records are cut", async () => {
  const hello = await helloOf({ servername: "a.example", ALPNProtocols: ["h2"] });
  const whole = readClientHello(hello);
  for (const bytes of [hello, fragmented(hello, 1), fragmented(hello, 7), fragmented(hello, 200)]) {
    for (let end = 0; end < bytes.length; end++) assert.equal(stateOf(bytes.subarray(0, end)), HelloState.MORE);
    assert.deepEqual(readClientHello(bytes), whole);
    // What comes behind it is not its business.
    assert.deepEqual(readClientHello(Buffer.concat([bytes, Buffer.from("more")])), whole);
  }
});

test("what is no TLS is told at its first octet, what is no hello is broken", () => {
  assert.equal(stateOf(Buffer.from("GET / HTTP/1.1\r\n")), HelloState.NOT_TLS);
  assert.equal(stateOf(Buffer.from("P")), HelloState.NOT_TLS);
  assert.equal(stateOf(Buffer.of(22, 2)), HelloState.BROKEN);
  assert.equal(stateOf(Buffer.of(22, 3, 1, 0, 0)), HelloState.BROKEN);
  assert.equal(stateOf(Buffer.of(22, 3, 1, 255, 255)), HelloState.BROKEN);
  assert.equal(stateOf(Buffer.of(22, 3, 1, 0, 4, 2, 0, 0, 0)), HelloState.BROKEN);
  assert.equal(stateOf(Buffer.of(22, 3, 1, 0, 4, 1, 0, 0, 0)), HelloState.BROKEN);
  assert.equal(stateOf(Buffer.of(22, 3, 1, 0, 4, 1, 255, 255, 255)), HelloState.TOO_LONG);
});

test("a hello in one-octet records does not grow past its bound", () => {
  const head = Buffer.of(1, 0, MAX_HELLO >> 8, 0);
  const message = fragmented(Buffer.concat([Buffer.alloc(5), head, Buffer.alloc(MAX_HELLO)]), 1);
  assert.notEqual(stateOf(message.subarray(0, 3 * MAX_HELLO)), HelloState.MORE);
});

test("a hello that comes octet by octet is read as if it came at once", async () => {
  const hello = await helloOf({ servername: "a.example", ALPNProtocols: ["h2"] });
  const whole = readClientHello(hello);
  for (const bytes of [hello, fragmented(hello, 1), fragmented(hello, 200)]) {
    const reader = new HelloReader();
    let found = reader.look();
    for (let at = 0; at < bytes.length; at++) {
      assert.equal(found.state, HelloState.MORE);
      reader.keep(bytes.subarray(at, at + 1));
      found = reader.look();
    }
    assert.deepEqual(found, whole);
    assert.deepEqual(reader.seen, bytes);
  }
});

// Read again with every octet, the same would take this machine many minutes.
test("a hello without end in one-octet records and one-octet pieces costs no more than its octets", {
  timeout: 60_000,
}, () => {
  const head = Buffer.of(1, 0, (MAX_HELLO >> 8) - 1, 0);
  const bytes = fragmented(Buffer.concat([Buffer.alloc(5), head, Buffer.alloc(MAX_HELLO)]), 1);
  const reader = new HelloReader();
  let at = 0;
  while (reader.look().state === HelloState.MORE) reader.keep(bytes.subarray(at, ++at));
  assert.equal(at, 2 * MAX_HELLO + 1);
  assert.equal(reader.look().state, HelloState.TOO_LONG);
});

test("no octets make it throw", async () => {
  const hello = await helloOf({ servername: "a.example", ALPNProtocols: ["h2"] });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(hello.length - 1), fc.nat(255)), { maxLength: 8 }), (changes) => {
      const bytes = Buffer.from(hello);
      for (const [at, value] of changes) bytes[at] = value;
      assert.ok(stateOf(bytes) <= HelloState.NOT_TLS);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (noise) => {
      const head = Buffer.of(22, 3, 1, noise.length >> 8, noise.length & 255, 1, 0, 0, Math.max(0, noise.length - 4));
      assert.ok(stateOf(Buffer.concat([head, noise])) <= HelloState.NOT_TLS);
    }),
  );
});

test("a name that is none counts as not sent", async () => {
  const hello = await helloOf({ servername: "a.example" });
  const at = hello.indexOf("a.example");
  for (const [offset, octet] of [
    [1, 0],
    [0, 0x2e],
    [3, 0x2f],
    [2, 0xc3],
  ] as const) {
    const bytes = Buffer.from(hello);
    bytes[at + offset] = octet;
    assert.equal(readClientHello(bytes).hello?.serverName, "");
  }
});
