// Responsible for: the example over TLS: its certificate, its definition, and the call that `npm start` prints.
// Governed by: issue "TLS", acceptance. On free ports; the fixed ones are for people.

import assert from "node:assert/strict";
import { fork, spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { exampleCertificate } from "../../examples/certificate.js";
import { lint } from "../../src/primary/lint.js";
import { printProblem } from "../../src/shared/model/problem.js";
import { freePort } from "../store/redis-server.js";
import { startGateway } from "../support/gateway.js";
import { make } from "../tls/certificates.js";

const built = (file: string): string => fileURLToPath(new URL(`../../examples/${file}`, import.meta.url));

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "sluice-example-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test("the certificate is made once, for its owner alone, and kept", async (t) => {
  const file = join(folderOf(t), "run", "certificate.pem");
  const made = await exampleCertificate(file);
  assert.equal(made.fresh, true);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const certificate = new X509Certificate(readFileSync(file));
  assert.equal(certificate.checkHost("localhost"), "localhost");
  assert.equal(certificate.checkIP("127.0.0.1"), "127.0.0.1");
  assert.doesNotMatch(made.certificate, /PRIVATE KEY/);
  const again = await exampleCertificate(file);
  assert.deepEqual([again.fresh, again.certificate], [false, made.certificate]);
});

test("one that is about to expire, or cannot be read, is made anew", async (t) => {
  const file = join(folderOf(t), "certificate.pem");
  for (const before of [(await make({ name: "localhost", until: 3 })).pem, "no certificate"]) {
    writeFileSync(file, before);
    chmodSync(file, 0o600);
    assert.equal((await exampleCertificate(file)).fresh, true);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  }
});

test("the line that npm start prints calls the example over TLS", async (t) => {
  const folder = folderOf(t);
  const file = join(folder, "certificate.pem");
  await exampleCertificate(file);
  const [port, target] = [await freePort(), await freePort()];
  const service = fork(built("service/main.js"), [String(target)], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const gone = once(service, "exit");
  t.after(async () => {
    service.kill("SIGKILL");
    await gone;
  });
  await once(service, "message");
  const definition = JSON.parse(readFileSync(join(repository(), "examples/apps/echo-tls.json"), "utf8"));
  definition.listen_port = port;
  definition.proxy.target_url = `h2c://127.0.0.1:${target}`;
  const gateway = await startGateway({
    definitions: [definition],
    env: { TYK_GW_HTTPSERVEROPTIONS_SSLCERTIFICATES: JSON.stringify([file]) },
  });
  t.after(() => gateway.stop());
  const call = spawn(process.execPath, [built("call.js"), "", `localhost:${port}`, file], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  call.stdout.on("data", (bytes) => {
    said += String(bytes);
  });
  await once(call, "close");
  assert.equal(said, "OK: you said: hello\n");
});

test("the example's settings are good before there is a certificate", () => {
  const { problems } = lint(join(repository(), "examples/sluice.json"), {
    TYK_GW_APPPATH: join(repository(), "examples/apps"),
    TYK_GW_SECRET: "of the test",
  });
  assert.deepEqual(problems.filter(({ level }) => level === "error").map(printProblem), []);
});

function repository(): string {
  return fileURLToPath(new URL("../..", import.meta.url)).replace(/\/\.build[^/]*\/$/, "/");
}
