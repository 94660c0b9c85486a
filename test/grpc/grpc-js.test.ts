// Responsible for: @grpc/grpc-js on both sides of a real gateway. Must not know: the gateway's insides.
// Governed by: issue 2, acceptance. One gateway, one service.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { status } from "@grpc/grpc-js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { failureOf, GrpcClient, nextMessage, statusOf } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { callCases, type Pair } from "./calls.js";

const NAME = "test.Echo";
const MIB = 1 << 20;

describe("grpc-js through the gateway", () => {
  let service: GrpcService;
  let gateway: Gateway;
  let pair: Pair;

  before(async () => {
    service = await GrpcService.listen(NAME);
    gateway = await startGateway({ definitions: [keyless({ target: service.target, path: `/${NAME}` })] });
    pair = { through: new GrpcClient(gateway.port, NAME), direct: new GrpcClient(service.port, NAME) };
  });

  after(async () => {
    pair?.through.close();
    pair?.direct.close();
    await gateway?.stop();
    service?.close();
  });

  for (const it of callCases) test(it.says, () => it.run(pair));

  test("a service that has no route is UNIMPLEMENTED", async () => {
    const client = new GrpcClient(gateway.port, "test.Unknown");
    const { code, details } = await failureOf(client.unary(METHODS.echo, ""));
    client.close();
    assert.deepEqual([code, details], [status.UNIMPLEMENTED, "Not Found"]);
  });

  test("the service learns the caller's address", async () => {
    await pair.through.unary(METHODS.echo, "");
    assert.equal(service.forwardedFor.at(-1), "127.0.0.1");
  });

  test("1,000 calls are open at once on one connection", async () => {
    const calls = Array.from({ length: 1_000 }, () => pair.through.unary(METHODS.gather, "crowd:1000"));
    for (const { body } of await Promise.all(calls)) assert.equal(body.toString(), "1000");
  });

  test("256 MiB pass down one connection, and 256 MiB up: credit for DATA is no flood", async () => {
    const call = pair.through.reading(METHODS.give, "4096:65536");
    let bytes = 0;
    call.on("data", (message: Buffer) => {
      bytes += message.length;
    });
    assert.equal((await statusOf(call)).code, status.OK);
    assert.equal(bytes, 256 * MIB);
    const message = Buffer.alloc(65_536);
    const up = await pair.through.collect(
      METHODS.collect,
      Array.from({ length: 4_096 }, () => message),
    );
    assert.equal(up.toString(), `4096:${256 * MIB}`);
  });

  test("a reader that is slow costs the gateway's worker no more than its bound", async () => {
    await pair.through.read(METHODS.give, "64:65536");
    const before = await gateway.rss();
    const call = pair.through.reading(METHODS.give, "1024:65536");
    let most = before;
    for (let at = 0; at < 1_024; at++) {
      assert.equal((await nextMessage(call)).readUInt32BE(), at);
      if (at % 32 === 0) {
        // Long enough for a gateway that takes all it can get to take it.
        await new Promise((resolve) => setTimeout(resolve, 20));
        most = Math.max(most, await gateway.rss());
      }
    }
    const grown = (most - before) / MIB;
    // What passes and is not held would show as 64; the exact bound of a gigabyte is for npm run accept.
    assert.ok(grown < 48, `grown by ${grown.toFixed(1)} MiB while 64 MiB passed`);
  });

  test("a reader that does not read holds back its own stream only", async () => {
    const stalled = pair.through.reading(METHODS.give, "1024:65536");
    await nextMessage(stalled);
    const { messages } = await pair.through.read(METHODS.give, "100:10000");
    assert.equal(messages.length, 100);
    assert.equal((await pair.through.unary(METHODS.echo, "beside")).body.toString(), "beside");
    stalled.cancel();
  });
});
