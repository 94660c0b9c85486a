// A certificate replaced under running streams: they go on, and the next handshake shows the new one on every worker.
// Governed by: issue, acceptance. A real gateway with two workers and its reload by signal.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { credentials } from "@grpc/grpc-js";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { GrpcClient, nextMessage } from "../support/grpc/client.js";
import { METHODS } from "../support/grpc/contract.js";
import { GrpcService } from "../support/grpc/service.js";
import { type Made, make } from "./certificates.js";
import { visit } from "./harness.js";

const NAME = "test.Echo";
const STREAMS = 50;
const HANDSHAKES = 20;

let service: GrpcService;
let gateway: Gateway;
let first: Made;
let second: Made;
const folder = mkdtempSync(join(tmpdir(), "sluice-replace-"));
const file = join(folder, "server.pem");

before(async () => {
  service = await GrpcService.listen(NAME);
  [first, second] = await Promise.all([
    make({ name: "first", names: ["localhost"] }),
    make({ name: "second", names: ["localhost"] }),
  ]);
  writeFileSync(file, first.pem);
  gateway = await startGateway({
    workers: 2,
    settings: { http_server_options: { use_ssl: true, ssl_certificates: [file] } },
    definitions: [keyless({ target: service.target, path: `/${NAME}` })],
  });
});

after(async () => {
  await gateway?.stop();
  service?.close();
  rmSync(folder, { recursive: true, force: true });
});

async function shown(): Promise<Set<string>> {
  const all = await Promise.all(Array.from({ length: HANDSHAKES }, () => visit(gateway.port)));
  return new Set(all.map((came) => came.shown));
}

test("no stream ends, and every worker shows the new certificate", async () => {
  const security = credentials.createSsl(Buffer.from(first.cert));
  const clients = [1, 2, 3, 4].map(() => new GrpcClient(`localhost:${gateway.port}`, NAME, {}, security));
  const streams = Array.from({ length: STREAMS }, (_, at) => clients[at % clients.length]!.duplex(METHODS.chat));
  const pingAll = (text: string) =>
    Promise.all(
      streams.map(async (stream) => {
        const answer = nextMessage(stream);
        stream.write(Buffer.from(text));
        assert.equal((await answer).toString(), text);
      }),
    );
  try {
    await pingAll("before");
    assert.deepEqual([...(await shown())], ["first"]);
    writeFileSync(file, second.pem);
    gateway.signal("SIGHUP");
    for (let round = 0; round < 100 && (await shown()).has("first"); round++);
    assert.deepEqual([...(await shown())], ["second"]);
    await pingAll("after");
  } finally {
    for (const stream of streams) stream.cancel();
    for (const client of clients) client.close();
  }
});
