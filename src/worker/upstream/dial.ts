// Opens the socket of an upstream connection: in the clear, inside TLS, through a forward proxy.
// Responsible for everything up to the moment when HTTP/2 may be spoken, and for saying why it may not. Must not know:
// HTTP/2, calls, back-off. Governed by RFC 9113 section 3.2 (ALPN must give h2), RFC 9110 section 9.3.6 (CONNECT).
// Runs once per connection.

import { existsSync, readFileSync } from "node:fs";
import { connect as connectPlain, isIP, Socket } from "node:net";
import {
  checkServerIdentity,
  connect as connectTls,
  createSecureContext,
  rootCertificates,
  type SecureContext,
} from "node:tls";
import { commonNames } from "../../shared/certificates/names.js";
import { keyFingerprint } from "../../shared/certificates/reference.js";
import { cipherList, TLS_1_2, TLS_1_3 } from "../../shared/model/transport.js";
import { versionName } from "../tls/contexts.js";
import type { ForwardProxy, Security, TlsTowards } from "../tls/towards.js";

export interface Dialer {
  /** Where the next octets go. */
  buffer(): Buffer;
  /** So many octets came. */
  read(n: number): boolean;
  /** The socket that carries the connection from here on; called again when a tunnel's end becomes one. */
  uses(socket: Socket): void;
  /** HTTP/2 may be spoken. */
  open(): void;
}

export function dial(address: string, port: number, security: Security | null, dialer: Dialer): void {
  const onread = { buffer: () => dialer.buffer(), callback: (n: number) => dialer.read(n) };
  if (security === null) {
    dialer.uses(connectPlain({ host: address, port, noDelay: true, onread }));
    dialer.open();
  } else if (security.problem !== "") {
    const socket = new Socket();
    dialer.uses(socket);
    process.nextTick(() => socket.destroy(new Error(security.problem)));
  } else if (security.proxy !== null) tunnel(security.proxy, address, port, security.tls, dialer);
  else if (security.tls !== null) {
    const { tls } = security;
    const options = { host: address, port, noDelay: true, onread, ...tlsOptions(tls) };
    const socket = connectTls(options as object);
    dialer.uses(socket);
    socket.once("secureConnect", () => secured(socket, tls, dialer));
  }
}

type TlsSocket = ReturnType<typeof connectTls>;

function secured(socket: TlsSocket, tls: TlsTowards, dialer: Dialer): void {
  const problem =
    socket.alpnProtocol === "h2" ? flaw(socket, tls) : "the service does not offer HTTP/2 over TLS (ALPN)";
  if (problem === "") dialer.open();
  else socket.destroy(new Error(problem));
}

/** What TLS itself did not check. */
function flaw(socket: TlsSocket, tls: TlsTowards): string {
  if (tls.pins.length === 0 && !tls.commonName) return "";
  const leaf = socket.getPeerX509Certificate();
  if (leaf === undefined) return "the service has no certificate";
  // Of the certificates sent only the leaf's key was proven to be the service's.
  if (tls.pins.length > 0 && !tls.pins.includes(keyFingerprint(leaf.publicKey)))
    return "the service's public key is none of those pinned";
  if (tls.commonName && !commonNames(leaf).includes(tls.host))
    return `the common name of the service is not ${tls.host}`;
  return "";
}

function tlsOptions(tls: TlsTowards): object {
  return {
    secureContext: contextFor(tls),
    ALPNProtocols: ["h2"],
    ...(isIP(tls.host) === 0 ? { servername: tls.host } : {}),
    // Pins say more than a chain does, and as in Tyk they stand in its place.
    rejectUnauthorized: tls.verify && tls.pins.length === 0,
    // The address that was dialled is not what the certificate is for.
    checkServerIdentity: (_name: string, certificate: Parameters<typeof checkServerIdentity>[1]) =>
      checkServerIdentity(tls.host, certificate),
  };
}

const MAX_CONTEXTS = 256;
const contexts = new Map<string, SecureContext>();

function contextFor(tls: TlsTowards): SecureContext {
  const { minVersion, maxVersion, ciphers, client, authorities } = tls;
  const shown = [client?.fingerprint, ...authorities.map((one) => one.fingerprint)];
  const key = JSON.stringify([minVersion, maxVersion, ciphers, shown]);
  let context = contexts.get(key);
  if (context === undefined) {
    const list = cipherList(ciphers);
    context = createSecureContext({
      ca: [...systemAuthorities(), ...authorities.map((one) => one.chain)],
      minVersion: versionName(minVersion, TLS_1_2),
      maxVersion: versionName(maxVersion, TLS_1_3),
      ...(list === undefined ? {} : { ciphers: list }),
      ...(client === null ? {} : { cert: client.chain, key: client.key }),
    });
    if (contexts.size >= MAX_CONTEXTS) contexts.clear();
    contexts.set(key, context);
  }
  return context;
}

/** Where systems keep the CAs they trust; SSL_CERT_FILE as for OpenSSL and Go. */
const BUNDLES = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
let system: readonly string[] | undefined;

/** The system's own; the list that comes with Node where there is none. */
function systemAuthorities(): readonly string[] {
  if (system !== undefined) return system;
  const file = [process.env["SSL_CERT_FILE"] ?? "", ...BUNDLES].find((path) => path !== "" && existsSync(path));
  try {
    system = file === undefined ? rootCertificates : [readFileSync(file, "utf8")];
  } catch {
    system = rootCertificates;
  }
  return system;
}

const TUNNEL_ANSWER_MAX = 16_384;

/** Asks a proxy for a way to the service; what is spoken on it afterwards is no business of the proxy's. */
function tunnel(proxy: ForwardProxy, host: string, port: number, tls: TlsTowards | null, dialer: Dialer): void {
  const socket = connectPlain({ host: proxy.host, port: proxy.port, noDelay: true });
  dialer.uses(socket);
  const authority = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
  const authorization = proxy.authorization === "" ? "" : `Proxy-Authorization: ${proxy.authorization}\r\n`;
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${authorization}\r\n`);
  let seen = Buffer.alloc(0);
  const listen = (bytes: Buffer): void => {
    seen = Buffer.concat([seen, bytes]);
    const end = seen.indexOf("\r\n\r\n");
    if (end < 0 && seen.length < TUNNEL_ANSWER_MAX) return;
    socket.off("data", listen);
    socket.pause();
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(seen.toString("latin1", 0, 16))?.[1] ?? "no HTTP";
    if (end < 0 || !status.startsWith("2")) {
      socket.destroy(new Error(`the forward proxy refuses the way to ${authority} (${status})`));
      return;
    }
    if (seen.length > end + 4) socket.unshift(seen.subarray(end + 4));
    through(socket, tls, dialer);
  };
  socket.on("data", listen);
}

/** A socket that was read as a stream stays one, so what comes is copied once more than without a proxy. */
function through(socket: Socket, tls: TlsTowards | null, dialer: Dialer): void {
  let carrier = socket;
  if (tls !== null) {
    const secure = connectTls({ socket, ...tlsOptions(tls) });
    carrier = secure;
    dialer.uses(secure);
    secure.once("secureConnect", () => secured(secure, tls, dialer));
  } else dialer.open();
  carrier.on("data", (bytes: Buffer) => {
    for (let at = 0; at < bytes.length; ) {
      const into = dialer.buffer();
      const n = bytes.copy(into, 0, at);
      dialer.read(n);
      at += n;
    }
  });
}
