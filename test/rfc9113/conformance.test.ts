// Responsible for: running the 147 conformance cases against the gateway, or against SLUICE_WIRE_TARGET=host:port.
// Must not know: the engine. Governed by: RFC 9113, RFC 7541. One gateway, one connection per case.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { keyless, startGateway } from "../support/gateway.js";
import { type Target, WireClient } from "../support/wire/client.js";
import type { Case } from "./conformance-case.js";
import { definitionCases } from "./definition-cases.js";
import { genericCases } from "./generic-cases.js";
import { hpackCases } from "./hpack-cases.js";
import { messageCases } from "./message-cases.js";
import { streamCases } from "./stream-cases.js";
import { answering } from "./upstream.js";

const cases: Case[] = [...genericCases, ...streamCases, ...definitionCases, ...messageCases, ...hpackCases];

const external = process.env.SLUICE_WIRE_TARGET;
let target: Target;
let bodyLength = 0;
const ends: (() => Promise<void>)[] = [];

async function ownTarget(): Promise<Target> {
  const upstream = await answering("a body of some length");
  ends.push(() => upstream.close());
  const gateway = await startGateway({ definitions: [keyless({ target: upstream.target })] });
  ends.unshift(() => gateway.stop());
  return { host: "127.0.0.1", port: gateway.port };
}

async function run(it: Case): Promise<void> {
  const client = it.raw ? await WireClient.connect(target) : await WireClient.ready(target);
  try {
    await it.run(client, { client, target, bodyLength });
  } finally {
    client.close();
  }
}

describe("HTTP/2 conformance", () => {
  before(async () => {
    const [host = "", port = ""] = (external ?? "").split(":");
    target = external ? { host, port: Number(port) } : await ownTarget();
    const client = await WireClient.ready(target);
    const answer = await client.get();
    bodyLength = answer.body.length;
    assert.equal(answer.fields.find(({ name }) => name === ":status")?.value, "200");
    client.close();
  });

  after(async () => {
    for (const end of ends) await end();
  });

  test("there are 147 cases, each under a name of its own", () => {
    assert.equal(cases.length, 147);
    assert.equal(new Set(cases.map((it) => it.id)).size, 147);
  });

  for (const it of cases) test(`${it.id} ${it.says}`, () => run(it));
});
