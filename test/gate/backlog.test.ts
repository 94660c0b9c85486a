// Responsible for: more keys that come for the first time than a turn of the loop has time for, on connections in the clear,
// under TLS on the loop and under TLS on threads: what stands behind them is not lost, whoever goes leaves nothing behind,
// and others are served. Governed by: issue "Secure gRPC", acceptance (figures: bench/accept/passwords.ts).

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { type ClientHttp2Session, connect, type SecureClientSessionOptions } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Gateway, startGateway } from "../support/gateway.js";
import { type Made, make } from "../tls/certificates.js";
import { EchoService } from "./echo.js";
import { keyed } from "./world.js";

/** Fewer than a connection may have at once; together with their bodies more than is read at once. */
const CALLS = 90;
const KEY_LENGTH = 1_500;
const BODY = Buffer.alloc(1_000);
const UNAUTHENTICATED = "16";

const WAYS = [
  { title: "in the clear", tls: false, threads: 0 },
  { title: "under TLS on the loop", tls: true, threads: 0 },
  { title: "under TLS on threads", tls: true, threads: 1 },
];

/** The status of one call with a key that nobody has. */
function ask(session: ClientHttp2Session, key: string): Promise<string> {
  return new Promise((resolve) => {
    const stream = session.request({
      ":method": "POST",
      ":path": "/backlog.Api/Call",
      "content-type": "application/grpc",
      authorization: key.padEnd(KEY_LENGTH, "x"),
    });
    let status = "none";
    stream.on("response", (headers) => {
      status = String(headers["grpc-status"]);
    });
    stream.on("error", () => {});
    stream.on("close", () => resolve(status));
    stream.resume();
    stream.end(BODY);
  });
}

for (const { title, tls, threads } of WAYS) {
  describe(`a backlog of new keys, ${title}`, () => {
    let service: EchoService;
    let gateway: Gateway;
    let made: Made;
    let folder: string;
    const sessions: ClientHttp2Session[] = [];

    const open = (): ClientHttp2Session => {
      const options: SecureClientSessionOptions = tls ? { ca: made.cert, servername: "localhost" } : {};
      const session = connect(`${tls ? "https" : "http"}://localhost:${gateway.port}`, options);
      session.on("error", () => {});
      sessions.push(session);
      return session;
    };
    const burst = (session: ClientHttp2Session, round: number): Promise<string[]> =>
      Promise.all(Array.from({ length: CALLS }, (_, n) => ask(session, `${sessions.indexOf(session)}-${round}-${n}-`)));

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "sluice-backlog-"));
      service = await EchoService.listen();
      made = await make({ name: "localhost" });
      const front = { use_ssl: true, ssl_certificates: [made.pem], tls_threads: threads };
      gateway = await startGateway({
        definitions: [keyed("backlog", service.target, "/backlog.Api")],
        settings: {
          unknown_keys_per_second: 0,
          storage: { type: "embedded", path: join(folder, "store") },
          ...(tls ? { http_server_options: front } : {}),
        },
      });
    });
    after(async () => {
      for (const session of sessions) session.destroy();
      await gateway?.stop();
      await service?.close();
      rmSync(folder, { recursive: true, force: true });
    });

    test("each is answered, on connections that have many and on one that has few", async () => {
      const many = Array.from({ length: 4 }, open);
      const few = open();
      for (let round = 0; round < 2; round++) {
        const bursts = many.map((session) => burst(session, round));
        assert.equal(await ask(few, `few-${round}-`), UNAUTHENTICATED);
        for (const statuses of await Promise.all(bursts))
          assert.deepEqual(statuses, Array<string>(CALLS).fill(UNAUTHENTICATED));
      }
    });

    test("callers who go in the middle of theirs hold up nobody", async () => {
      const leaving = Array.from({ length: 4 }, open);
      await Promise.all(
        leaving.map(async (session, n) => {
          const all = burst(session, n);
          await ask(session, `last-${n}-`).then(() => session.destroy());
          await all;
        }),
      );
      assert.deepEqual(await burst(open(), 0), Array<string>(CALLS).fill(UNAUTHENTICATED));
    });
  });
}
