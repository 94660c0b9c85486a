// Certificates that a configuration refers to by their id in the store, and the names they lie under.
// Responsible for which ids are wanted and where they are. Must not know: when the store changes, handshakes.
// Governed by: Tyk's layout, `cert-raw-<org_id><sha256>` holding a PEM whose key is encrypted (spec 4.2).
// Runs: at every configuration, and whenever the store says that certificates changed.

import type { Settings } from "../config.js";
import type { ApiDefinition } from "../model/api-definition.js";
import { isStoreId } from "./reference.js";

export const STORED_PREFIX = "cert-raw-";
/** Ours, in the place of Tyk's commands: some certificate of the store was added or removed; the payload is its id. */
export const CERTIFICATES_CHANGED = "SluiceCertificatesChanged";

/** What refers to certificates. */
export interface Referring {
  readonly settings: Settings;
  readonly definitions: readonly ApiDefinition[];
}

/** Each id once. */
export function storedReferences({ settings, definitions }: Referring): string[] {
  const { http_server_options: front, security, upstream } = settings;
  const references = [
    ...front.ssl_certificates,
    ...security.certificates.apis,
    ...security.certificates.control_api,
    ...Object.values(security.certificates.upstream),
    ...upstream.ca_certificates,
    ...definitions.flatMap((api) => [
      ...api.certificates,
      ...api.client_certificates,
      ...Object.values(api.upstream_certificates),
    ]),
  ];
  return [...new Set(references.filter(isStoreId))];
}
