// What a caller proved about itself in its handshake: the leaf it holds the key of, and what it sent beside it.
// Must not know: who is allowed. Runs once per connection that presents a certificate.

import type { X509Certificate } from "node:crypto";
import { fingerprintOf } from "../../shared/certificates/certificate.js";

/** As many certificates beside the leaf as are looked at. */
const MAX_CHAIN = 10;

export interface PeerCertificate {
  /** SHA-256 of the leaf's DER in hex: what ids of the store end with, after the organisation. */
  readonly fingerprint: string;
  readonly leaf: X509Certificate;
  /** Sent beside the leaf and proven by nothing. Empty after a resumption: a ticket holds the leaf alone. */
  readonly others: readonly X509Certificate[];
  /** Unix ms. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export function peerCertificate(leaf: X509Certificate): PeerCertificate {
  const others: X509Certificate[] = [];
  for (
    let next = leaf.issuerCertificate;
    next !== undefined && others.length < MAX_CHAIN;
    next = next.issuerCertificate
  )
    others.push(next);
  return {
    fingerprint: fingerprintOf(leaf.raw),
    leaf,
    others,
    notBefore: Date.parse(leaf.validFrom),
    notAfter: Date.parse(leaf.validTo),
  };
}
