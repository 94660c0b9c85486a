// Ports with TLS that nothing gives a certificate: no handshake there can end well.
// Responsible for what the settings and definitions name. Must not know: whether the store has it, handshakes.
// Runs: at a configuration, in lint.

import type { ApiDefinition } from "../model/api-definition.js";
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
