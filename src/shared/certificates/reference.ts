// How an operator names a certificate: an id of the store, the path of a PEM, or the PEM itself.
// Responsible for telling them apart and for reading the latter two; ids are looked up by whoever has the store.
// Must not know: what a certificate is wanted for, sockets. Runs: at load, per reference.

import { createPublicKey, type KeyObject } from "node:crypto";
import { type CertificateRecord, fingerprintOf, parse, readCertificate, sayProblem } from "./certificate.js";
import { looksLikePem, readPem } from "./pem.js";

/** Throws when the file cannot be read; the error's `code` is told. */
export type ReadFile = (path: string) => string;

export type Found = CertificateRecord | { readonly problem: string } | "stored";

const FINGERPRINT = /([0-9a-f]{64})$/;

/** Ids are org_id followed by 64 hex digits; nobody names a file so. */
export function isStoreId(reference: string): boolean {
  return /^[A-Za-z0-9_-]*[0-9a-f]{64}$/.test(reference);
}

/** The part of an id that is the certificate's, the same for every organisation. */
export function fingerprintIn(reference: string): string | undefined {
  return isStoreId(reference) ? FINGERPRINT.exec(reference)?.[1] : undefined;
}

/** For messages: never the PEM itself, which may hold a key. */
export function nameOf(reference: string): string {
  return looksLikePem(reference) ? "the PEM written here" : JSON.stringify(reference);
}

export function find(reference: string, secret: string, readFile: ReadFile): Found {
  if (isStoreId(reference)) return "stored";
  const text = textOf(reference, readFile, "the id of a certificate in the store");
  if ("problem" in text) return text;
  const read = readCertificate(text.text, secret);
  return "problem" in read ? { problem: sayProblem(nameOf(reference), read.problem) } : read;
}

/** A certificate and its key in two files. */
export function findPair(certFile: string, keyFile: string, secret: string, readFile: ReadFile): Found {
  const certificate = textOf(certFile, readFile);
  if ("problem" in certificate) return certificate;
  const key = textOf(keyFile, readFile);
  if ("problem" in key) return key;
  if (readPem(key.text).length === 0) return { problem: `${nameOf(keyFile)} holds no PEM private key` };
  const read = readCertificate(`${certificate.text}\n${key.text}`, secret);
  if (!("problem" in read)) return read;
  return { problem: sayProblem(`${nameOf(certFile)} with ${nameOf(keyFile)}`, read.problem) };
}

export type Pin = { readonly fingerprint: string } | { readonly problem: string };

/** A pinned key: its fingerprint, or a PEM (here or in a file) of a public key or a certificate. */
export function findPin(reference: string, readFile: ReadFile): Pin {
  const fingerprint = fingerprintIn(reference);
  if (fingerprint !== undefined) return { fingerprint };
  const text = textOf(reference, readFile, "a fingerprint, which has 64 hexadecimal digits");
  if ("problem" in text) return text;
  for (const block of readPem(text.text)) {
    const key = publicKey(block.label, block.der);
    if (key !== undefined) return { fingerprint: keyFingerprint(key) };
  }
  return { problem: `${nameOf(reference)} holds no PEM public key and no certificate` };
}

/** SHA-256 of the SubjectPublicKeyInfo, as Tyk pins keys. */
export function keyFingerprint(key: KeyObject): string {
  return fingerprintOf(key.export({ type: "spki", format: "der" }));
}

function publicKey(label: string, der: Buffer): KeyObject | undefined {
  if (label === "CERTIFICATE") return parse(der)?.publicKey;
  if (label !== "PUBLIC KEY" && label !== "RSA PUBLIC KEY") return undefined;
  try {
    return createPublicKey({ key: der, format: "der", type: label === "PUBLIC KEY" ? "spki" : "pkcs1" });
  } catch {
    return undefined;
  }
}

/** `instead`: what else it may have been meant for. Spelt wrong, that is taken for the name of a file. */
function textOf(
  reference: string,
  readFile: ReadFile,
  instead = "",
): { readonly text: string } | { readonly problem: string } {
  if (looksLikePem(reference)) return { text: reference };
  try {
    return { text: readFile(reference) };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unreadable";
    const other = code === "ENOENT" && instead !== "" ? `, nor is it ${instead}` : "";
    return { problem: `${nameOf(reference)} cannot be read (${code})${other}` };
  }
}
