// A certificate as an operator gives it: a PEM with a leaf first, perhaps its chain, perhaps its key.
// Responsible for reading one whole or saying what is wrong, and for its id. Must not know: files, the store, sockets.
// Governed by: Tyk's ids, org_id followed by the SHA-256 of the leaf's DER in hex. Runs: per certificate that is loaded.

import { createHash, X509Certificate } from "node:crypto";
import { isDamaged, readPem, writePem } from "./pem.js";
import { isKeyLabel, openKey } from "./private-key.js";

/** Plain data: it travels to workers and lies in the store. */
export interface CertificateRecord {
  /** SHA-256 of the leaf's DER, 64 hex digits: what Tyk's ids end with. */
  readonly fingerprint: string;
  /** PEM, the leaf first, in the order given. */
  readonly chain: string;
  /** PKCS #8 PEM in the clear, empty where there is none. */
  readonly key: string;
}

export type ReadCertificate = CertificateRecord | { readonly problem: string };

const MAX_CERTIFICATES = 1_000;

export function fingerprintOf(der: Uint8Array): string {
  return createHash("sha256").update(der).digest("hex");
}

/** @param secret opens an encrypted key */
export function readCertificate(text: string, secret: string): ReadCertificate {
  const blocks = readPem(text);
  const certificates = blocks.filter((block) => block.label === "CERTIFICATE" || block.label === "X509 CERTIFICATE");
  const keys = blocks.filter((block) => isKeyLabel(block.label));
  const damaged = isDamaged(text, blocks);
  if (certificates.length === 0) return { problem: `holds no PEM certificate${damaged ? " that is whole" : ""}` };
  // A chain without its middle is shown to callers who cannot check it, a bundle of CAs without some refuses theirs.
  if (damaged) return { problem: "holds a PEM block that is not whole: was it cut off?" };
  if (certificates.length > MAX_CERTIFICATES) return { problem: `holds more than ${MAX_CERTIFICATES} certificates` };
  if (keys.length > 1) return { problem: `holds ${keys.length} private keys; one certificate has one` };
  const parsed: X509Certificate[] = [];
  for (const [index, block] of certificates.entries()) {
    const certificate = parse(block.der);
    if (certificate === undefined) return { problem: `certificate ${index + 1} in it cannot be read` };
    parsed.push(certificate);
  }
  const record = {
    fingerprint: fingerprintOf(parsed[0]!.raw),
    chain: parsed.map((certificate) => writePem("CERTIFICATE", certificate.raw)).join(""),
    key: "",
  };
  const [block] = keys;
  if (block === undefined) return record;
  const opened = openKey(block, secret);
  if ("problem" in opened) return { problem: `the private key in it ${opened.problem}` };
  if (!parsed[0]!.checkPrivateKey(opened.key))
    return { problem: mismatch(parsed.findIndex((c) => c.checkPrivateKey(opened.key))) };
  return { ...record, key: opened.key.export({ type: "pkcs8", format: "pem" }).toString() };
}

/** What is wrong with it as a sentence: the subject holds something, or something in it is not as it should be. */
export function sayProblem(subject: string, problem: string): string {
  return problem.startsWith("holds ") ? `${subject} ${problem}` : `${subject}: ${problem}`;
}

export function parse(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}

/** The certificates of a record's chain, the leaf first. */
export function certificatesOf(record: CertificateRecord): X509Certificate[] {
  return readPem(record.chain).map((block) => new X509Certificate(block.der));
}

function mismatch(at: number): string {
  return at < 0
    ? "the private key in it does not match its certificate"
    : `the private key in it belongs to certificate ${at + 1}, which must come first`;
}
