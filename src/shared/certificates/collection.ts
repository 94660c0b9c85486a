// All certificates that settings and definitions refer to, read once, or the reason why one cannot be used.
// Responsible for which reference needs a key, and for what becomes of one that fails: settings are refused whole, a
// definition is left out. Must not know: sockets, the store (ids are only noted). Runs: at load.

import { X509Certificate } from "node:crypto";
import type { Settings } from "../config.js";
import type { ApiDefinition } from "../model/api-definition.js";
import type { CertificateRecord } from "./certificate.js";
import { looksLikePem } from "./pem.js";
import { type Found, find, findPair, findPin, nameOf, type ReadFile } from "./reference.js";

/** By reference as written; of a pair of files by `pairReference`. Ids of the store are not among them. */
export type Certificates = Readonly<Record<string, CertificateRecord>>;

const DAY = 86_400_000;

export type Report = (path: readonly PropertyKey[], message: string) => void;

export function pairReference(pair: { readonly cert_file: string; readonly key_file: string }): string {
  return `${pair.cert_file}\n${pair.key_file}`;
}

export function keySecret(settings: Settings): string {
  return settings.security.private_certificate_encoding_secret || settings.secret;
}

export class CertificateCollection {
  readonly #secret: string;
  readonly #readFile: ReadFile;
  readonly #found = new Map<string, Found>();

  constructor(settings: Settings, readFile: ReadFile) {
    this.#secret = keySecret(settings);
    this.#readFile = readFile;
  }

  get records(): Certificates {
    const records: Record<string, CertificateRecord> = {};
    for (const [reference, found] of this.#found)
      if (found !== "stored" && !("problem" in found)) records[reference] = found;
    return records;
  }

  /** What an operator should know before it is too late: certificates that have expired or soon will. */
  expiring(now: number, warningDays: number): string[] {
    const told: string[] = [];
    for (const [reference, record] of Object.entries(this.records)) {
      const until = Date.parse(new X509Certificate(record.chain).validTo);
      if (until - now > warningDays * DAY) continue;
      // Of a pair the certificate's file; a PEM has no name, so its fingerprint tells which.
      const shown = looksLikePem(reference)
        ? `${nameOf(reference)} (${record.fingerprint})`
        : nameOf(reference.split("\n", 1)[0]!);
      told.push(
        `the certificate of ${shown} ${until < now ? "expired" : "expires"} on ${new Date(until).toISOString()}`,
      );
    }
    return told;
  }

  /** @returns the settings with every pin as a fingerprint */
  settings(settings: Settings, report: Report): Settings {
    const { http_server_options: front, security } = settings;
    for (const [index, reference] of front.ssl_certificates.entries())
      this.#need(reference, true, ["http_server_options", "ssl_certificates", index], report);
    for (const [index, pair] of front.certificates.entries())
      this.#pair(pair, ["http_server_options", "certificates", index], report);
    for (const [index, reference] of security.certificates.apis.entries())
      this.#need(reference, false, ["security", "certificates", "apis", index], report);
    for (const [index, reference] of security.certificates.control_api.entries())
      this.#need(reference, false, ["security", "certificates", "control_api", index], report);
    for (const [index, reference] of settings.upstream.ca_certificates.entries())
      this.#need(reference, false, ["upstream", "ca_certificates", index], report);
    for (const [host, reference] of Object.entries(security.certificates.upstream))
      this.#need(reference, true, ["security", "certificates", "upstream", host], report);
    const pinned_public_keys = this.#pins(security.pinned_public_keys, ["security", "pinned_public_keys"], report);
    return { ...settings, security: { ...security, pinned_public_keys } };
  }

  /** @returns the definition with every pin as a fingerprint */
  definition(definition: ApiDefinition, report: Report): ApiDefinition {
    for (const [index, reference] of definition.certificates.entries())
      this.#need(reference, true, ["certificates", index], report);
    for (const [index, reference] of definition.client_certificates.entries())
      this.#need(reference, false, ["client_certificates", index], report);
    for (const [host, reference] of Object.entries(definition.upstream_certificates))
      this.#need(reference, true, ["upstream_certificates", host], report);
    const pinned_public_keys = this.#pins(definition.pinned_public_keys, ["pinned_public_keys"], report);
    return { ...definition, pinned_public_keys };
  }

  #need(reference: string, key: boolean, path: readonly PropertyKey[], report: Report): void {
    let found = this.#found.get(reference);
    if (found === undefined) {
      found = find(reference, this.#secret, this.#readFile);
      this.#found.set(reference, found);
    }
    if (found === "stored") return;
    if ("problem" in found) report(path, found.problem);
    else if (key && found.key === "") report(path, `${nameOf(reference)} holds no private key`);
  }

  #pair(
    pair: { readonly cert_file: string; readonly key_file: string },
    path: readonly PropertyKey[],
    report: Report,
  ): void {
    const found = findPair(pair.cert_file, pair.key_file, this.#secret, this.#readFile);
    this.#found.set(pairReference(pair), found);
    if (found !== "stored" && "problem" in found) report(path, found.problem);
  }

  #pins(
    pinned: Readonly<Record<string, string>>,
    path: readonly PropertyKey[],
    report: Report,
  ): Record<string, string> {
    const fingerprints: Record<string, string> = {};
    for (const [host, list] of Object.entries(pinned)) {
      const found: string[] = [];
      for (const reference of list.split(",").map((one) => one.trim())) {
        if (reference === "") continue;
        const pin = findPin(reference, this.#readFile);
        if ("problem" in pin) report([...path, host], pin.problem);
        else found.push(pin.fingerprint);
      }
      if (found.length === 0) report([...path, host], "names no key");
      fingerprints[host] = found.join(",");
    }
    return fingerprints;
  }
}
