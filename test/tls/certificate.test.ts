// Certificates and keys as operators keep them: PEM in all its forms, sealed and encrypted keys, and what is wrong.
// Governed by: spec 4.2, 5.7 and 7.3 (embedded PEM); issue: every fault is named with its file and its reason.

import assert from "node:assert/strict";
import { createCipheriv, createHash, createPrivateKey, randomBytes, X509Certificate } from "node:crypto";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { lint } from "../../src/primary/lint.js";
import { load } from "../../src/primary/loader.js";
import { readCertificate } from "../../src/shared/certificates/certificate.js";
import { constraintsOf } from "../../src/shared/certificates/extensions.js";
import { namesOf } from "../../src/shared/certificates/names.js";
import { writePem } from "../../src/shared/certificates/pem.js";
import { sealKey } from "../../src/shared/certificates/private-key.js";
import { definitionWith, folderWith } from "../model/fixture.js";
import { type Made, make } from "./certificates.js";

/** As Go's x509.EncryptPEMBlock writes a key, which is how Tyk stores it. */
function asTykStores(key: string, secret: string, type: "pkcs8" | "sec1"): string {
  const der = createPrivateKey(key).export({ type, format: "der" });
  const iv = randomBytes(16);
  const first = createHash("md5").update(secret).update(iv.subarray(0, 8)).digest();
  const second = createHash("md5").update(first).update(secret).update(iv.subarray(0, 8)).digest();
  const cipher = createCipheriv("aes-256-cbc", Buffer.concat([first, second]), iv);
  const body = Buffer.concat([cipher.update(der), cipher.final()]);
  return writePem("ENCRYPTED PRIVATE KEY", body).replace(
    "-----\n",
    `-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,${iv.toString("hex")}\n\n`,
  );
}

describe("certificates and keys", () => {
  let made: Made;
  let other: Made;
  let ca: Made;

  before(async () => {
    ca = await make({ name: "ca", ca: true, pathLength: 3 });
    [made, other] = await Promise.all([make({ name: "one", issuer: ca }), make({ name: "two", kind: "rsa" })]);
  });

  const problem = (text: string, secret = ""): string => {
    const read = readCertificate(text, secret);
    return "problem" in read ? read.problem : "";
  };

  test("the fingerprint is the SHA-256 of the leaf's DER", () => {
    const expected = createHash("sha256").update(new X509Certificate(made.cert).raw).digest("hex");
    assert.equal(made.fingerprint, expected);
  });

  for (const [says, change] of [
    ["as it is", (text: string) => text],
    [
      "with the key first",
      (text: string) =>
        text
          .split(/(?=-----BEGIN PRIVATE)/)
          .reverse()
          .join("\n"),
    ],
    ["with CRLF", (text: string) => text.replace(/\n/g, "\r\n")],
    ["with line ends written as two characters", (text: string) => text.replace(/\n/g, "\\n")],
    ["in one line", (text: string) => text.replace(/\n/g, " ")],
    ["with text around it", (text: string) => `Subject: one\n${text}\nthe end`],
  ] as const) {
    test(`a PEM is read ${says}`, () => {
      const read = readCertificate(change(made.pem), "");
      assert.ok(!("problem" in read), JSON.stringify(read));
      assert.equal(read.fingerprint, made.fingerprint);
      assert.match(read.key, /BEGIN PRIVATE KEY/);
    });
  }

  test("a chain keeps its order, the leaf first", () => {
    const read = readCertificate(made.pem + ca.cert, "");
    assert.ok(!("problem" in read));
    assert.equal(read.chain.match(/BEGIN CERTIFICATE/g)?.length, 2);
    assert.equal(new X509Certificate(read.chain).subject, "CN=one");
  });

  test("a key sealed by us opens under its secret and no other", () => {
    const sealed = made.cert + sealKey(createPrivateKey(made.key), "secret");
    assert.doesNotMatch(sealed, /BEGIN PRIVATE KEY/);
    const read = readCertificate(sealed, "secret");
    assert.ok(!("problem" in read) && read.key !== "");
    assert.match(problem(sealed, "other"), /encrypted under another secret/);
    assert.match(problem(sealed, ""), /no secret to open it with/);
    assert.match(
      problem(sealed.replace(/(.{40})\n-----END SLUICE/, "AAAA$1\n-----END SLUICE"), "secret"),
      /private key/,
    );
  });

  for (const type of ["pkcs8", "sec1"] as const) {
    test(`a key as Tyk stores it (${type}) opens under its secret and no other`, () => {
      const stored = made.cert + asTykStores(made.key, "secret", type);
      const read = readCertificate(stored, "secret");
      assert.ok(!("problem" in read) && read.key !== "", JSON.stringify(read));
      assert.match(problem(stored, "other"), /encrypted under another secret/);
    });
  }

  test("a key with a passphrase of PKCS #8 opens too", () => {
    const key = createPrivateKey(made.key).export({
      type: "pkcs8",
      format: "pem",
      cipher: "aes-256-cbc",
      passphrase: "secret",
    });
    assert.equal(problem(made.cert + key, "secret"), "");
    assert.match(problem(made.cert + key, "other"), /another secret/);
  });

  test("what cannot be used is told", () => {
    assert.equal(problem("nothing"), "holds no PEM certificate");
    assert.equal(problem(made.key), "holds no PEM certificate");
    assert.match(problem(writePem("CERTIFICATE", Buffer.from("nonsense"))), /certificate 1 in it cannot be read/);
    assert.match(problem(made.cert + other.key), /does not match/);
    assert.match(problem(ca.cert + made.pem), /belongs to certificate 2, which must come first/);
    assert.match(problem(made.pem + other.key), /holds 2 private keys/);
    assert.match(problem(made.cert + writePem("PRIVATE KEY", Buffer.from("x"))), /not a private key/);
    assert.equal(problem(made.cert.slice(0, -30)), "holds no PEM certificate that is whole");
    assert.match(problem(made.cert + ca.cert.slice(0, -30) + made.key), /holds a PEM block that is not whole/);
  });

  test("names of a certificate are its alternatives, wildcards apart", async () => {
    const { cert } = await make({ name: "x", names: ["A.example", "*.b.example"] });
    assert.deepEqual(namesOf(new X509Certificate(cert)), {
      exact: ["a.example", "127.0.0.1"],
      wildcard: ["b.example"],
    });
    assert.deepEqual(namesOf(new X509Certificate(ca.cert)), { exact: ["ca"], wildcard: [] });
  });

  test("the path length of a CA is read from its DER", () => {
    assert.equal(constraintsOf(new X509Certificate(ca.cert).raw).pathLength, 3);
    assert.equal(constraintsOf(new X509Certificate(made.cert).raw).pathLength, undefined);
  });

  const problemsOf = (t: Parameters<typeof folderWith>[0], settings: object, apps: Record<string, unknown> = {}) => {
    const { conf, apps: folder } = folderWith(t, settings as never, { "ok.json": definitionWith(), ...apps });
    const { configuration } = load(conf, {});
    const told = configuration.problems.filter((one) => one.level === "error");
    return { folder, configuration, told: told.map((one) => `${one.path} ${one.message}`) };
  };

  test("a broken certificate of the settings stops the start and names the file and the reason", (t) => {
    const { conf } = folderWith(t, {}, {});
    const at = (name: string) => join(conf, "..", name);
    writeFileSync(at("broken.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    writeFileSync(at("public.pem"), made.cert);
    writeFileSync(at("mismatch.pem"), made.cert + other.key);
    mkdirSync(at("folder.pem"));
    for (const [name, reason] of [
      ["broken.pem", /"[^"]*broken\.pem": certificate 1 in it cannot be read/],
      ["public.pem", /"[^"]*public\.pem" holds no private key/],
      ["mismatch.pem", /"[^"]*mismatch\.pem": the private key in it does not match its certificate/],
      ["missing.pem", /"[^"]*missing\.pem" cannot be read \(ENOENT\)/],
      ["folder.pem", /"[^"]*folder\.pem" cannot be read \(EISDIR\)/],
    ] as const) {
      const settings = { http_server_options: { use_ssl: true, ssl_certificates: [at(name)] } };
      const { told, configuration } = problemsOf(t, settings);
      assert.equal(configuration.fatal, true);
      assert.match(told.join("\n"), reason);
      assert.match(told.join("\n"), /^\$\.http_server_options\.ssl_certificates\[0\] /);
    }
    chmodSync(at("folder.pem"), 0o755);
  });

  test("a PEM in the settings is never repeated in a message", (t) => {
    const settings = { http_server_options: { use_ssl: true, ssl_certificates: [made.cert + other.key] } };
    const { told } = problemsOf(t, settings);
    assert.match(told.join(), /the PEM written here/);
    assert.doesNotMatch(told.join(), /BEGIN/);
  });

  test("a definition with a broken certificate is left out, and its path stays closed", (t) => {
    const bad = definitionWith({
      api_id: "bad",
      name: "Bad",
      upstream_certificates: { "*": "/does/not/exist.pem" },
      proxy: { listen_path: "/bad" },
    });
    const { told, configuration } = problemsOf(t, {}, { "bad.json": bad });
    assert.match(told.join(), /\$\.upstream_certificates\["\*"\] "\/does\/not\/exist\.pem" cannot be read \(ENOENT\)/);
    assert.deepEqual(
      configuration.left_out.map((one) => one.api_id),
      ["bad"],
    );
    assert.deepEqual(
      configuration.closed.map((one) => one.listen_path),
      ["/bad"],
    );
  });

  test("a pair of files is one certificate", (t) => {
    const { conf } = folderWith(t, {}, {});
    const at = (name: string) => join(conf, "..", name);
    writeFileSync(at("c.pem"), made.cert);
    writeFileSync(at("k.pem"), made.key);
    const pair = { domain_name: "one", cert_file: at("c.pem"), key_file: at("k.pem") };
    const { configuration } = problemsOf(t, { http_server_options: { use_ssl: true, certificates: [pair] } });
    assert.equal(configuration.fatal, false);
    assert.equal(Object.values(configuration.certificates)[0]?.fingerprint, made.fingerprint);
  });

  test("a certificate that has expired or soon will is told, and used", async (t) => {
    const [soon, gone, fine] = await Promise.all([
      make({ name: "soon", until: 5 }),
      make({ name: "gone", from: -9, until: -2 }),
      make({ name: "fine", until: 90 }),
    ]);
    const { conf } = folderWith(t, {}, {});
    const files = { soon: join(conf, "..", "soon.pem"), gone: join(conf, "..", "gone.pem") };
    writeFileSync(files.soon, soon.pem);
    writeFileSync(files.gone, gone.pem);
    const certificates = [files.soon, files.gone, fine.pem];
    const settings = { http_server_options: { use_ssl: true, ssl_certificates: certificates } };
    const checked = folderWith(t, settings as never, { "ok.json": definitionWith() });
    const { problems, exitCode } = lint(checked.conf, {});
    const told = problems.filter((one) => one.level === "warning").map((one) => one.message);
    assert.match(told.join("\n"), /certificate of "[^"]*soon\.pem" expires on/);
    assert.match(told.join("\n"), /certificate of "[^"]*gone\.pem" expired on/);
    assert.doesNotMatch(told.join("\n"), new RegExp(fine.fingerprint));
    assert.equal(exitCode, 0);
  });

  test("pins are keys, certificates or fingerprints", (t) => {
    const pins = `${made.cert},${"ab".repeat(32)}`;
    const definition = definitionWith({ api_id: "p", pinned_public_keys: { "*": pins }, proxy: { listen_path: "/p" } });
    const { configuration } = problemsOf(t, {}, { "p.json": definition });
    const found = configuration.definitions.find((one) => one.api_id === "p")?.pinned_public_keys["*"];
    assert.match(found ?? "", new RegExp(`^[0-9a-f]{64},${"ab".repeat(32)}$`));
  });
});
