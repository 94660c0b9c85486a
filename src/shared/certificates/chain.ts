// Whether a leaf is vouched for by a trusted certificate, through links that nobody vouches for but their signatures.
// Responsible for a client's path: signatures, validity, CA rights, path length, extended key usage. Must not know: where
// certificates come from. Governed by RFC 5280 sections 4.2.1.9, 4.2.1.12 and 6.1; a link with name constraints is not
// followed, because they are not evaluated here. Runs once per connection and API whose list holds a CA.

import type { X509Certificate } from "node:crypto";
import { constraintsOf } from "./extensions.js";

const MAX_DEPTH = 8;
/** A hostile caller sends many look-alikes: so many signatures are checked for one leaf at most. */
const MAX_CHECKS = 32;

const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
const ANY_USAGE = "2.5.29.37.0";

export function chainsTo(
  leaf: X509Certificate,
  trusted: readonly X509Certificate[],
  links: readonly X509Certificate[],
  now: number,
): boolean {
  if (!isValid(leaf, now) || !mayIdentifyClients(leaf)) return false;
  const usable = links.filter((link) => link.ca && isValid(link, now));
  return climb(leaf, trusted, usable, now, { left: MAX_CHECKS }, 0);
}

/** @param below CA certificates between `certificate` and the leaf, itself included unless it is the leaf */
function climb(
  certificate: X509Certificate,
  trusted: readonly X509Certificate[],
  links: readonly X509Certificate[],
  now: number,
  checks: { left: number },
  below: number,
): boolean {
  for (const anchor of trusted) if (isValid(anchor, now) && issued(anchor, certificate, below, checks)) return true;
  if (below >= MAX_DEPTH) return false;
  for (const link of links) {
    if (link === certificate || !issued(link, certificate, below, checks)) continue;
    const others = links.filter((other) => other !== link);
    if (climb(link, trusted, others, now, checks, below + 1)) return true;
  }
  return false;
}

function issued(
  issuer: X509Certificate,
  certificate: X509Certificate,
  below: number,
  checks: { left: number },
): boolean {
  if (!issuer.ca || !certificate.checkIssued(issuer)) return false;
  const { pathLength, nameConstraints } = constraintsOf(issuer.raw);
  if (nameConstraints || (pathLength !== undefined && below > pathLength)) return false;
  return checks.left-- > 0 && certificate.verify(issuer.publicKey);
}

function isValid(certificate: X509Certificate, now: number): boolean {
  return now >= Date.parse(certificate.validFrom) && now <= Date.parse(certificate.validTo);
}

function mayIdentifyClients(leaf: X509Certificate): boolean {
  // Node's name for the extended key usage; undefined where the extension is absent, which permits everything.
  const usages = leaf.keyUsage as readonly string[] | undefined;
  return usages === undefined || usages.includes(CLIENT_AUTH) || usages.includes(ANY_USAGE);
}
