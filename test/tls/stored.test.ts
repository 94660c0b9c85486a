// Certificates by their id in the store: found, missing, encrypted under another secret, not what the id says, and what
// stays when the store cannot be asked.

import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { test } from "node:test";
import { type Logger, pino } from "pino";
import { isSame, StoredCertificates } from "../../src/primary/stored-certificates.js";
import { readCertificate } from "../../src/shared/certificates/certificate.js";
import { sealKey } from "../../src/shared/certificates/private-key.js";
import { type Referring, storedReferences } from "../../src/shared/certificates/stored.js";
import { StoreDown } from "../../src/shared/store/store.js";
import { settingsWith } from "../model/fixture.js";
import { make } from "./certificates.js";
import { api, FRONT_PORT, FrontHarness, freshKeys, visit } from "./harness.js";

/** A store of values, and the lines that were said about it. */
class Shelf {
  readonly values = new Map<string, string>();
  readonly told: { level: number; msg: string; certificate?: string; problem?: string }[] = [];
  readonly log: Logger;
  isAway = false;

  constructor() {
    this.log = pino({ base: null }, { write: (line: string) => void this.told.push(JSON.parse(line)) });
  }

  readonly open = async () => ({
    getMany: async (names: readonly string[]) => {
      if (this.isAway) throw new StoreDown("away");
      return names.map((name) => (this.values.has(name) ? Buffer.from(this.values.get(name)!) : undefined));
    },
  });
}

test("ids of settings and definitions are looked up, and what is wrong with one is told", async () => {
  const [server, client, odd, other] = await Promise.all(
    ["server", "client", "odd", "other"].map((name) => make({ name })),
  );
  const id = {
    server: `org${server!.fingerprint}`,
    client: `org${client!.fingerprint}`,
    odd: `org${odd!.fingerprint}`,
    other: `org${other!.fingerprint}`,
  };
  const missing = `org${"0".repeat(64)}`;
  const referring: Referring = {
    settings: settingsWith({
      secret: "secret",
      http_server_options: { ssl_certificates: [id.server, "/a/path.pem"] },
      security: { certificates: { apis: [missing], upstream: { "*": id.odd }, control_api: [id.other] } },
    }),
    definitions: [api("one", "", { use_mutual_tls_auth: true, client_certificates: [id.client] })],
  };
  assert.deepEqual(storedReferences(referring).sort(), [...Object.values(id), missing].sort());
  const shelf = new Shelf();
  shelf.values.set(`cert-raw-${id.server}`, server!.cert + sealKey(createPrivateKey(server!.key), "secret"));
  shelf.values.set(`cert-raw-${id.client}`, client!.cert);
  shelf.values.set(`cert-raw-${id.odd}`, server!.cert);
  shelf.values.set(`cert-raw-${id.other}`, other!.cert + sealKey(createPrivateKey(other!.key), "of somebody else"));
  const stored = new StoredCertificates(shelf.open, shelf.log);
  const found = await stored.of(referring);
  assert.deepEqual(Object.keys(found).sort(), [id.server, id.client].sort());
  assert.match(found[id.server]!.key, /BEGIN PRIVATE KEY/);
  const told = new Map(shelf.told.map((line) => [line.certificate, line.problem ?? line.msg]));
  assert.equal(told.get(missing), "a certificate is not in the store");
  assert.equal(told.get(id.odd), "holds another certificate than its id says");
  assert.match(told.get(id.other)!, /encrypted under another secret/);
  assert.ok(isSame(await stored.of(referring), found), "what has not changed is not read again");
});

test("while the store is away known certificates stay, and it is told once", async () => {
  const made = await make({ name: "kept" });
  const id = `org${made.fingerprint}`;
  const referring = {
    settings: settingsWith({ secret: "secret", http_server_options: { ssl_certificates: [id] } }),
    definitions: [],
  };
  const shelf = new Shelf();
  const stored = new StoredCertificates(shelf.open, shelf.log);
  shelf.isAway = true;
  assert.deepEqual(await stored.of(referring), {});
  shelf.isAway = false;
  shelf.values.set(`cert-raw-${id}`, made.pem);
  const known = await stored.of(referring);
  assert.deepEqual(Object.keys(known), [id]);
  shelf.isAway = true;
  assert.ok(isSame(await stored.of(referring), known));
  assert.ok(isSame(await stored.of(referring), known));
  assert.deepEqual(
    shelf.told.map((line) => line.level),
    [50, 30, 50],
  );
});

test("without references the store is not opened", async () => {
  const never = (): Promise<never> => assert.fail("it was opened");
  const stored = new StoredCertificates(never, pino({ level: "silent" }));
  assert.deepEqual(await stored.of({ settings: settingsWith({}), definitions: [] }), {});
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
