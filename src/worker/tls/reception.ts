// How a caller is received on one TLS port, by the name it asks for: which certificates it is shown, whether it is
// asked for its own, and by whom it may be vouched for. Compiled from a configuration, immutable.
// Must not know: sockets, OpenSSL, tickets' keys. Governed by spec 6.7 and RFC 6066 section 3.
// Runs: compiled once per configuration, asked once per connection.

import { createHash, X509Certificate } from "node:crypto";
import type { CertificateRecord } from "../../shared/certificates/certificate.js";
import { pairReference } from "../../shared/certificates/collection.js";
import { namesOf } from "../../shared/certificates/names.js";
import type { WorkerConfig } from "../../shared/messages.js";
import type { ApiDefinition } from "../../shared/model/api-definition.js";
import { compileHostTemplate, hasVariables } from "../../shared/model/template.js";
import { Hosts, type Ranked } from "../route/hosts.js";
import { AllowList } from "./allow-list.js";

/** What a handshake does about the caller's certificate. */
export const ClientAuth = { NONE: 0, REQUEST: 1, REQUIRE: 2 } as const;

/** Finds a certificate by how it is referred to; undefined for an id of the store that is not there (yet). */
export type FindCertificate = (reference: string) => CertificateRecord | undefined;

export interface Reception {
  /** Shown to the caller, one for each kind of key; empty when there is none for anybody. */
  readonly certificates: readonly CertificateRecord[];
  readonly clientAuth: number;
  /** Every API here asks for a listed certificate, so a connection without one is of no use. */
  readonly allowed: AllowList;
  /** Whether the handshake names the CAs. */
  readonly announced: boolean;
  /** Binds session tickets: what was not asked of their owner then cannot be taken as answered now. */
  readonly sessionContext: string;
}

interface Domain extends Ranked {
  readonly domain: string;
  readonly clientAuth: number;
  readonly allowed: AllowList;
}

interface Shown {
  readonly record: CertificateRecord;
  readonly kind: string;
}

class Shelf {
  readonly exact = new Map<string, Shown[]>();
  readonly wildcard = new Map<string, Shown[]>();

  add(record: CertificateRecord, alias: string): void {
    const leaf = new X509Certificate(record.chain);
    const shown = { record, kind: leaf.publicKey.asymmetricKeyType ?? "" };
    const names = namesOf(leaf);
    for (const name of names.exact) push(this.exact, name, shown);
    for (const suffix of names.wildcard) push(this.wildcard, suffix, shown);
    if (alias !== "") push(this.exact, alias.toLowerCase(), shown);
  }

  /** The name that matched, as it stands in certificates. */
  find(name: string): { readonly matched: string; readonly shown: readonly Shown[] } | undefined {
    const exact = this.exact.get(name);
    if (exact !== undefined) return { matched: name, shown: exact };
    const suffix = name.slice(name.indexOf(".") + 1);
    const wildcard = this.wildcard.get(suffix);
    return wildcard === undefined ? undefined : { matched: `*.${suffix}`, shown: wildcard };
  }
}

export class Receptions {
  readonly #port: number;
  readonly #announced: boolean;
  readonly #own = new Shelf();
  readonly #shared = new Shelf();
  #first: CertificateRecord | undefined;
  readonly #domains = new Hosts<Domain>();
  readonly #nameless: Domain;
  readonly #made = new Map<string, Reception>();

  constructor(config: WorkerConfig, port: number, find: FindCertificate, missing: (reference: string) => void) {
    this.#port = port;
    const front = config.settings.http_server_options;
    this.#announced = !front.skip_client_ca_announcement;
    const need = (reference: string): CertificateRecord[] => {
      const record = find(reference);
      if (record === undefined) missing(reference);
      return record === undefined ? [] : [record];
    };
    for (const reference of front.ssl_certificates) for (const record of need(reference)) this.#share(record, "");
    for (const pair of front.certificates)
      for (const record of need(pairReference(pair))) this.#share(record, pair.domain_name);
    const here = config.definitions.filter((api) => api.port === port);
    for (const api of here)
      for (const reference of api.certificates)
        for (const record of need(reference)) {
          if (record.key === "") continue;
          this.#own.add(record, "");
          this.#first ??= record;
        }
    const everywhere = config.settings.security.certificates.apis;
    this.#nameless = domainOf(
      "",
      here.filter((api) => api.domain === ""),
      [],
      everywhere,
      need,
    );
    this.#addDomains(here, everywhere, need);
  }

  #share(record: CertificateRecord, alias: string): void {
    if (record.key === "") return;
    this.#shared.add(record, alias);
    this.#first ??= record;
  }

  #addDomains(here: readonly ApiDefinition[], everywhere: readonly string[], need: Need): void {
    const open = here.filter((api) => api.domain === "");
    const domains = [...new Set(here.map((api) => api.domain).filter((name) => name !== ""))];
    for (const [rank, name] of domains.entries()) {
      const domain = {
        ...domainOf(
          name,
          here.filter((api) => api.domain === name),
          open,
          everywhere,
          need,
        ),
        rank,
      };
      if (hasVariables(name)) {
        const compiled = compileHostTemplate(name);
        if ("pattern" in compiled) this.#domains.addPattern(compiled.pattern, domain);
      } else if (name.startsWith("*.")) this.#domains.addWildcard(name.slice(2), domain);
      else this.#domains.addExact(name, domain);
    }
  }

  /** @param serverName as sent, lower case; empty for none */
  receive(serverName: string): Reception {
    const domain = (serverName === "" ? null : this.#domains.find(serverName)) ?? this.#nameless;
    const found = serverName === "" ? undefined : (this.#own.find(serverName) ?? this.#shared.find(serverName));
    const matched = found?.matched ?? "";
    const key = `${domain.domain}\n${matched}`;
    let reception = this.#made.get(key);
    if (reception === undefined) {
      reception = this.#make(domain, matched, found?.shown);
      this.#made.set(key, reception);
    }
    return reception;
  }

  #make(domain: Domain, matched: string, shown: readonly Shown[] | undefined): Reception {
    const { clientAuth, allowed } = domain;
    const first = this.#first === undefined ? [] : [this.#first];
    const announced = this.#announced;
    const bound = [this.#port, domain.domain, matched, clientAuth, announced, allowed.version].join("\n");
    return {
      certificates: shown === undefined ? first : oneOfEachKind(shown),
      clientAuth,
      allowed,
      announced,
      // OpenSSL keeps at most 32 octets.
      sessionContext: createHash("sha256").update(bound).digest("hex").slice(0, 32),
    };
  }
}

type Need = (reference: string) => CertificateRecord[];

/** @param open definitions without a domain, which answer here too where no path of the domain does */
function domainOf(
  domain: string,
  own: readonly ApiDefinition[],
  open: readonly ApiDefinition[],
  everywhere: readonly string[],
  need: Need,
): Domain {
  const strict = own.length > 0 && own.every((api) => api.use_mutual_tls_auth);
  // Where the handshake decides, it decides for the domain alone; elsewhere every call is judged for itself.
  const all = strict ? own : [...own, ...open];
  const asking = all.filter((api) => api.use_mutual_tls_auth);
  const references = new Set(asking.flatMap((api) => [...api.client_certificates, ...everywhere]));
  let clientAuth: number = ClientAuth.NONE;
  if (strict) clientAuth = ClientAuth.REQUIRE;
  else if (all.some((api) => api.use_mutual_tls_auth || api.use_certificate)) clientAuth = ClientAuth.REQUEST;
  return { rank: 0, domain, clientAuth, allowed: new AllowList([...references].flatMap(need)) };
}

/** Elliptic curves first: their signatures cost a third, and every current caller takes them. */
function oneOfEachKind(shown: readonly Shown[]): CertificateRecord[] {
  const kinds = new Map<string, CertificateRecord>();
  for (const { record, kind } of shown) if (!kinds.has(kind)) kinds.set(kind, record);
  return [...kinds].sort(([a], [b]) => Number(b === "ec") - Number(a === "ec")).map(([, record]) => record);
}

function push(into: Map<string, Shown[]>, name: string, shown: Shown): void {
  const known = into.get(name);
  if (known === undefined) into.set(name, [shown]);
  else known.push(shown);
}
