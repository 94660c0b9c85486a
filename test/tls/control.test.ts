// The control port over TLS: whom it speaks to, which certificate of an operator opens it, and that the secret is asked
// for all the same. Governed by: spec 1.4, 1.6, 7.3 (TestGatewayControlAPIMutualTLS); issue, item 3.

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import { request as requestSecurely } from "node:https";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { pino } from "pino";
import { ControlServer } from "../../src/primary/control/server.js";
import { ControlTls } from "../../src/primary/control-tls.js";
import { CertificateCollection } from "../../src/shared/certificates/collection.js";
import { readSettings } from "../../src/shared/config/read.js";
import type { ApiDefinition } from "../../src/shared/model/api-definition.js";
import { Desk, SECRET } from "../control/desk.js";
import { settingsWith } from "../model/fixture.js";
import { type Made, make } from "./certificates.js";
import { api } from "./harness.js";

type Json = Record<string, unknown>;

let server: Made;
let named: Made;
let operator: Made;
let stranger: Made;
let authority: Made;
let vouched: Made;
let expired: Made;

before(async () => {
  [server, named, operator, stranger, authority, expired] = await Promise.all([
    make({ name: "localhost" }),
    make({ name: "control.example" }),
    make({ name: "operator" }),
    make({ name: "stranger" }),
    make({ name: "authority", ca: true }),
    make({ name: "expired", from: -9, until: -2 }),
  ]);
  vouched = await make({ name: "vouched", issuer: authority });
});

const desk = new Desk();
after(() => desk.close());

/** A control port with these settings, in this process. */
class Port {
  readonly server: ControlServer;
  readonly tls: ControlTls | undefined;
  port = 0;

  constructor(security: Json = {}, definitions: readonly ApiDefinition[] = [], shown = [server, named]) {
    const settings = settingsWith({
      control_api_port: 1,
      http_server_options: { use_ssl: true, ssl_certificates: shown.map((made) => made.pem) },
      security,
    });
    const refuse = (_path: readonly PropertyKey[], message: string): never => assert.fail(message);
    const collection = new CertificateCollection(settings, refuse as never);
    collection.settings(settings, refuse);
    for (const one of definitions) collection.definition(one, refuse);
    const log = pino({ level: "silent" });
    this.tls = ControlTls.of({ settings, definitions, certificates: collection.records, log });
    this.server = new ControlServer(desk.app, false, this.tls);
  }

  async open(): Promise<this> {
    this.port = await this.server.listen("127.0.0.1", 0);
    return this;
  }
}

async function withPort(port: Port, work: (port: number) => Promise<void>): Promise<void> {
  await port.open();
  try {
    await work(port.port);
  } finally {
    await port.server.close();
  }
}

interface Asked {
  readonly status: number;
  readonly shown: string;
}

/** Status 0 and why for a connection that does not come to an answer. */
function ask(port: number, path: string, options: Json = {}): Promise<Asked | string> {
  return new Promise((resolve) => {
    const headers = { "x-tyk-authorization": SECRET, connection: "close" };
    const asked = requestSecurely(
      { host: "127.0.0.1", port, path, headers, rejectUnauthorized: false, agent: false, ...options },
      (answer) => {
        const shown = String((answer.socket as TLSSocket).getPeerCertificate().subject?.CN);
        answer.resume();
        answer.on("end", () => resolve({ status: answer.statusCode ?? 0, shown }));
      },
    );
    asked.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    asked.end();
  });
}

function errorsOf(settings: Json): string[] {
  const { problems } = readSettings(settings, "tyk.conf", { env: {}, readFile: () => "" });
  return problems.filter(({ level }) => level === "error").map(({ message }) => message);
}

const curlMissing = spawnSync("curl", ["--version"]).error !== undefined;
if (curlMissing && process.env["CI"] === "true") throw new Error("curl is missing");

const as = (made: Made) => ({ cert: made.cert, key: made.key });

test("https is answered, the secret is asked for, and the certificate is chosen by name", () =>
  withPort(new Port(), async (port) => {
    assert.deepEqual(await ask(port, "/hello"), { status: 200, shown: "localhost" });
    assert.deepEqual(await ask(port, "/tyk/policies", { servername: "control.example" }), {
      status: 200,
      shown: "control.example",
    });
    assert.deepEqual(await ask(port, "/tyk/policies", { headers: { "x-tyk-authorization": "wrong" } }), {
      status: 403,
      shown: "localhost",
    });
  }));

test("curl trusts it, over both versions of HTTP", { skip: curlMissing && "curl is missing" }, () =>
  withPort(new Port(), async (port) => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-curl-"));
    try {
      const trusted = join(folder, "ca.pem");
      writeFileSync(trusted, server.cert);
      for (const version of ["--http1.1", "--http2"]) {
        const words = ["-sS", version, "--cacert", trusted, `https://localhost:${port}/hello`];
        const { stdout } = await promisify(execFile)("curl", [...words, "--resolve", `localhost:${port}:127.0.0.1`]);
        assert.equal((JSON.parse(stdout) as { status: string }).status, "pass");
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }),
);

test("HTTP/2 is answered over the same port", () =>
  withPort(new Port(), async (port) => {
    const session = http2.connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    try {
      const request = session.request({ ":path": "/tyk/policies", "x-tyk-authorization": SECRET });
      const [headers] = (await once(request, "response")) as [http2.IncomingHttpHeaders];
      assert.equal(headers[":status"], 200);
      request.resume();
      await once(request, "end");
    } finally {
      session.destroy();
    }
  }));

test("whoever speaks in the clear gets no answer", () =>
  withPort(new Port(), async (port) => {
    const socket = net.connect(port, "127.0.0.1");
    let answer = "";
    socket.on("data", (bytes) => {
      answer += bytes.toString("latin1");
    });
    socket.on("error", () => {});
    socket.write(`GET /tyk/keys HTTP/1.1\r\nhost: a\r\nx-tyk-authorization: ${SECRET}\r\n\r\n`);
    await once(socket, "close");
    assert.doesNotMatch(answer, /HTTP/);
  }));

test("without a certificate of the front, one of a definition is shown; with none every connection ends", async () => {
  const definition = api("one", "api.example", { certificates: [named.pem] });
  await withPort(new Port({}, [definition], []), async (port) => {
    assert.deepEqual(await ask(port, "/hello"), { status: 200, shown: "control.example" });
  });
  await withPort(new Port({}, [], []), async (port) => {
    assert.equal(typeof (await ask(port, "/hello")), "string");
  });
});

test("no ticket opens it: every connection is a full handshake", () =>
  withPort(new Port(), async (port) => {
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      const only = { host: "127.0.0.1", port, minVersion: version, maxVersion: version, rejectUnauthorized: false };
      const first = connect(only);
      let session: Buffer | undefined;
      first.on("session", (ticket: Buffer) => {
        session = ticket;
      });
      await once(first, "secureConnect");
      first.write("GET /hello HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
      first.resume();
      await once(first, "close");
      const second = connect({ ...only, session: session ?? first.getSession() });
      await once(second, "secureConnect");
      assert.equal(second.isSessionReused(), false);
      second.destroy();
    }
  }));

describe("with control_api_use_mutual_tls", () => {
  const mutual = (...allowed: Made[]) => ({
    control_api_use_mutual_tls: true,
    certificates: { control_api: allowed.map((made) => made.cert) },
  });

  for (const version of ["TLSv1.2", "TLSv1.3"] as const)
    test(`a listed certificate opens it and others do not, ${version}`, () =>
      withPort(new Port(mutual(operator, authority)), async (port) => {
        const only = { minVersion: version, maxVersion: version };
        const status = async (options: Json) => {
          const asked = await ask(port, "/tyk/policies", { ...only, ...options });
          return typeof asked === "string" ? "refused" : asked.status;
        };
        assert.equal(await status(as(operator)), 200);
        assert.equal(await status(as(vouched)), 200);
        assert.equal(await status({ ...as(operator), headers: { "x-tyk-authorization": "wrong" } }), 403);
        assert.equal(await status({}), "refused");
        assert.equal(await status(as(stranger)), "refused");
        // Only the leaf counts: somebody's public certificate beside it proves nothing.
        assert.equal(await status({ cert: stranger.cert + operator.cert, key: stranger.key }), "refused");
      }));

  test("an expired certificate does not open it, though it is listed", () =>
    withPort(new Port(mutual(expired)), async (port) => {
      assert.equal(typeof (await ask(port, "/tyk/policies", as(expired))), "string");
    }));

  test("health needs a certificate too", () =>
    withPort(new Port(mutual(operator)), async (port) => {
      assert.equal(typeof (await ask(port, "/hello")), "string");
      assert.deepEqual(await ask(port, "/hello", as(operator)), { status: 200, shown: "localhost" });
    }));

  test("it counts for new connections when it is switched on while the port is open", async () => {
    const [open, strict] = [new Port(), new Port(mutual(operator))];
    await withPort(open, async (port) => {
      assert.deepEqual(await ask(port, "/hello"), { status: 200, shown: "localhost" });
      open.server.secure(strict.tls);
      assert.equal(typeof (await ask(port, "/hello")), "string");
    });
  });

  test("settings under which it would protect nothing, or keep everybody out, are refused", () => {
    const all = { control_api_port: 8081, http_server_options: { use_ssl: true } };
    const security = mutual(operator);
    assert.deepEqual(errorsOf({ ...all, security }), []);
    for (const [settings, why] of [
      [{ ...all, control_api_port: 0, security }, /needs control_api_port/],
      [{ control_api_port: 8081, security }, /needs http_server_options.use_ssl/],
      [{ ...all, security: { control_api_use_mutual_tls: true } }, /needs security.certificates.control_api/],
    ] as const) {
      const [problem, ...more] = errorsOf(settings);
      assert.match(problem ?? "", why);
      assert.deepEqual(more, []);
    }
  });
});
