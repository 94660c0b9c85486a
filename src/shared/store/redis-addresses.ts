/**
 * Where Redis is, by the `storage` settings.
 * Must not know: the client's library, which only those load who talk to Redis. Governed by: Tyk's `storage` names.
 * Runs: at start.
 */

export interface RedisPlace {
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly addrs?: readonly string[] | undefined;
  /** Deprecated form of `addrs`: name → port. */
  readonly hosts?: Readonly<Record<string, string>> | undefined;
  readonly socket_path?: string | undefined;
}

const DEFAULT_PORT = 6_379;

export function addresses(settings: RedisPlace): { host: string; port: number }[] {
  if (settings.addrs !== undefined && settings.addrs.length > 0) return settings.addrs.map(parseAddress);
  const hosts = Object.entries(settings.hosts ?? {});
  if (hosts.length > 0) return hosts.map(([host, port]) => ({ host, port: Number(port) || DEFAULT_PORT }));
  return [{ host: settings.host || "localhost", port: settings.port || DEFAULT_PORT }];
}

/** For an operator; never holds a credential. */
export function redisPlace(settings: RedisPlace): string {
  if (settings.socket_path) return settings.socket_path;
  return addresses(settings)
    .map(({ host, port }) => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`))
    .join(", ");
}

function parseAddress(address: string): { host: string; port: number } {
  const bracketed = /^\[([^\]]+)\](?::(\d+))?$/.exec(address);
  if (bracketed?.[1] !== undefined) return { host: bracketed[1], port: Number(bracketed[2] ?? DEFAULT_PORT) };
  const colon = address.lastIndexOf(":");
  if (colon === -1 || address.indexOf(":") !== colon) return { host: address, port: DEFAULT_PORT };
  return { host: address.slice(0, colon) || "localhost", port: Number(address.slice(colon + 1)) || DEFAULT_PORT };
}
