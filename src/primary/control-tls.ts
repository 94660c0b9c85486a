// TLS on the control port: which certificate operators are shown, and which of theirs opens it.
// Responsible for the handshake and its verdict. Must not know: HTTP, routes, the secret, which is asked for all the same.
// Governed by: Tyk's http_server_options.use_ssl (the control port is TLS when the main port is),
// security.control_api_use_mutual_tls, security.certificates.control_api. Only the leaf counts, with its chain verified.
// There are no session tickets here: each connection proves its key anew. Runs: per connection of an operator.

import { constants, type X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import {
  createSecureContext,
  createServer,
  type SecureContext,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
} from "node:tls";
import type { Logger } from "pino";
import { type CertificateRecord, certificatesOf, fingerprintOf } from "../shared/certificates/certificate.js";
import { chainsTo } from "../shared/certificates/chain.js";
import { type Certificates, pairReference } from "../shared/certificates/collection.js";
import { namesOf } from "../shared/certificates/names.js";
import type { Settings } from "../shared/config.js";
import type { ApiDefinition } from "../shared/model/api-definition.js";
import { cipherList, TLS_1_3 } from "../shared/model/transport.js";

const HANDSHAKE_MS = 10_000;
const MAX_LINKS = 10;
/** Whoever knocks with nothing right must not fill the log. */
const TOLD_EVERY_MS = 60_000;
const PROTOCOLS = ["h2", "http/1.1"];

export interface ControlTlsOptions {
  readonly settings: Settings;
  readonly definitions: readonly ApiDefinition[];
  /** By reference, those of the store among them. */
  readonly certificates: Certificates;
  readonly log: Logger;
}

interface Shown {
  readonly exact: readonly string[];
  readonly wildcard: readonly string[];
  readonly record: CertificateRecord;
  readonly context: SecureContext;
}

export class ControlTls {
  readonly #log: Logger;
  readonly #shown: readonly Shown[];
  /** Undefined: nobody is asked for a certificate. */
  readonly #allowed: readonly CertificateRecord[] | undefined;
  readonly #server: Server | undefined;
  #admit: (secured: TLSSocket) => void = (secured) => secured.destroy();
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor({ settings, definitions, certificates, log }: ControlTlsOptions) {
    this.#log = log;
    this.#shown = shownBy(settings, definitions, certificates);
    const { control_api_use_mutual_tls: mutual, certificates: lists } = settings.security;
    this.#allowed = mutual ? lists.control_api.flatMap((reference) => certificates[reference] ?? []) : undefined;
    this.#server = this.#serverFor(settings.http_server_options);
    if (this.#shown.length === 0) log.error("control port: no certificate to show, so every connection is refused");
    if (this.#allowed?.length === 0)
      log.error("control port: no certificate of an operator is known, so none is let in");
  }

  /** Undefined where the control port is in the clear. */
  static of(options: ControlTlsOptions): ControlTls | undefined {
    const { control_api_port, http_server_options } = options.settings;
    return control_api_port !== 0 && http_server_options.use_ssl ? new ControlTls(options) : undefined;
  }

  /** Who gets those that may come in; a control server has one of these, and it no other. */
  admitTo(admit: (secured: TLSSocket) => void): void {
    this.#admit = admit;
  }

  /** Ends the socket unless the handshake brings somebody who may come in. */
  receive(socket: Socket): void {
    if (this.#server === undefined) socket.destroy();
    else this.#server.emit("connection", socket);
  }

  /** Not a listening one: connections are given to it. */
  #serverFor(front: Settings["http_server_options"]): Server | undefined {
    const first = this.#shown[0];
    if (first === undefined) return undefined;
    const server = createServer({
      ...contextOptions(first.record, front),
      ALPNProtocols: PROTOCOLS,
      requestCert: this.#allowed !== undefined,
      // Judged below, by our own list and not by OpenSSL's.
      rejectUnauthorized: false,
      handshakeTimeout: HANDSHAKE_MS,
      SNICallback: (name, answer) => answer(null, this.#contextFor(name.toLowerCase())),
    });
    // OpenSSL's own few words, without its place in the source.
    server.on("tlsClientError", (error: Error & { readonly reason?: string }, secured) => {
      this.#tell(secured.remoteAddress, error.reason ?? error.message);
      secured.destroy();
    });
    server.on("secureConnection", (secured) => {
      secured.on("error", () => secured.destroy());
      const refused = this.#refusalOf(secured);
      if (refused === "") return this.#admit(secured);
      this.#tell(secured.remoteAddress, refused);
      secured.destroy();
    });
    return server;
  }

  #contextFor(name: string): SecureContext {
    const suffix = name.slice(name.indexOf(".") + 1);
    const found =
      this.#shown.find(({ exact }) => exact.includes(name)) ??
      this.#shown.find(({ wildcard }) => wildcard.includes(suffix));
    return (found ?? this.#shown[0]!).context;
  }

  /** Empty for whoever may come in. */
  #refusalOf(secured: TLSSocket): string {
    if (this.#allowed === undefined) return "";
    const leaf = secured.getPeerX509Certificate();
    if (leaf === undefined) return "no client certificate";
    const fingerprint = fingerprintOf(leaf.raw);
    const now = Date.now();
    if (now > Date.parse(leaf.validTo)) return `certificate ${fingerprint} has expired`;
    if (now < Date.parse(leaf.validFrom)) return `certificate ${fingerprint} is not valid yet`;
    if (this.#allowed.some((record) => record.fingerprint === fingerprint)) return "";
    return vouchedFor(leaf, this.#allowed, now) ? "" : `certificate ${fingerprint} is not allowed`;
  }

  #tell(peer: string | undefined, reason: string): void {
    const now = performance.now();
    if (now - this.#toldAt < TOLD_EVERY_MS) return this.#log.debug({ peer, reason }, "control port: refused");
    this.#toldAt = now;
    this.#log.warn({ peer, reason }, "control port: refused (more of these within a minute are not told)");
  }
}

/** The front's own, then those of definitions: somebody who can be shown one of them is not turned away. */
function shownBy(settings: Settings, definitions: readonly ApiDefinition[], certificates: Certificates): Shown[] {
  const front = settings.http_server_options;
  const references = [
    ...front.ssl_certificates,
    ...front.certificates.map(pairReference),
    ...definitions.flatMap((api) => api.certificates),
  ];
  const records = new Map<string, CertificateRecord>();
  for (const reference of references) {
    const record = certificates[reference];
    if (record !== undefined && record.key !== "") records.set(record.fingerprint, record);
  }
  return [...records.values()].map((record) => ({
    ...namesOf(certificatesOf(record)[0]!),
    record,
    context: createSecureContext(contextOptions(record, front)),
  }));
}

function contextOptions(record: CertificateRecord, front: Settings["http_server_options"]): SecureContextOptions {
  const ciphers = cipherList(front.ssl_ciphers);
  return {
    cert: record.chain,
    key: record.key,
    minVersion: front.min_version === TLS_1_3 ? "TLSv1.3" : "TLSv1.2",
    maxVersion: front.max_version === 0 || front.max_version === TLS_1_3 ? "TLSv1.3" : "TLSv1.2",
    honorCipherOrder: true,
    secureOptions: constants.SSL_OP_NO_TICKET,
    ...(ciphers === undefined ? {} : { ciphers }),
  };
}

/** As on the front: a listed CA vouches for leafs; what stands beside a listed leaf is only a link. */
function vouchedFor(leaf: X509Certificate, allowed: readonly CertificateRecord[], now: number): boolean {
  const trusted: X509Certificate[] = [];
  const links: X509Certificate[] = [];
  for (const record of allowed) {
    const [first, ...rest] = certificatesOf(record);
    if (first?.ca === true) trusted.push(first, ...rest.filter((one) => one.ca));
    else links.push(...rest);
  }
  if (trusted.length === 0) return false;
  for (let next = leaf.issuerCertificate; next !== undefined && links.length < MAX_LINKS; next = next.issuerCertificate)
    links.push(next);
  return chainsTo(leaf, trusted, links, now);
}
