// Who may call an API with a client certificate: leafs by name, and everybody a listed CA vouches for.
// Responsible for the verdict about one caller's leaf. Must not know: sockets, HTTP, where certificates are kept.
// Governed by spec 6.7, stricter than Tyk where it says so: only the leaf counts, because only its key was proven; a
// certificate sent beside it is no more than a possible link of the chain. RFC 5280 section 6.1 as far as chain.ts goes.
// Runs once per connection and API, and for calls whose decision is not remembered.

import type { X509Certificate } from "node:crypto";
import { type CertificateRecord, certificatesOf, fingerprintOf } from "../../shared/certificates/certificate.js";
import { chainsTo } from "../../shared/certificates/chain.js";
import type { PeerCertificate } from "./peer-certificate.js";

/** Certificates above the leaf may expire while a connection lives; they are looked at again after so long, ms. */
const CHAIN_LIFETIME = 60_000;

export class AllowList {
  /** Equal lists have equal versions, on every worker and replica. */
  readonly version: string;
  readonly #leafs = new Set<string>();
  readonly authorities: readonly X509Certificate[];
  /** What a handshake names as acceptable: the CAs, and leafs that are listed themselves. */
  readonly announced: readonly X509Certificate[];
  /** A chain costs a good part of a millisecond, and a caller may ask with every call. */
  readonly #vouched = new WeakMap<PeerCertificate, { readonly right: boolean; readonly until: number }>();
  /** Links that the operator gave beside a listed leaf or CA; they are trusted for nothing by themselves. */
  readonly #links: readonly X509Certificate[];

  constructor(records: readonly CertificateRecord[]) {
    const authorities: X509Certificate[] = [];
    const links: X509Certificate[] = [];
    const announced: X509Certificate[] = [];
    const seen = new Set<string>();
    for (const record of records) {
      if (seen.has(record.fingerprint)) continue;
      seen.add(record.fingerprint);
      this.#leafs.add(record.fingerprint);
      const [first, ...rest] = certificatesOf(record);
      if (first !== undefined) announced.push(first);
      // Beside a leaf stand its issuers, and listing a leaf must not let everybody in whom its issuer knows.
      if (first?.ca === true) authorities.push(first, ...rest.filter((one) => one.ca));
      else links.push(...rest);
    }
    this.authorities = authorities;
    this.#links = links;
    this.announced = announced;
    this.version = fingerprintOf(Buffer.from([...seen].sort().join(" "))).slice(0, 16);
  }

  #isVouchedFor(peer: PeerCertificate, now: number): boolean {
    let found = this.#vouched.get(peer);
    if (found === undefined || now > found.until) {
      const right = chainsTo(peer.leaf, this.authorities, [...peer.others, ...this.#links], now);
      found = { right, until: now + CHAIN_LIFETIME };
      this.#vouched.set(peer, found);
    }
    return found.right;
  }

  /** Empty when the caller may pass, otherwise Tyk's sentence. */
  refusal(peer: PeerCertificate | null, now: number): string {
    if (peer === null) return "Client TLS certificate is required";
    if (now > peer.notAfter) return "Certificate has expired";
    if (now < peer.notBefore) return "Certificate is not valid yet";
    if (this.#leafs.has(peer.fingerprint)) return "";
    if (this.authorities.length > 0 && this.#isVouchedFor(peer, now)) return "";
    return `Certificate with SHA256 ${peer.fingerprint} not allowed`;
  }
}
