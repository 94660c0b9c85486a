// OpenSSL's contexts for callers, made once for everything they hang on and kept while it stays the same.
// Responsible for the versions, suites, tickets and certificates of a handshake. Must not know: sockets, names, verdicts.
// Governed by RFC 9113 section 9.2 (no renegotiation), RFC 8446 section 4.6.1 (tickets). A context of node:tls holds one
// ticket key, so there is one context for each key that is accepted.
// Runs: made once per configuration and rotation, looked up once per connection.

import { constants, createHash, timingSafeEqual } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Settings } from "../../shared/config.js";
import type { TicketKeys } from "../../shared/messages.js";
import { cipherList, TLS_1_2, TLS_1_3 } from "../../shared/model/transport.js";
import { KEY_NAME } from "./client-hello.js";
import { ClientAuth, type Reception } from "./reception.js";

/** OpenSSL's SSL_OP_NO_RENEGOTIATION, which Node does not export. */
const NO_RENEGOTIATION = 1 << 30;
/** More than any configuration has; past it the oldest are made anew when they are needed. */
const MAX_KEPT = 4_096;

const VERSIONS = { [TLS_1_2]: "TLSv1.2", [TLS_1_3]: "TLSv1.3" } as const;

/** Numbers below TLS 1.2 ask for no more than 1.2, which is the least there is. */
export function versionName(number: number, fallback: number): "TLSv1.2" | "TLSv1.3" {
  return VERSIONS[number === 0 ? (fallback as 771) : (Math.max(number, TLS_1_2) as 771)] ?? "TLSv1.2";
}

export interface Chosen {
  readonly context: SecureContext;
  /** The caller offered a ticket that this context can open, so no signature will be made. */
  readonly resumes: boolean;
}

export class Contexts {
  readonly #kept = new Map<string, SecureContext>();
  readonly #receptions = new WeakMap<Reception, string>();
  #front: Settings["http_server_options"];
  #keys: TicketKeys | null = null;

  constructor(front: Settings["http_server_options"]) {
    this.#front = front;
  }

  configure(front: Settings["http_server_options"]): void {
    this.#front = front;
  }

  tickets(keys: TicketKeys): void {
    this.#keys = keys;
  }

  /** @param names of the keys under which the caller holds tickets */
  choose(reception: Reception, names: readonly Buffer[]): Chosen {
    const keys = this.#keys;
    if (keys === null || !ticketsMayBeTaken(reception))
      return { context: this.#context(reception, null), resumes: false };
    if (names.some((name) => isUnder(name, keys.current)))
      return { context: this.#context(reception, keys.current), resumes: true };
    const { previous } = keys;
    if (previous !== null && names.some((name) => isUnder(name, previous)))
      return { context: this.#context(reception, previous), resumes: true };
    return { context: this.#context(reception, keys.current), resumes: false };
  }

  #context(reception: Reception, ticketKeys: Uint8Array | null): SecureContext {
    const key = `${this.#keyOf(reception)} ${ticketKeys === null ? "" : digest(ticketKeys)}`;
    let context = this.#kept.get(key);
    if (context === undefined) {
      context = this.#make(reception, ticketKeys);
      if (this.#kept.size >= MAX_KEPT) this.#kept.delete(this.#kept.keys().next().value!);
      this.#kept.set(key, context);
    }
    return context;
  }

  #keyOf(reception: Reception): string {
    let key = this.#receptions.get(reception);
    if (key === undefined) {
      const { min_version, max_version, ssl_ciphers } = this.#front;
      const shown = reception.certificates.map((record) => record.fingerprint).join(" ");
      key = digest(
        Buffer.from(JSON.stringify([reception.sessionContext, shown, min_version, max_version, ssl_ciphers])),
      );
      this.#receptions.set(reception, key);
    }
    return key;
  }

  #make(reception: Reception, ticketKeys: Uint8Array | null): SecureContext {
    const front = this.#front;
    const ciphers = cipherList(front.ssl_ciphers);
    const announced = announcedCas(reception);
    return createSecureContext({
      cert: reception.certificates.map((record) => record.chain),
      key: reception.certificates.map((record) => record.key),
      minVersion: versionName(front.min_version, TLS_1_2),
      maxVersion: versionName(front.max_version, TLS_1_3),
      honorCipherOrder: true,
      sessionIdContext: reception.sessionContext,
      secureOptions: NO_RENEGOTIATION | (ticketKeys === null ? constants.SSL_OP_NO_TICKET : 0),
      ...(ciphers === undefined ? {} : { ciphers }),
      ...(announced.length > 0 ? { ca: announced } : {}),
      ...(ticketKeys === null ? {} : { ticketKeys: Buffer.from(ticketKeys) }),
    });
  }
}

/**
 * A ticket holds its owner's leaf and not the chain above it, so where a CA may vouch for callers each connection
 * brings its chain anew. Leafs that are listed themselves need none.
 */
function ticketsMayBeTaken(reception: Reception): boolean {
  return reception.clientAuth === ClientAuth.NONE || reception.allowed.authorities.length === 0;
}

function announcedCas(reception: Reception): string[] {
  if (!reception.announced || reception.clientAuth === ClientAuth.NONE) return [];
  return reception.allowed.announced.map((certificate) => certificate.toString());
}

function isUnder(name: Buffer, keys: Uint8Array): boolean {
  return timingSafeEqual(name, keys.subarray(0, KEY_NAME));
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64");
}
