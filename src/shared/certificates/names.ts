// The names a certificate is good for, and whether one covers a host.
// Governed by RFC 6125 section 6.4 (a wildcard stands for one whole left-most label; the common name counts only where
// there is no subjectAltName). Must not know: which certificate is chosen. Runs: when contexts are compiled.

import type { X509Certificate } from "node:crypto";

export interface CertificateNames {
  /** Lower case, without a wildcard. */
  readonly exact: readonly string[];
  /** What follows `*.`, lower case. */
  readonly wildcard: readonly string[];
}

export function namesOf(certificate: X509Certificate): CertificateNames {
  const exact: string[] = [];
  const wildcard: string[] = [];
  const alternative = alternatives(certificate);
  for (const name of alternative.length > 0 ? alternative : commonNames(certificate)) {
    const plain = name.toLowerCase().replace(/\.$/, "");
    if (plain.startsWith("*.")) wildcard.push(plain.slice(2));
    else exact.push(plain);
  }
  return { exact, wildcard };
}

export function commonNames(certificate: X509Certificate): string[] {
  return certificate.subject.split("\n").flatMap((line) => (line.startsWith("CN=") ? [line.slice(3)] : []));
}

/** Node writes the extension as `DNS:a, IP Address:b`, values with commas or quotes as a JSON string. */
function alternatives(certificate: X509Certificate): string[] {
  const written = certificate.subjectAltName ?? "";
  const found: string[] = [];
  for (const match of written.matchAll(/(DNS|IP Address):("(?:[^"\\]|\\.)*"|[^,]*)/g)) {
    const value = match[2]!;
    found.push(value.startsWith('"') ? String(JSON.parse(value)) : value.trim());
  }
  return found;
}
