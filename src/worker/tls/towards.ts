// TLS towards one target of one definition: what is checked about the service, what is shown to it, by which way.
// Responsible for putting the gateway's settings and the definition's together. Must not know: sockets, calls.
// Governed by spec 6.8, but per target and not per API: two targets of one list do not share a certificate by accident.
// Runs: once per target and configuration.

import { createHash } from "node:crypto";
import { isIP } from "node:net";
import type { CertificateRecord } from "../../shared/certificates/certificate.js";
import type { Settings } from "../../shared/config.js";
import type { ApiDefinition, Target } from "../../shared/model/api-definition.js";

export interface ForwardProxy {
  readonly host: string;
  readonly port: number;
  /** The value of Proxy-Authorization, empty for none. */
  readonly authorization: string;
}

export interface Security {
  /** Targets with equal keys may share connections. */
  readonly key: string;
  /** Null for a cleartext service behind a forward proxy. */
  readonly tls: TlsTowards | null;
  readonly proxy: ForwardProxy | null;
  /** Why no connection may be made at all, empty when one may. */
  readonly problem: string;
}

export interface TlsTowards {
  /** As the operator wrote the host: what the service's certificate must be for. */
  readonly host: string;
  readonly verify: boolean;
  readonly commonName: boolean;
  readonly minVersion: number;
  readonly maxVersion: number;
  readonly ciphers: readonly string[];
  readonly client: CertificateRecord | null;
  /** SHA-256 of the only keys that are taken, hex; empty for no pinning. With pins the chain is not asked for. */
  readonly pins: readonly string[];
  /** References to CAs that are trusted beside the system's. */
  readonly authorities: readonly CertificateRecord[];
}

type Find = (reference: string) => CertificateRecord | undefined;

export function securityFor(
  definition: ApiDefinition,
  target: Target,
  settings: Settings,
  find: Find,
): Security | null {
  const proxy = forwardProxy(definition.proxy.transport.proxy_url);
  if (target.scheme !== "https") return proxy === null ? null : keyed({ tls: null, proxy, problem: "" });
  const { transport } = definition.proxy;
  const { security } = settings;
  const certificate = clientCertificate(definition, target, settings);
  const client = certificate === "" ? null : (find(certificate) ?? null);
  const missing = settings.upstream.ca_certificates.filter((reference) => find(reference) === undefined);
  let problem = "";
  if (certificate !== "" && client === null) problem = "the certificate to show to the service is not in the store";
  else if (client !== null && client.key === "") problem = "the certificate to show to the service has no private key";
  else if (missing.length > 0) problem = "a CA for services is not in the store";
  const pins = definition.certificate_pinning_disabled
    ? ""
    : chosen(hostPatterns(target), [security.pinned_public_keys, definition.pinned_public_keys]);
  return keyed({
    proxy,
    problem,
    tls: {
      host: target.host,
      verify: !(settings.proxy_ssl_insecure_skip_verify || transport.ssl_insecure_skip_verify),
      commonName: settings.ssl_force_common_name_check || transport.ssl_force_common_name_check,
      minVersion: transport.ssl_min_version || settings.proxy_ssl_min_version,
      maxVersion: transport.ssl_max_version || settings.proxy_ssl_max_version,
      ciphers: transport.ssl_ciphers.length > 0 ? transport.ssl_ciphers : settings.proxy_ssl_ciphers,
      client,
      pins: pins === "" ? [] : pins.split(","),
      authorities: settings.upstream.ca_certificates.flatMap((reference) => find(reference) ?? []),
    },
  });
}

/** The reference of the certificate for a target, empty for none. */
export function clientCertificate(
  definition: Pick<ApiDefinition, "upstream_certificates" | "upstream_certificates_disabled">,
  target: Pick<Target, "host" | "port">,
  settings: { readonly security: { readonly certificates: { readonly upstream: Readonly<Record<string, string>> } } },
): string {
  if (definition.upstream_certificates_disabled) return "";
  return chosen(hostPatterns(target), [settings.security.certificates.upstream, definition.upstream_certificates]);
}

/** As in Tyk, from the lowest to the highest: a later pattern wins, and any pattern of a later map does. */
function chosen(patterns: readonly string[], maps: readonly Readonly<Record<string, string>>[]): string {
  let found = "";
  for (const map of maps) {
    const known = new Map(Object.entries(map).map(([pattern, value]) => [pattern.toLowerCase(), value]));
    for (const pattern of patterns) found = known.get(pattern) ?? found;
  }
  return found;
}

function hostPatterns({ host, port }: Pick<Target, "host" | "port">): string[] {
  const name = host.toLowerCase();
  if (isIP(name) === 6) return ["*", name, `[${name}]`, `[${name}]:${port}`];
  const rest = name.slice(name.indexOf(".") + 1);
  // A wildcard stands for one label of a name; an address has none.
  const wild = isIP(name) === 4 || rest === name ? [] : [`*.${rest}`, `*.${rest}:${port}`];
  return ["*", ...wild, name, `${name}:${port}`];
}

function forwardProxy(written: string): ForwardProxy | null {
  if (written === "") return null;
  const url = new URL(written);
  const user = decodeURIComponent(url.username);
  const credentials = Buffer.from(`${user}:${decodeURIComponent(url.password)}`).toString("base64");
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? 80 : Number(url.port),
    authorization: user === "" ? "" : `Basic ${credentials}`,
  };
}

function keyed(security: Omit<Security, "key">): Security {
  const { tls, proxy, problem } = security;
  const shown = [tls?.client?.fingerprint, ...(tls?.authorities.map((one) => one.fingerprint) ?? [])];
  const named = { ...tls, client: null, authorities: null };
  const text = JSON.stringify([tls === null ? null : named, shown, proxy, problem]);
  return { ...security, key: createHash("sha256").update(text).digest("base64") };
}
