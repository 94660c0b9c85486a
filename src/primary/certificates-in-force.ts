// Which certificates a gateway uses: those of its files and, on top of them, those of the store; when they end, and which are wanting.
// Must not know: workers, ports, handshakes. Governed by: issue "Secure gRPC", items 1 and 2; Tyk's
// `security.certificate_expiry_monitor`. Runs: at start, at a reload, and when certificates of the store change.

import type { Logger } from "pino";
import type { Certificates } from "../shared/certificates/collection.js";
import type { Store } from "../shared/store/store.js";
import { CertificateHealth } from "./certificate-health.js";
import { type CertificateExpiry, ExpiryMonitor, outOfTime } from "./expiry.js";
import type { ServedConfig } from "./gateway.js";
import type { Component } from "./health.js";
import { isSame, StoredCertificates } from "./stored-certificates.js";

/** News of certificates is delivered at most once: so often the store is asked without any. */
const AGAIN_MS = 60_000;

export interface Enforced {
  /** `component` has changed. */
  readonly isJudgedAnew: boolean;
  /** Those that came into use and nobody accepts at the moment, as sentences. */
  readonly untimely: readonly string[];
}

export class CertificatesInForce {
  readonly #log: Logger;
  readonly #store: StoredCertificates;
  readonly #expiry: ExpiryMonitor;
  readonly #health = new CertificateHealth();
  #stored: Certificates = {};
  #timer: NodeJS.Timeout | undefined;

  constructor(open: () => Promise<Store>, log: Logger) {
    this.#log = log;
    this.#store = new StoredCertificates(open, log);
    this.#expiry = new ExpiryMonitor(log);
  }

  /** Of every certificate in use, soonest first. */
  get expiries(): readonly CertificateExpiry[] {
    return this.#expiry.expiries;
  }

  /** What is wrong with them, if anything. */
  get component(): Component | undefined {
    return this.#health.component;
  }

  /** What the store has now of those that `served` names; nothing is in force by that. */
  read(served: ServedConfig): Promise<Certificates> {
    return this.#store.of(served);
  }

  isInForce(stored: Certificates): boolean {
    return isSame(stored, this.#stored);
  }

  of(served: ServedConfig, stored: Certificates = this.#stored): Certificates {
    return { ...served.certificates, ...stored };
  }

  /** From now on `stored` counts, and its ends are watched. */
  enforce(served: ServedConfig, stored: Certificates): Enforced {
    const before = new Set(this.expiries.map(({ fingerprint }) => fingerprint));
    this.#stored = stored;
    this.#expiry.watch(this.of(served), served.settings.security.certificate_expiry_monitor);
    const brought = this.expiries.filter(({ fingerprint }) => !before.has(fingerprint));
    return { isJudgedAnew: this.judge(served), untimely: outOfTime(brought, Date.now()) };
  }

  /** @returns true when `component` has changed */
  judge(served: ServedConfig): boolean {
    const now = Date.now();
    if (!this.#health.judge(served, this.#store.lacking, now, outOfTime(this.expiries, now))) return false;
    // The control port may be one of those that nobody can ask.
    const reason = this.component?.output;
    if (reason !== undefined) this.#log.warn({ reason }, "certificates are wanting");
    return true;
  }

  /** Calls `again` now and then, until `stop`. */
  askAgain(again: () => void): void {
    this.#timer ??= setInterval(again, AGAIN_MS).unref();
  }

  stop(): void {
    this.#expiry.stop();
    clearInterval(this.#timer);
  }
}
