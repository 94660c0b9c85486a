// Certificates made for a test: leafs, CAs and what stands between, right and wrong ones.
// Must not know: what is tested. Runs: a few per test file; elliptic curves unless a test wants RSA.

import { generate } from "selfsigned";
import { readCertificate } from "../../src/shared/certificates/certificate.js";

export interface Made {
  readonly cert: string;
  readonly key: string;
  /** Certificate and key, as operators keep them in one file. */
  readonly pem: string;
  /** SHA-256 of the DER in hex. */
  readonly fingerprint: string;
}

export interface Wish {
  /** Common name. */
  readonly name: string;
  /** Further DNS names; the common name is one unless this is given. */
  readonly names?: readonly string[];
  readonly issuer?: Made;
  readonly ca?: boolean;
  readonly pathLength?: number;
  readonly kind?: "ec" | "rsa";
  /** Days from now; by default from yesterday to in a month. */
  readonly from?: number;
  readonly until?: number;
  readonly usage?: "server" | "client" | "both";
}

const DAY = 86_400_000;

export async function make(wish: Wish): Promise<Made> {
  const { name, names = [name], issuer, ca = false, kind = "ec", from = -1, until = 30, usage = "both" } = wish;
  const made = await generate([{ name: "commonName", value: name }], {
    keyType: kind,
    keySize: 2_048,
    algorithm: "sha256",
    notBeforeDate: new Date(Date.now() + from * DAY),
    notAfterDate: new Date(Date.now() + until * DAY),
    extensions: ca
      ? [
          {
            name: "basicConstraints",
            cA: true,
            critical: true,
            ...(wish.pathLength === undefined ? {} : { pathLenConstraint: wish.pathLength }),
          },
          { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
        ]
      : [
          { name: "basicConstraints", cA: false, critical: true },
          { name: "extKeyUsage", serverAuth: usage !== "client", clientAuth: usage !== "server" },
          {
            name: "subjectAltName",
            altNames: [...names.map((value) => ({ type: 2 as const, value })), { type: 7 as const, ip: "127.0.0.1" }],
          },
        ],
    ...(issuer === undefined ? {} : { ca: { key: issuer.key, cert: issuer.cert } }),
  });
  const cert = made.cert.replace(/\r/g, "").trimEnd();
  const key = made.private.replace(/\r/g, "").trimEnd();
  const read = readCertificate(cert, "");
  if ("problem" in read) throw new Error(read.problem);
  return { cert: `${cert}\n`, key: `${key}\n`, pem: `${cert}\n${key}\n`, fingerprint: read.fingerprint };
}
