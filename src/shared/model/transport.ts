// What an operator writes about TLS beside certificates: versions, cipher suites, a forward proxy.
// Responsible for what is allowed and for OpenSSL's names. Must not know: definitions, sockets. Runs: at load.

import { getCiphers } from "node:tls";

/** Tyk takes the numbers of the protocol; TLS 1.0 and 1.1 are not offered by current libraries and count as 1.2. */
export const TLS_1_2 = 771;
export const TLS_1_3 = 772;

/** IANA's names, as Go and Tyk write them, to OpenSSL's. */
const OPENSSL: Readonly<Record<string, string>> = {
  TLS_RSA_WITH_AES_128_CBC_SHA: "AES128-SHA",
  TLS_RSA_WITH_AES_256_CBC_SHA: "AES256-SHA",
  TLS_RSA_WITH_AES_128_CBC_SHA256: "AES128-SHA256",
  TLS_RSA_WITH_AES_128_GCM_SHA256: "AES128-GCM-SHA256",
  TLS_RSA_WITH_AES_256_GCM_SHA384: "AES256-GCM-SHA384",
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: "ECDHE-ECDSA-AES128-SHA",
  TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA: "ECDHE-ECDSA-AES256-SHA",
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA: "ECDHE-RSA-AES128-SHA",
  TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA: "ECDHE-RSA-AES256-SHA",
  TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256: "ECDHE-ECDSA-AES128-SHA256",
  TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256: "ECDHE-RSA-AES128-SHA256",
  TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "ECDHE-ECDSA-AES128-GCM-SHA256",
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: "ECDHE-RSA-AES128-GCM-SHA256",
  TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "ECDHE-ECDSA-AES256-GCM-SHA384",
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: "ECDHE-RSA-AES256-GCM-SHA384",
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-RSA-CHACHA20-POLY1305",
  TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305: "ECDHE-ECDSA-CHACHA20-POLY1305",
  TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305: "ECDHE-RSA-CHACHA20-POLY1305",
};

/** Suites of TLS 1.3 are not the operator's choice, as in Tyk. */
const TLS_1_3_SUITES = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";

/** Empty when every name is a suite of TLS 1.2 that this runtime has. */
export function cipherProblem(names: readonly string[]): string {
  const known = new Set(getCiphers());
  for (const name of names) {
    if (name.startsWith("TLS_AES_") || name === "TLS_CHACHA20_POLY1305_SHA256") continue;
    const found = OPENSSL[name] ?? name;
    if (!known.has(found.toLowerCase())) return `names ${JSON.stringify(name)}, which is no cipher suite known here`;
  }
  return "";
}

/** For node:tls; undefined means its defaults. */
export function cipherList(names: readonly string[]): string | undefined {
  const older = names.map((name) => OPENSSL[name] ?? name).filter((name) => !name.startsWith("TLS_"));
  return older.length === 0 ? undefined : `${TLS_1_3_SUITES}:${older.join(":")}`;
}

/** Empty when it is `http://host:port` without a path; credentials are allowed and sent as Proxy-Authorization. */
export function proxyUrlProblem(written: string): string {
  if (written === "") return "";
  let url: URL;
  try {
    url = new URL(written);
  } catch {
    return "must be http://host:port";
  }
  if (url.protocol !== "http:") return "must be http://host:port: other kinds of proxies are not supported";
  if (url.hostname === "" || (url.pathname !== "/" && url.pathname !== "")) return "must be http://host:port";
  return "";
}
