// Certificates that a configuration refers to by their id in the store, read from there.
// Responsible for which ids are wanted and for what lies under them. Must not know: when the store changes, handshakes.
// Governed by: Tyk's layout, `cert-raw-<org_id><sha256>` holding a PEM whose key is encrypted (spec 4.2).
// Runs: at every configuration, and whenever the store says that certificates changed.

import type { CertificateRecord, ReadCertificate } from "../../shared/certificates/certificate.js";
import { keySecret } from "../../shared/certificates/collection.js";
import { fingerprintIn, isStoreId } from "../../shared/certificates/reference.js";
import type { WorkerConfig } from "../../shared/messages.js";
import type { Store } from "../../shared/store/store.js";

export const STORED_PREFIX = "cert-raw-";

/** Reads a PEM; the thread pool's job of that name, for it costs the loop most of a millisecond. */
export type ReadPem = (text: string, secret: string) => Promise<ReadCertificate>;

export function storedReferences(config: WorkerConfig): string[] {
  const { http_server_options: front, security, upstream } = config.settings;
  const references = [
    ...front.ssl_certificates,
    ...security.certificates.apis,
    ...Object.values(security.certificates.upstream),
    ...upstream.ca_certificates,
    ...config.definitions.flatMap((api) => [
      ...api.certificates,
      ...api.client_certificates,
      ...Object.values(api.upstream_certificates),
    ]),
  ];
  return [...new Set(references.filter(isStoreId))];
}

/**
 * By reference. One that is missing, unreadable or not what its id says is left out and reported: for callers' lists and
 * services that means less access, never more.
 */
export async function storedCertificates(
  config: WorkerConfig,
  store: Pick<Store, "getMany">,
  read: ReadPem,
  report: (reference: string, problem: string) => void,
): Promise<Map<string, CertificateRecord>> {
  const references = storedReferences(config);
  const found = new Map<string, CertificateRecord>();
  if (references.length === 0) return found;
  const values = await store.getMany(references.map((reference) => STORED_PREFIX + reference));
  const secret = keySecret(config.settings);
  for (const [at, reference] of references.entries()) {
    const value = values[at];
    if (value === undefined) {
      report(reference, "is not in the store");
      continue;
    }
    const record = await read(Buffer.from(value).toString("utf8"), secret);
    if ("problem" in record) report(reference, record.problem);
    else if (record.fingerprint !== fingerprintIn(reference))
      report(reference, "holds another certificate than its id says");
    else found.set(reference, record);
  }
  return found;
}
