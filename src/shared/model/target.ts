// An upstream address as an operator writes it, taken apart.
// Responsible for what is allowed in one. Must not know: definitions, DNS, connections. Runs: at load.

import type { Target } from "./api-definition.js";

const FORM = "must be h2c://host:port or https://host:port, with a path and a query if wanted";

const DEFAULT_PORTS = { h2c: 80, https: 443 } as const;

export function parseTarget(written: string): Target | { readonly problem: string } {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(written)?.[1]?.toLowerCase();
  if (scheme === undefined) return { problem: FORM };
  if (scheme !== "h2c" && scheme !== "https") return { problem: refusal(scheme) };
  const url = parseUrl(written);
  if (url === undefined) return { problem: FORM };
  if (url.username !== "" || url.password !== "") return { problem: "must not hold a user name or a password" };
  if (url.hash !== "" || written.endsWith("#")) return { problem: "must not hold a fragment (#…)" };
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (!/^[A-Za-z0-9._:-]{1,255}$/.test(host)) return { problem: "must name a host: letters, digits, dots and hyphens" };
  if (url.port === "0") return { problem: "must name a port from 1 to 65535" };
  return {
    scheme,
    host,
    // Go's defaults, which Tyk inherits.
    port: url.port === "" ? DEFAULT_PORTS[scheme] : Number(url.port),
    authority: url.host,
    basePath: url.pathname,
    query: url.search.startsWith("?") ? url.search.slice(1) : "",
  };
}

function parseUrl(written: string): URL | undefined {
  try {
    return new URL(written);
  } catch {
    return undefined;
  }
}

function refusal(scheme: string): string {
  switch (scheme) {
    case "http":
      return "must not be http://: the service must speak HTTP/2, so write h2c:// for cleartext HTTP/2";
    case "tcp":
    case "tls":
      return `must not be ${scheme}://: only HTTP/2 is proxied; write h2c:// or https://`;
    case "tyk":
      return "must not be tyk://: calling another API internally is not supported; write h2c://";
    default:
      return `must not be ${scheme}://; ${FORM}`;
  }
}
