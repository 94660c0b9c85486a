// Responsible for: floods end the attacker's connection with the right error, cost bounded memory, and hurt nobody else.
// Must not know: the engine's insides. Governed by: RFC 9113, 10.5. One gateway. Bounds are bytes and answers, never time.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { answering } from "../rfc9113/upstream.js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { request, WireClient } from "../support/wire/client.js";
import { Code, headers, reset } from "../support/wire/frame.js";
import { block } from "../support/wire/hpack.js";
import type { WireServer } from "../support/wire/server.js";
import { type FloodCase, floodCases } from "./flood-cases.js";

const MIB = 1024 * 1024;
/** More than the noise of a young heap, less than any flood here brings in bytes if it were kept. */
const GROWTH = 64 * MIB;

let gateway: Gateway;
let upstream: WireServer;
let neighbour: WireClient;

/** Writes batches and lets the other side answer in between, until it hangs up. */
async function flood(client: WireClient, it: FloodCase): Promise<void> {
  it.first?.(client);
  for (let at = 0; at < it.batches && !client.ending; at++) {
    const drained = client.socket.write(it.batch(client, at));
    if (drained) await new Promise((resolve) => setImmediate(resolve));
    else await Promise.race([once(client, "drain"), once(client, "close")]);
  }
}

const once = (client: WireClient, event: "drain" | "close") =>
  new Promise<void>((resolve) => client.socket.once(event, () => resolve()));

describe("floods", () => {
  before(async () => {
    upstream = await answering("ok");
    gateway = await startGateway({ definitions: [keyless({ target: upstream.target })] });
    neighbour = await WireClient.ready(gateway.port);
  });

  after(async () => {
    neighbour?.close();
    await gateway?.stop();
    await upstream?.close();
  });

  for (const it of floodCases) {
    test(`a flood of ${it.says} ends with ENHANCE_YOUR_CALM`, async () => {
      const before = await gateway.rss();
      const worker = await gateway.workers();
      const attacker = await WireClient.ready(gateway.port);
      await flood(attacker, it);
      await attacker.expectGoaway(Code.ENHANCE_YOUR_CALM);
      assert.equal((await neighbour.get()).body.toString(), "ok");
      attacker.close();
      assert.deepEqual(await gateway.workers(), worker, "no worker died");
      assert.ok((await gateway.rss()) - before < GROWTH, "memory stays within its bound");
    });
  }

  test("a caller that cancels every second call, for thousands of calls, is no attacker", async () => {
    const client = await WireClient.ready(gateway.port);
    const bytes = block(...request());
    for (let round = 0; round < 25; round++) {
      const finished: number[] = [];
      for (let at = 0; at < 100; at++) {
        const [kept, cancelled] = [client.newStream(), client.newStream()];
        finished.push(kept);
        client.send(headers(kept, bytes, { end: true }), headers(cancelled, bytes, { end: true }));
        client.send(reset(cancelled, Code.CANCEL));
      }
      for (const it of finished) assert.equal((await client.message(it)).body.toString(), "ok");
    }
    assert.equal(client.ending, undefined);
    client.close();
  });
});
