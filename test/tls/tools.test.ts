// A gateway with four workers seen by OpenSSL's and nghttp2's own clients, and tickets that travel between the workers.
// A missing tool is a visible skip, and a failure where CI says that everything must be there.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { type Gateway, keyless, startGateway } from "../support/gateway.js";
import { type Made, make } from "./certificates.js";
import { visit } from "./harness.js";

const VISITS = 24;
const REFUSALS = 20;

let gateway: Gateway;
let made: Made;
let client: Made;

before(async () => {
  [made, client] = await Promise.all([make({ name: "localhost" }), make({ name: "client" })]);
  gateway = await startGateway({
    workers: 4,
    settings: {
      enable_custom_domains: true,
      http_server_options: { use_ssl: true, ssl_certificates: [made.pem] },
    },
    definitions: [
      keyless({ target: "h2c://127.0.0.1:1", path: "/down" }),
      keyless({
        id: "strict",
        target: "h2c://127.0.0.1:1",
        more: { domain: "strict.example", use_mutual_tls_auth: true, client_certificates: [client.cert] },
      }),
    ],
  });
});

after(() => gateway?.stop());

/** Output of both streams; the client's input ends at once. */
function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes: Buffer) => (text += bytes.toString()));
    child.on("error", reject);
    child.on("close", () => resolve(text));
    child.stdin.end();
  });
}

function tool(name: string, argument: string): { skip: string | false } {
  const there = spawnSync(name, [argument], { stdio: "ignore" }).error === undefined;
  return { skip: there || process.env["CI"] === "true" ? false : `${name} is not installed` };
}

for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
  test(`with four workers every ticket of one is accepted by any (${version})`, async () => {
    const only = { minVersion: version, maxVersion: version } as const;
    let session: Buffer | undefined;
    const resumed: boolean[] = [];
    for (let at = 0; at < VISITS; at++) {
      const came = await visit(gateway.port, { ...only, ...(session === undefined ? {} : { session }) });
      if (session !== undefined) resumed.push(came.resumed);
      session = came.session ?? session;
    }
    assert.deepEqual(resumed, Array<boolean>(VISITS - 1).fill(true));
  });
}

test("openssl negotiates h2, verifies the certificate and resumes", tool("openssl", "version"), async () => {
  const ca = join(gateway.directory, "ca.pem");
  writeFileSync(ca, made.cert);
  const text = await run("openssl", [
    ..."s_client -alpn h2 -tls1_2 -reconnect -servername localhost -verify_return_error".split(" "),
    ...["-CAfile", ca, "-connect", `127.0.0.1:${gateway.port}`],
  ]);
  assert.match(text, /ALPN protocol: h2/);
  assert.match(text, /Verify return code: 0 \(ok\)/);
  assert.equal(text.match(/^Reused, /gm)?.length, 5, text);
});

test("openssl is told why it is refused without a certificate", tool("openssl", "version"), async () => {
  // Again and again: an answer that comes while our own flight is not told to be written must not cost the alert.
  for (let round = 0; round < REFUSALS; round++) {
    const text = await run("openssl", [
      ..."s_client -alpn h2 -tls1_2 -servername strict.example".split(" "),
      ...["-connect", `127.0.0.1:${gateway.port}`],
    ]);
    assert.match(text, /alert handshake failure/);
  }
});

test("openssl cannot renegotiate", tool("openssl", "version"), async () => {
  const child = spawn("openssl", ["s_client", "-tls1_2", "-connect", `127.0.0.1:${gateway.port}`], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  let text = "";
  let asked = false;
  await new Promise<void>((resolve) => {
    const hear = (bytes: Buffer): void => {
      text += bytes.toString();
      if (!asked && text.includes("Verify return code")) {
        asked = true;
        child.stdin.write("R\n");
      }
      if (/no renegotiation|RENEGOTIATING[\s\S]*error/i.test(text)) child.stdin.end();
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.on("close", () => resolve());
  });
  assert.match(text, /no renegotiation/i);
});

test("nghttp is answered over h2", tool("nghttp", "--version"), async () => {
  const text = await run("nghttp", ["-v", "--no-verify-peer", `https://localhost:${gateway.port}/down/call`]);
  assert.match(text, /The negotiated protocol: h2/);
  assert.match(text, /:status: 503/);
});

test("a host that was not asked for in the handshake is judged by its own API", async () => {
  const { connect } = await import("node:http2");
  const session = connect(`https://127.0.0.1:${gateway.port}`, { rejectUnauthorized: false, servername: "localhost" });
  try {
    const stream = session.request({ ":path": "/down", ":authority": "strict.example" });
    const status = await new Promise((resolve, reject) => {
      stream.on("response", (headers) => resolve(headers[":status"]));
      session.on("error", reject);
    });
    assert.equal(status, 403);
  } finally {
    session.destroy();
  }
});
