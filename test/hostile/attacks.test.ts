// Responsible for: what an attack once found stays mended, one test each. Governed by: RFC 9113 sections 6.9.2, 8.1 and
// 10.3, RFC 9110 section 5.5. One gateway with its control API on the main port.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { grpcRequest, request, WireClient } from "../support/wire/client.js";
import * as f from "../support/wire/frame.js";
import { block, indexed } from "../support/wire/hpack.js";
import { WireServer } from "../support/wire/server.js";

const { Setting } = f;
/** More than a connection's first window of 65,535 octets. */
const BODY = Buffer.alloc(100_000, "attacker");

let gateway: Gateway;
let upstream: WireServer;

describe("attacks that once succeeded", () => {
  before(async () => {
    upstream = await WireServer.listen();
    gateway = await startGateway({
      definitions: [keyless({ target: upstream.target })],
      settings: { control_api_port: 0, secret: "a secret of this test" },
    });
  });

  after(async () => {
    await gateway?.stop();
    await upstream?.close();
  });

  test("a window made negative while its stream is in the ring sends nothing until it is positive again", async () => {
    const client = await WireClient.ready(gateway.port, [Setting.INITIAL_WINDOW_SIZE, 1_000_000]);
    const stream = client.newStream();
    client.send(f.headers(stream, block(...request()), { end: true }));
    const asked = await upstream.request();
    const pieces = Array.from({ length: 10 }, (_, at) => BODY.subarray(at * 10_000, (at + 1) * 10_000));
    asked.connection.send(
      f.headers(asked.stream, block([":status", "200"])),
      ...pieces.map((piece, at) => f.data(asked.stream, piece, { end: at === 9 })),
    );
    let received = 0;
    const take = async (until: number) => {
      while (received < until) received += (await client.expectData(stream)).payload.length;
    };
    // The connection's window is used up, the stream's is not: it stands in the ring.
    await take(65_535);
    client.send(f.settings([Setting.INITIAL_WINDOW_SIZE, 60_000]));
    client.send(f.windowUpdate(0, 200_000));
    await client.barrier();
    assert.equal(received, 65_535);
    client.send(f.windowUpdate(stream, 60_000));
    await take(BODY.length);
    assert.equal(received, BODY.length);
    client.close();
  });

  test("trailers above the bound are refused, and what stands in them reaches no service", async () => {
    const client = await WireClient.ready(gateway.port);
    const stream = client.newStream();
    const trailers = Buffer.concat([block(["x-a", "b"]), ...Array.from({ length: 1_100 }, () => indexed(19))]);
    client.send(f.headers(stream, block(...grpcRequest("/p.S/M"))), f.data(stream, Buffer.alloc(5)));
    const asked = await upstream.request();
    client.send(f.headers(stream, trailers, { end: true }));
    const end = await asked.connection.expect("an end", (it) => it.stream === asked.stream && it.type !== f.Type.DATA);
    assert.equal(end.type, f.Type.RST_STREAM);
    client.close();
  });

  test("a request that the control API cannot be given is refused, and its connection goes on", async () => {
    const path = { ":path": "/tyk/keys" };
    const client = await WireClient.ready(gateway.port);
    for (const fields of [
      [...request(path), ["a(b", "x"] as const],
      [...request(path), ["trailer", "x"] as const],
      request({ ...path, ":method": "connect" }),
    ]) {
      const { fields: answered, reset } = await client.get(fields);
      assert.deepEqual([answered[0]?.value, reset], ["400", undefined]);
    }
    client.close();
    assert.doesNotMatch(gateway.logs, /"level":[45]0/);
  });

  test("a control character in a field is malformed and ends no worker", async () => {
    const workers = await gateway.workers();
    for (const value of ["a\u0001b", "a\u007fb"]) {
      const client = await WireClient.ready(gateway.port);
      const stream = client.newStream();
      client.send(f.headers(stream, block(...request({ ":path": "/tyk/keys" }), ["x-a", value]), { end: true }));
      await client.expectReset(stream, f.Code.PROTOCOL_ERROR);
      client.close();
    }
    assert.deepEqual(await gateway.workers(), workers);
  });

  test("a body of a GET for the control API is a body, never a request", async () => {
    const inside = "GET /tyk/keys HTTP/1.1\r\nhost: x\r\nx-sluice-peer: 10.9.9.9\r\n\r\n".repeat(20);
    const client = await WireClient.ready(gateway.port);
    const stream = client.newStream();
    client.send(f.headers(stream, block(...request({ ":path": "/tyk/keys" }))));
    client.send(f.data(stream, Buffer.from(inside), { end: true }));
    assert.equal((await client.message(stream)).fields[0]?.value, "403");
    // Twenty wrong tries would have shut the address out.
    const next = await client.get(request({ ":path": "/tyk/keys" }));
    assert.equal(next.fields[0]?.value, "403");
    client.close();
  });
});
