// The kinds of work that may leave the event loop, as plain functions: the same whether a pool thread runs them or, for
// small ones, the loop itself. Must not know: threads, queues, who asks. Runs: on either side.

import { createPublicKey, verify, X509Certificate } from "node:crypto";
import { hashSync, parseOptions, verifySync } from "@node-rs/bcrypt";
import { type ReadCertificate, readCertificate } from "../../shared/certificates/certificate.js";
import { chainsTo } from "../../shared/certificates/chain.js";
import { keyFingerprint } from "../../shared/certificates/reference.js";

/** Doubling with each step; at 16 a check takes five seconds, and nobody stores such a hash in good faith. */
const HIGHEST_COST = 16;

export interface Jobs {
  readonly verifyBcrypt: { readonly password: string; readonly hash: string };
  readonly hashBcrypt: { readonly password: string; readonly cost: number };
  /** A token's signature; `algorithm` as JWT names it. */
  readonly verifySignature: {
    readonly algorithm: string;
    /** SubjectPublicKeyInfo in DER. */
    readonly key: Uint8Array;
    readonly data: Uint8Array;
    readonly signature: Uint8Array;
  };
  readonly readCertificate: { readonly text: string; readonly secret: string };
  /** Certificates as DER. */
  readonly checkChain: {
    readonly leaf: Uint8Array;
    readonly trusted: readonly Uint8Array[];
    readonly links: readonly Uint8Array[];
    readonly now: number;
  };
  /** SHA-256 of the public key of a certificate in DER: what pins are compared with. */
  readonly pinOf: { readonly certificate: Uint8Array };
  readonly encodeBase64: { readonly bytes: Uint8Array };
  /** Undefined for what is no base64, padding included. */
  readonly decodeBase64: { readonly text: Uint8Array };
}

export interface Results {
  readonly verifyBcrypt: boolean;
  readonly hashBcrypt: string;
  readonly verifySignature: boolean;
  readonly readCertificate: ReadCertificate;
  readonly checkChain: boolean;
  readonly pinOf: string;
  readonly encodeBase64: Uint8Array;
  readonly decodeBase64: Uint8Array | undefined;
}

export type Kind = keyof Jobs;
export type Job = { readonly [K in Kind]: { readonly kind: K; readonly with: Jobs[K] } }[Kind];

type Work = { readonly [K in Kind]: (it: Jobs[K]) => Results[K] };

const WORK: Work = {
  verifyBcrypt: ({ password, hash }) => {
    try {
      return parseOptions(hash).cost <= HIGHEST_COST && verifySync(password, hash);
    } catch {
      return false;
    }
  },
  hashBcrypt: ({ password, cost }) => hashSync(password, { cost }),
  verifySignature: ({ algorithm, key, data, signature }) => {
    const how = SIGNATURES[algorithm];
    if (how === undefined) return false;
    try {
      const publicKey = createPublicKey({ key: Buffer.from(key), format: "der", type: "spki" });
      return verify(how.digest, data, { key: publicKey, ...how.options }, signature);
    } catch {
      return false;
    }
  },
  readCertificate: ({ text, secret }) => readCertificate(text, secret),
  checkChain: ({ leaf, trusted, links, now }) => {
    const read = (der: Uint8Array) => new X509Certificate(der);
    return chainsTo(read(leaf), trusted.map(read), links.map(read), now);
  },
  pinOf: ({ certificate }) => keyFingerprint(new X509Certificate(certificate).publicKey),
  encodeBase64: ({ bytes }) => Buffer.from(viewOf(bytes).toString("base64"), "latin1"),
  decodeBase64: ({ text }) => decode(viewOf(text)),
};

/** ECDSA signatures of tokens are the two numbers side by side (RFC 7518 section 3.4); RSA-PSS salts are as long as the digest. */
const SIGNATURES: Readonly<Record<string, { readonly digest: string | null; readonly options: object }>> = {
  RS256: { digest: "sha256", options: {} },
  RS384: { digest: "sha384", options: {} },
  RS512: { digest: "sha512", options: {} },
  PS256: { digest: "sha256", options: { padding: 6, saltLength: -1 } },
  PS384: { digest: "sha384", options: { padding: 6, saltLength: -1 } },
  PS512: { digest: "sha512", options: { padding: 6, saltLength: -1 } },
  ES256: { digest: "sha256", options: { dsaEncoding: "ieee-p1363" } },
  ES384: { digest: "sha384", options: { dsaEncoding: "ieee-p1363" } },
  ES512: { digest: "sha512", options: { dsaEncoding: "ieee-p1363" } },
  EdDSA: { digest: null, options: {} },
};

export function runJob<K extends Kind>(kind: K, it: Jobs[K]): Results[K] {
  return WORK[kind](it);
}

function decode(text: Buffer): Uint8Array | undefined {
  const bytes = Buffer.from(text.toString("latin1"), "base64");
  const padding = text.at(-1) === EQUALS ? (text.at(-2) === EQUALS ? 2 : 1) : 0;
  // Node skips what it does not know; then less comes out than the length promises.
  const whole = text.length % 4 === 0 && bytes.length === (text.length / 4) * 3 - padding;
  return whole ? bytes : undefined;
}

const EQUALS = 0x3d;

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
