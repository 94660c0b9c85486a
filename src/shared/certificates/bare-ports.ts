// Ports with TLS that nothing gives a certificate: no handshake there can end well.
// Responsible for what the settings and definitions name, and for what a certificate that goes leaves behind. Must not
// know: the store, handshakes. Runs: at a configuration, in lint, when an operator removes a certificate.

import type { ApiDefinition } from "../model/api-definition.js";
import { type Certificates, pairReference } from "./collection.js";
import type { Referring } from "./stored.js";

export function barePorts({ settings, definitions }: Referring): number[] {
  const { ssl_certificates, certificates } = settings.http_server_options;
  if (ssl_certificates.length > 0 || certificates.length > 0) return [];
  const bare = new Set(definitions.filter(speaksTls).map((api) => api.port));
  for (const api of definitions) if (api.certificates.length > 0) bare.delete(api.port);
  return [...bare].sort((a, b) => a - b);
}

function speaksTls(api: ApiDefinition): boolean {
  return api.protocol === "https";
}

/** What nobody can connect to once `id` is gone, for an operator's eyes: ports whose last certificate it was. */
export function endingWith(id: string, referring: Referring, certificates: Certificates): string[] {
  const { settings, definitions } = referring;
  const { use_ssl, ssl_certificates, certificates: pairs } = settings.http_server_options;
  const front = [...ssl_certificates, ...pairs.map(pairReference)];
  const isShown = (reference: string): boolean => (certificates[reference]?.key ?? "") !== "";
  const isLast = (references: readonly string[]): boolean =>
    references.includes(id) && !references.some((each) => each !== id && isShown(each));
  const of = (apis: readonly ApiDefinition[]): string[] => [...front, ...apis.flatMap((api) => api.certificates)];
  const ports = new Set(definitions.filter(speaksTls).map((api) => api.port));
  // Without a definition the main port is there all the same.
  if (use_ssl && !definitions.some((api) => api.port === settings.listen_port)) ports.add(settings.listen_port);
  const bare = [...ports]
    .filter((port) => isLast(of(definitions.filter((api) => api.port === port))))
    .sort((a, b) => a - b)
    .map((port) => `port ${port}`);
  const control = use_ssl && settings.control_api_port !== 0 && isLast(of(definitions));
  return control ? [...bare, `the control port ${settings.control_api_port}`] : bare;
}
