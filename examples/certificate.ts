// A certificate for the example's TLS port, made at the first start and kept in a folder that is never committed.
// Responsible for one PEM with certificate and key, and for making it anew before it expires. Must not know: the
// gateway's settings. `selfsigned` is a development dependency, as all of the examples' are. Runs: once per `npm start`.

import { X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { generate } from "selfsigned";

const DAY = 86_400_000;
const LIFETIME_DAYS = 365;
const RENEW_BEFORE_DAYS = 7;

export interface ExampleCertificate {
  /** The file that http_server_options.ssl_certificates or an API's certificates names. */
  readonly file: string;
  /** The certificate alone, for callers that shall trust it. */
  readonly certificate: string;
  readonly fresh: boolean;
}

/** For localhost and both its addresses. */
export async function exampleCertificate(file: string): Promise<ExampleCertificate> {
  const kept = usable(file);
  if (kept !== undefined) return { file, certificate: kept, fresh: false };
  const { cert, private: key } = await generate([{ name: "commonName", value: "localhost" }], {
    keyType: "ec",
    algorithm: "sha256",
    notAfterDate: new Date(Date.now() + LIFETIME_DAYS * DAY),
    extensions: [
      { name: "basicConstraints", cA: false, critical: true },
      { name: "extKeyUsage", serverAuth: true },
      {
        name: "subjectAltName",
        altNames: [
          { type: 2, value: "localhost" },
          { type: 7, ip: "127.0.0.1" },
          { type: 7, ip: "::1" },
        ],
      },
    ],
  });
  const certificate = `${cert.replace(/\r/g, "").trimEnd()}\n`;
  mkdirSync(dirname(file), { recursive: true });
  // Two starts at once each write a whole file; the later one stays.
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${certificate}${key.replace(/\r/g, "").trimEnd()}\n`, { mode: 0o600 });
  renameSync(draft, file);
  return { file, certificate, fresh: true };
}

function usable(file: string): string | undefined {
  try {
    const certificate = new X509Certificate(readFileSync(file, "utf8"));
    return Date.parse(certificate.validTo) - Date.now() > RENEW_BEFORE_DAYS * DAY ? certificate.toString() : undefined;
  } catch {
    return undefined;
  }
}
