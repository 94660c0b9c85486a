// Certificates whose end is near or past: told in the log before and after, and as numbers for the metrics.
// Responsible for when an operator is told, and how often. Must not know: where certificates come from, handshakes.
// Governed by: Tyk's security.certificate_expiry_monitor. Runs: at start, when certificates change, and once per
// check_cooldown_seconds.

import { X509Certificate } from "node:crypto";
import type { Logger } from "pino";
import type { Certificates } from "../shared/certificates/collection.js";
import { subjectOf } from "../shared/certificates/description.js";
import { looksLikePem } from "../shared/certificates/pem.js";
import type { Settings } from "../shared/config.js";

const DAY = 86_400_000;

export interface CertificateExpiry {
  /** SHA-256 of the leaf: what ids of the store end with. */
  readonly fingerprint: string;
  /** How the configuration names it: a file, an id of the store; empty for a PEM in place. */
  readonly id: string;
  readonly subject: string;
  /** Unix ms. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Those that nobody accepts at the moment, for an operator's eyes. */
export function outOfTime(certificates: readonly CertificateExpiry[], now: number): string[] {
  return certificates.flatMap((each) => {
    const { id, fingerprint, subject, notBefore, notAfter } = each;
    const shown = `certificate ${id || fingerprint} (${subject})`;
    if (notAfter <= now) return [`${shown} expired on ${new Date(notAfter).toISOString()}`];
    return notBefore > now ? [`${shown} is not valid before ${new Date(notBefore).toISOString()}`] : [];
  });
}

type Rules = Settings["security"]["certificate_expiry_monitor"];

interface Told {
  readonly expired: boolean;
  readonly at: number;
}

export class ExpiryMonitor {
  readonly #log: Logger;
  readonly #now: () => number;
  #rules: Rules | undefined;
  #watched: readonly CertificateExpiry[] = [];
  #told = new Map<string, Told>();
  #timer: NodeJS.Timeout | undefined;

  constructor(log: Logger, now: () => number = Date.now) {
    this.#log = log;
    this.#now = now;
  }

  /** Soonest first. */
  get expiries(): readonly CertificateExpiry[] {
    return this.#watched;
  }

  /** Those in use from now on; they are looked at once at once. */
  watch(certificates: Certificates, rules: Rules): void {
    this.#rules = rules;
    this.#watched = expiriesOf(certificates);
    const known = new Set(this.#watched.map(({ fingerprint }) => fingerprint));
    for (const fingerprint of this.#told.keys()) if (!known.has(fingerprint)) this.#told.delete(fingerprint);
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.check(), rules.check_cooldown_seconds * 1_000).unref();
    this.check();
  }

  check(): void {
    const rules = this.#rules;
    if (rules === undefined) return;
    const now = this.#now();
    for (const { fingerprint, id, subject, notAfter } of this.#watched) {
      if (notAfter - now > rules.warning_threshold_days * DAY) continue;
      const expired = notAfter <= now;
      const told = this.#told.get(fingerprint);
      // Its expiry is news, however lately it was told that it comes.
      if (told?.expired === expired && now - told.at < rules.event_cooldown_seconds * 1_000) continue;
      this.#told.set(fingerprint, { expired, at: now });
      const shown = { certificate: id || fingerprint, subject, notAfter: new Date(notAfter).toISOString() };
      if (expired) this.#log.error(shown, "certificate has expired");
      else this.#log.warn({ ...shown, daysLeft: Math.floor((notAfter - now) / DAY) }, "certificate expires soon");
    }
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

/** One entry a certificate, however many references lead to it; of a pair of files the certificate's. */
function expiriesOf(certificates: Certificates): CertificateExpiry[] {
  const found = new Map<string, CertificateExpiry>();
  for (const [reference, { fingerprint, chain }] of Object.entries(certificates)) {
    if (found.get(fingerprint)?.id) continue;
    const id = looksLikePem(reference) ? "" : reference.split("\n", 1)[0]!;
    const leaf = new X509Certificate(chain);
    const [notBefore, notAfter] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)];
    found.set(fingerprint, { fingerprint, id, subject: subjectOf(leaf), notBefore, notAfter });
  }
  return [...found.values()].sort((a, b) => a.notAfter - b.notAfter);
}
