// Which port a definition may open: Tyk's whitelist, per protocol.
// Must not know: sockets, other definitions. Runs: at load.

import type { Settings } from "../config.js";

/** The protocol of the main port, and of a definition without one. */
export function mainProtocol(settings: Settings): "http" | "https" {
  return settings.http_server_options.use_ssl ? "https" : "http";
}

/** Empty when the port is permitted, otherwise what is wrong. The main and the control port are always listed. */
export function checkPort(settings: Settings, protocol: string, port: number): string {
  if (settings.disable_ports_whitelist) return "";
  const main = mainProtocol(settings);
  if (protocol === main && (port === settings.listen_port || isControlPort(settings, port))) return "";
  const list = settings.ports_whitelist[protocol];
  if (list !== undefined) {
    if (list.ports.includes(port)) return "";
    if (list.ranges.some((range) => port >= range.from && port <= range.to)) return "";
  }
  return `opens port ${port} for ${protocol || "no protocol"}, which ports_whitelist does not permit; add it there under "${protocol || main}" or set disable_ports_whitelist`;
}

function isControlPort(settings: Settings, port: number): boolean {
  return settings.control_api_port !== 0 && port === settings.control_api_port;
}
