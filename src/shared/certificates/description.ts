// What an operator is shown of a certificate, in Tyk's two forms.
// Responsible for the fields' names and how values are written. Must not know: HTTP, the store. Never shows a key.
// Governed by: spec 5.7; names of people and places as Go writes `pkix.Name`. Runs: per certificate that is shown.

import { X509Certificate } from "node:crypto";
import { fingerprintOf } from "./certificate.js";
import { publicKeyIn } from "./certificate-store.js";
import { commonNames } from "./names.js";
import { readPem } from "./pem.js";
import { isKeyLabel } from "./private-key.js";

/** Short names as node:crypto writes them: the list that Go has for each, and the last part of its OID. */
const LISTS = {
  C: "Country",
  O: "Organization",
  OU: "OrganizationalUnit",
  L: "Locality",
  ST: "Province",
  STREET: "StreetAddress",
  street: "StreetAddress",
  postalCode: "PostalCode",
} as const;

interface GoName {
  readonly CommonName: string;
  readonly SerialNumber: string;
  readonly [list: string]: string | readonly string[] | null;
}

export interface Description {
  readonly id: string;
  readonly fingerprint: string;
  readonly has_private: boolean;
  readonly issuer: GoName;
  readonly subject: GoName;
  readonly not_before: string;
  readonly not_after: string;
  readonly dns_names: readonly string[];
  readonly is_ca: boolean;
}

export interface ShortDescription {
  readonly id: string;
  readonly issuer_cn: string;
  readonly subject_cn: string;
  readonly dns_names: readonly string[];
  readonly has_private: boolean;
  readonly not_before: string;
  readonly not_after: string;
  readonly is_ca: boolean;
}

/** Undefined for what is no certificate and no public key. */
export function describeStored(id: string, pem: string): Description | undefined {
  const blocks = readPem(pem);
  const leaf = blocks.find((block) => block.label.endsWith("CERTIFICATE"));
  const has_private = blocks.some((block) => isKeyLabel(block.label));
  if (leaf === undefined) return describePublicKey(id, pem);
  try {
    const certificate = new X509Certificate(leaf.der);
    return {
      id,
      fingerprint: fingerprintOf(certificate.raw),
      has_private,
      issuer: nameFrom(certificate.issuer),
      subject: nameFrom(certificate.subject),
      not_before: time(certificate.validFrom),
      not_after: time(certificate.validTo),
      dns_names: dnsNames(certificate),
      is_ca: certificate.ca,
    };
  } catch {
    return undefined;
  }
}

export function shorten(full: Description): ShortDescription {
  const { id, dns_names, has_private, not_before, not_after, is_ca, issuer, subject } = full;
  const names = { issuer_cn: issuer.CommonName, subject_cn: subject.CommonName };
  return { id, ...names, dns_names, has_private, not_before, not_after, is_ca };
}

/** Tyk shows a pinned key as a certificate without dates. */
function describePublicKey(id: string, pem: string): Description | undefined {
  const key = publicKeyIn(pem);
  if (key === undefined) return undefined;
  const { fingerprint } = key;
  const subject = nameFrom(`CN=Public Key: ${fingerprint}`);
  const [not_before, not_after] = [NEVER, NEVER];
  const rest = {
    has_private: false,
    issuer: nameFrom(""),
    subject,
    not_before,
    not_after,
    dns_names: [],
    is_ca: false,
  };
  return { id, fingerprint, ...rest };
}

/** Go's zero time. */
const NEVER = "0001-01-01T00:00:00Z";

function time(written: string): string {
  return new Date(written).toISOString().replace(".000Z", "Z");
}

function nameFrom(written: string): GoName {
  const lists: Record<string, string[] | null> = Object.fromEntries(Object.values(LISTS).map((list) => [list, null]));
  let CommonName = "";
  let SerialNumber = "";
  for (const line of (written ?? "").split("\n")) {
    const at = line.indexOf("=");
    const [short, value] = [line.slice(0, at), line.slice(at + 1)];
    const list = LISTS[short as keyof typeof LISTS];
    if (short === "CN") CommonName = value;
    else if (short === "serialNumber") SerialNumber = value;
    else if (list !== undefined) lists[list] = [...(lists[list] ?? []), value];
  }
  return { ...lists, SerialNumber, CommonName };
}

function dnsNames(certificate: X509Certificate): string[] {
  return [...(certificate.subjectAltName ?? "").matchAll(/DNS:("(?:[^"\\]|\\.)*"|[^,]*)/g)].map((match) =>
    match[1]!.startsWith('"') ? String(JSON.parse(match[1]!)) : match[1]!.trim(),
  );
}

/** For people: the common name, or the whole name in one line. */
export function subjectOf(certificate: X509Certificate): string {
  return commonNames(certificate)[0] ?? (certificate.subject ?? "").replace(/\n/g, ", ");
}
