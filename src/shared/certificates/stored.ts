// Certificates that a configuration refers to by their id in the store, and the names they lie under.
// Responsible for which ids are wanted and where they are. Must not know: when the store changes, handshakes.
// Governed by: Tyk's layout, `cert-raw-<org_id><sha256>` holding a PEM whose key is encrypted (spec 4.2).
// Runs: at every configuration, and whenever the store says that certificates changed.

import type { Settings } from "../config.js";
import type { ApiDefinition } from "../model/api-definition.js";
import { isStoreId } from "./reference.js";

export const STORED_PREFIX = "cert-raw-";

/** What refers to certificates. */
export interface Referring {
  readonly settings: Settings;
  readonly definitions: readonly ApiDefinition[];
}

/** Each id once. */
export function storedReferences(referring: Referring): string[] {
  return [...new Set(placesOf(referring).flatMap(({ references }) => references.filter(isStoreId)))];
}

/** What names this id, for an operator's eyes; empty when nothing in force does. */
export function referrersOf(id: string, referring: Referring): string[] {
  return placesOf(referring).flatMap(({ where, references }) => (references.includes(id) ? [where] : []));
}

interface Place {
  readonly where: string;
  readonly references: readonly string[];
}

function placesOf({ settings, definitions }: Referring): Place[] {
  const { http_server_options: front, security, upstream } = settings;
  return [
    { where: "http_server_options.ssl_certificates", references: front.ssl_certificates },
    { where: "security.certificates.apis", references: security.certificates.apis },
    { where: "security.certificates.control_api", references: security.certificates.control_api },
    { where: "security.certificates.upstream", references: Object.values(security.certificates.upstream) },
    { where: "upstream.ca_certificates", references: upstream.ca_certificates },
    ...definitions.flatMap((api) => [
      { where: `certificates of ${api.api_id}`, references: api.certificates },
      { where: `client_certificates of ${api.api_id}`, references: api.client_certificates },
      { where: `upstream_certificates of ${api.api_id}`, references: Object.values(api.upstream_certificates) },
    ]),
  ];
}
