// `/tyk/certs…` over both homes of the store: Tyk's bodies, what is refused and why, and that nothing is half-stored.
// Governed by: spec 4.2 and 5.7; issue, acceptance.

import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { before, test } from "node:test";
import { type CertificateRecord, readCertificate } from "../../src/shared/certificates/certificate.js";
import { sealKey } from "../../src/shared/certificates/private-key.js";
import { CERTIFICATES_CHANGED } from "../../src/shared/store/store.js";
import { type Desk, onBothHomes, SECRET } from "../control/desk.js";
import { until } from "../support/waiting.js";
import { type Made, make } from "../tls/certificates.js";

const ORG = "acme";

let server: Made;
let other: Made;
let authority: Made;
let issued: Made;

before(async () => {
  [server, other, authority] = await Promise.all([
    make({ name: "server.example", names: ["server.example", "*.server.example"] }),
    make({ name: "other" }),
    make({ name: "authority", ca: true }),
  ]);
  issued = await make({ name: "issued", issuer: authority });
});

const add = (desk: Desk, pem: string, org = ORG) => desk.ask("POST", `/tyk/certs?org_id=${org}`, pem);

const record = (made: Made) => readCertificate(made.pem, "") as CertificateRecord;

async function stored(desk: Desk, id: string): Promise<string | undefined> {
  const { store } = await desk.keyspace.open();
  const value = await store.get(`cert-raw-${id}`);
  return value === undefined ? undefined : Buffer.from(value).toString();
}

async function namesIn(desk: Desk): Promise<string[]> {
  const { store } = await desk.keyspace.open();
  const names: string[] = [];
  for await (const page of store.list("cert-")) names.push(...page);
  return names;
}

onBothHomes("certificates through the control API", (open) => {
  test("added, listed, shown and removed, in Tyk's words", async () => {
    const desk = open();
    assert.deepEqual((await desk.ask("GET", `/tyk/certs?org_id=${ORG}`)).body, { certs: null });
    const id = ORG + server.fingerprint;
    const added = await add(desk, server.pem);
    assert.deepEqual([added.status, added.body], [200, { id, status: "ok", message: "Certificate added" }]);
    assert.equal(desk.certificateNews, 1);
    const ca = await add(desk, authority.cert);
    assert.equal(ca.body.id, ORG + authority.fingerprint);
    const list = await desk.ask("GET", `/tyk/certs?org_id=${ORG}`);
    assert.deepEqual(list.body, { certs: [id, ca.body.id] });
    assert.deepEqual((await desk.ask("GET", "/tyk/certs?org_id=nobody")).body, { certs: null });
    const detailed = (await desk.ask("GET", `/tyk/certs?org_id=${ORG}&mode=detailed`)).body.certs;
    assert.deepEqual(Object.keys(detailed[0]).sort(), [
      "dns_names",
      "has_private",
      "id",
      "is_ca",
      "issuer_cn",
      "not_after",
      "not_before",
      "subject_cn",
    ]);
    assert.deepEqual(
      [detailed[0].subject_cn, detailed[0].has_private, detailed[0].is_ca, detailed[0].dns_names],
      ["server.example", true, false, ["server.example", "*.server.example"]],
    );
    assert.deepEqual([detailed[1].has_private, detailed[1].is_ca], [false, true]);
    const one = await desk.ask("GET", `/tyk/certs/${id}`);
    assert.equal(one.body.fingerprint, server.fingerprint);
    assert.equal(one.body.subject.CommonName, "server.example");
    assert.match(one.body.not_after, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const two = await desk.ask("GET", `/tyk/certs/${id},${ca.body.id}`);
    assert.deepEqual(
      two.body.map((each: { id: string }) => each.id),
      [id, ca.body.id],
    );
    const removed = await desk.ask("DELETE", `/tyk/certs/${id}?org_id=${ORG}`);
    assert.deepEqual([removed.status, removed.body], [200, { status: "ok", message: "removed" }]);
    assert.deepEqual((await desk.ask("GET", `/tyk/certs?org_id=${ORG}`)).body, { certs: [ca.body.id] });
    const gone = await desk.ask("GET", `/tyk/certs/${id}`);
    assert.equal(gone.status, 404);
    assert.equal(gone.body.message, "Certificate with given SHA256 fingerprint not found");
  });

  test("the answer to a removal names what goes on without the certificate", async () => {
    const desk = open({ http_server_options: { use_ssl: true, ssl_certificates: [other.pem] } });
    const { id } = (await add(desk, server.pem)).body;
    desk.load("orders", { certificates: [id] });
    desk.certificates = { [id]: record(server), [other.pem]: record(other) };
    const { status, body } = await desk.ask("DELETE", `/tyk/certs/${id}`);
    const message = "removed; it is still named by certificates of orders, which go on without it";
    assert.deepEqual([status, body], [200, { status: "ok", message }]);
    assert.equal((await desk.ask("GET", `/tyk/certs/${id}`)).status, 404);
  });

  test("the answer to the removal of a port's last certificate says that nobody can connect there", async () => {
    const desk = open({
      control_api_port: 9_443,
      listen_port: 8_443,
      disable_ports_whitelist: true,
      http_server_options: { use_ssl: true },
    });
    const [one, two] = [(await add(desk, server.pem)).body.id, (await add(desk, other.pem)).body.id];
    desk.load("orders", { certificates: [one] });
    desk.load("bills", { certificates: [two], listen_port: 8_444, protocol: "https" });
    desk.certificates = { [one]: record(server), [two]: record(other) };
    const remove = async (id: string): Promise<string> => (await desk.ask("DELETE", `/tyk/certs/${id}`)).body.message;
    const bare = (ports: string) =>
      `; it was the last certificate of ${ports}: nobody can connect there until another one is added`;
    assert.ok((await remove(two)).endsWith(bare("port 8444")));
    desk.certificates = { [one]: record(server) };
    assert.ok((await remove(one)).endsWith(bare("port 8443, the control port 9443")));
  });

  test("a private key lies encrypted, opens under the secret and is never shown", async () => {
    const desk = open();
    const { id } = (await add(desk, server.pem)).body;
    const value = (await stored(desk, id))!;
    assert.doesNotMatch(value, /BEGIN PRIVATE KEY/);
    assert.match(value, /BEGIN SLUICE SEALED PRIVATE KEY/);
    const body = server.key.split("\n")[1]!;
    assert.ok(!value.includes(body));
    const opened = readCertificate(value, SECRET);
    assert.ok(!("problem" in opened) && opened.key !== "");
    assert.match((readCertificate(value, "another") as { problem: string }).problem, /encrypted under another secret/);
    for (const path of [`/tyk/certs/${id}`, `/tyk/certs?org_id=${ORG}&mode=detailed`])
      assert.doesNotMatch(JSON.stringify((await desk.ask("GET", path)).body), /PRIVATE KEY/);
  });

  test("security.private_certificate_encoding_secret seals in the place of secret", async () => {
    const desk = open({ security: { private_certificate_encoding_secret: "of its own" } });
    const { id } = (await add(desk, server.pem)).body;
    const value = (await stored(desk, id))!;
    assert.ok("problem" in readCertificate(value, SECRET));
    assert.ok(!("problem" in readCertificate(value, "of its own")));
  });

  test("a chain is kept whole, and a leaf of a CA names its issuer", async () => {
    const desk = open();
    const { id } = (await add(desk, issued.cert + authority.cert + issued.key)).body;
    assert.equal(id, ORG + issued.fingerprint);
    assert.equal((await stored(desk, id))!.match(/BEGIN CERTIFICATE/g)?.length, 2);
    assert.equal((await desk.ask("GET", `/tyk/certs/${id}`)).body.issuer.CommonName, "authority");
  });

  test("the same certificate a second time is refused, and the first one stays", async () => {
    const desk = open();
    const { id } = (await add(desk, server.pem)).body;
    const before = await stored(desk, id);
    const again = await add(desk, server.cert);
    assert.equal(again.status, 403);
    assert.equal(again.body.message, `Certificate with ${id} id already exists`);
    assert.equal(await stored(desk, id), before);
    assert.deepEqual((await desk.ask("GET", `/tyk/certs?org_id=${ORG}`)).body, { certs: [id] });
    assert.equal((await add(desk, server.cert, "elsewhere")).status, 200);
  });

  test("what cannot be used is refused with its reason, and nothing of it is stored", async () => {
    const desk = open();
    const foreign = sealKey(createPrivateKey(server.key), "the secret of somebody else");
    const cases: [says: string, pem: string, status: number, why: RegExp][] = [
      ["nothing", "", 405, /^Malformed request body$/],
      ["no PEM", "certificate, please", 400, /holds no PEM certificate/],
      ["a key alone", server.key, 400, /holds no PEM certificate/],
      ["a broken certificate", server.cert.replace(/\n.{8}/, "\nAAAAAAAA"), 400, /certificate 1 in it cannot be read/],
      ["the key of another", server.cert + other.key, 400, /does not match its certificate/],
      ["two keys", server.pem + other.key, 400, /holds 2 private keys/],
      ["the issuer first", authority.cert + issued.pem, 400, /belongs to certificate 2, which must come first/],
      ["a key under another secret", server.cert + foreign, 400, /encrypted under another secret/],
    ];
    for (const [says, pem, status, why] of cases) {
      const answer = await add(desk, pem);
      assert.equal(answer.status, status, says);
      assert.equal(answer.body.status, "error", says);
      assert.match(answer.body.message, why, says);
    }
    assert.deepEqual(await namesIn(desk), []);
    assert.deepEqual((await desk.ask("GET", `/tyk/certs?org_id=${ORG}`)).body, { certs: null });
    assert.equal(desk.certificateNews, 0);
  });

  test("names that would be something else in the store are refused", async () => {
    const desk = open();
    for (const org of ["a%2Fb", "*", "a%0Ab", "x".repeat(101)])
      assert.equal((await add(desk, server.cert, org)).status, 400);
    assert.equal((await desk.ask("GET", "/tyk/certs?org_id=*")).status, 400);
    assert.equal((await desk.ask("DELETE", "/tyk/certs/orgkey.acme")).status, 404);
    assert.equal((await desk.ask("GET", "/tyk/certs/nothing")).status, 404);
    assert.equal((await desk.ask("PUT", "/tyk/certs")).status, 405);
    const large = await add(desk, `${server.pem}${" ".repeat(1_100_000)}`);
    assert.equal(large.status, 413);
  });

  test("two who add the same certificate at once make one of it", async () => {
    const desk = open();
    const answers = await Promise.all([1, 2, 3, 4].map(() => add(desk, server.pem)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 403, 403, 403]);
    assert.deepEqual((await desk.ask("GET", `/tyk/certs?org_id=${ORG}`)).body.certs, [ORG + server.fingerprint]);
  });

  test("every change is news for the others, and says when a worker is late", async () => {
    const desk = open();
    const { id } = (await add(desk, server.pem)).body;
    const news = { command: CERTIFICATES_CHANGED, payload: id };
    await until("it is heard", () => desk.heard.some((each) => each.payload === id));
    assert.deepEqual(desk.heard[0], news);
    desk.applied = false;
    const removed = await desk.ask("DELETE", `/tyk/certs/${id}`);
    assert.equal(removed.headers.get("x-sluice-applied"), "pending");
    await until("its end is heard", () => desk.heard.length === 2);
    assert.deepEqual(desk.heard[1], news);
  });

  test("a store that Tyk filled before it had lists is listed", async () => {
    const desk = open();
    const { store } = await desk.keyspace.open();
    await store.put(`cert-raw-${ORG}${server.fingerprint}`, Buffer.from(server.cert));
    await store.put(`cert-raw-${ORG}2${other.fingerprint}`, Buffer.from(other.cert));
    const list = await desk.ask("GET", `/tyk/certs?org_id=${ORG}`);
    assert.deepEqual(list.body, { certs: [ORG + server.fingerprint] });
    assert.deepEqual(await store.listValues(`cert-${ORG}-index`), [`raw-${ORG}${server.fingerprint}`]);
  });

  test("a public key can be kept for pinning, under the fingerprint that pins name", async () => {
    const desk = open();
    const key = createPrivateKey(server.key);
    const { createPublicKey } = await import("node:crypto");
    const pem = createPublicKey(key).export({ type: "spki", format: "pem" }).toString();
    const { id } = (await add(desk, pem)).body;
    assert.match(id, /^acme[0-9a-f]{64}$/);
    const shown = (await desk.ask("GET", `/tyk/certs/${id}`)).body;
    assert.equal(shown.subject.CommonName, `Public Key: ${id.slice(4)}`);
  });
});
