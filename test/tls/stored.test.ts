// Certificates by their id in the store: found, missing, encrypted under another secret, not what the id says.

import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { test } from "node:test";
import { readCertificate } from "../../src/shared/certificates/certificate.js";
import { sealKey } from "../../src/shared/certificates/private-key.js";
import type { WorkerConfig } from "../../src/shared/messages.js";
import { storedCertificates, storedReferences } from "../../src/worker/tls/stored-certificates.js";
import { settingsWith } from "../model/fixture.js";
import { make } from "./certificates.js";
import { api, FRONT_PORT, FrontHarness, freshKeys, visit } from "./harness.js";

const read = async (text: string, secret: string) => readCertificate(text, secret);

test("ids of settings and definitions are looked up, and what is wrong with one is told", async () => {
  const [server, client, odd] = await Promise.all(["server", "client", "odd"].map((name) => make({ name })));
  const id = {
    server: `org${server!.fingerprint}`,
    client: `org${client!.fingerprint}`,
    odd: `org${odd!.fingerprint}`,
  };
  const missing = `org${"0".repeat(64)}`;
  const config = {
    settings: settingsWith({
      secret: "secret",
      http_server_options: { ssl_certificates: [id.server, "/a/path.pem"] },
      security: { certificates: { apis: [missing], upstream: { "*": id.odd } } },
    }),
    definitions: [api("one", "", { use_mutual_tls_auth: true, client_certificates: [id.client] })],
  } as unknown as WorkerConfig;
  assert.deepEqual(storedReferences(config).sort(), [id.server, id.client, id.odd, missing].sort());
  const values = new Map([
    [`cert-raw-${id.server}`, server!.cert + sealKey(createPrivateKey(server!.key), "secret")],
    [`cert-raw-${id.client}`, client!.cert],
    [`cert-raw-${id.odd}`, server!.cert],
  ]);
  const told: string[] = [];
  const getMany = async (names: readonly string[]) =>
    names.map((name) => (values.has(name) ? Buffer.from(values.get(name)!) : undefined));
  const found = await storedCertificates(config, { getMany }, read, (reference, problem) => {
    told.push(`${reference.slice(0, 5)} ${problem}`);
  });
  assert.deepEqual([...found.keys()].sort(), [id.server, id.client].sort());
  assert.match(found.get(id.server)!.key, /BEGIN PRIVATE KEY/);
  assert.deepEqual(
    told.sort(),
    [
      `${missing.slice(0, 5)} is not in the store`,
      `${id.odd.slice(0, 5)} holds another certificate than its id says`,
    ].sort(),
  );
});

test("a certificate that comes into the store is shown by the next handshake, and one that goes is not", async () => {
  const made = await make({ name: "stored" });
  const id = `org${made.fingerprint}`;
  const record = readCertificate(made.pem, "");
  assert.ok(!("problem" in record));
  const one = new FrontHarness().listen(FRONT_PORT);
  one.front.tickets(freshKeys());
  one.configure([api("open", "")], { http_server_options: { use_ssl: true, ssl_certificates: [id] } });
  try {
    assert.match((await visit(one.port)).answer, /unrecognized name/);
    one.front.certificates(new Map([[id, record]]));
    const came = await visit(one.port);
    assert.deepEqual([came.shown, came.answer], ["stored", "heard hello"]);
    one.front.certificates(new Map());
    assert.match((await visit(one.port)).answer, /unrecognized name/);
  } finally {
    one.close();
  }
});
