// The certificates of the store that the configuration in force refers to, read in the primary for all workers.
// Responsible for reading each once, for keeping what was read while the store cannot be asked, for saying which are
// missing or cannot be used. Must not know: handshakes, processes. It is done here because opening a sealed key takes
// some 50 ms on purpose: once a host, and on a loop that carries no calls. Workers get them with their configuration.
// Runs: at a configuration, and whenever the store says that certificates changed.

import type { Logger } from "pino";
import { type CertificateRecord, readCertificate } from "../shared/certificates/certificate.js";
import { type Certificates, keySecret } from "../shared/certificates/collection.js";
import { fingerprintIn } from "../shared/certificates/reference.js";
import { type Referring, STORED_PREFIX, storedReferences } from "../shared/certificates/stored.js";
import type { Store } from "../shared/store/store.js";

/** What lies under a reference, and what came of reading it. */
interface Read {
  readonly value: string;
  readonly secret: string;
  readonly record: CertificateRecord | undefined;
}

export class StoredCertificates {
  readonly #open: () => Promise<Pick<Store, "getMany">>;
  readonly #log: Logger;
  #read = new Map<string, Read>();
  #missing = new Set<string>();
  #isAway = false;

  constructor(open: () => Promise<Pick<Store, "getMany">>, log: Logger) {
    this.#open = open;
    this.#log = log;
  }

  /** By reference. One that is missing or unusable is left out: less access, never more. Never rejects. */
  async of(referring: Referring): Promise<Certificates> {
    const references = storedReferences(referring);
    // Without references the store is not opened.
    const values = references.length === 0 ? [] : await this.#ask(references);
    if (values === undefined) return this.#known(references);
    const secret = keySecret(referring.settings);
    const read = new Map<string, Read>();
    const missing = new Set<string>();
    for (const [at, reference] of references.entries()) {
      const value = values[at];
      if (value === undefined) missing.add(reference);
      else read.set(reference, await this.#readOne(reference, Buffer.from(value).toString("utf8"), secret));
    }
    for (const certificate of missing)
      if (!this.#missing.has(certificate)) this.#log.warn({ certificate }, "a certificate is not in the store");
    this.#read = read;
    this.#missing = missing;
    return this.#known(references);
  }

  /** Ids that are wanted and cannot be used: not in the store, or not what they should be. */
  get lacking(): readonly string[] {
    const unusable = [...this.#read].filter(([, { record }]) => record === undefined).map(([reference]) => reference);
    return [...this.#missing, ...unusable];
  }

  async #ask(references: readonly string[]): Promise<(Uint8Array | undefined)[] | undefined> {
    try {
      const store = await this.#open();
      const values = await store.getMany(references.map((reference) => STORED_PREFIX + reference));
      if (this.#isAway) this.#log.info("certificates can be read from the store again");
      this.#isAway = false;
      return values;
    } catch (error) {
      if (!this.#isAway)
        this.#log.error({ err: error }, "certificates cannot be read from the store: those that are known stay");
      this.#isAway = true;
      return undefined;
    }
  }

  #known(references: readonly string[]): Certificates {
    const records: Record<string, CertificateRecord> = {};
    for (const reference of references) {
      const record = this.#read.get(reference)?.record;
      if (record !== undefined) records[reference] = record;
    }
    return records;
  }

  async #readOne(reference: string, value: string, secret: string): Promise<Read> {
    const before = this.#read.get(reference);
    if (before !== undefined && before.value === value && before.secret === secret) return before;
    // The primary accepts connections: between two keys it gets to them.
    await new Promise((resolve) => setImmediate(resolve));
    const found = readCertificate(value, secret);
    let problem = "problem" in found ? found.problem : "";
    if (!("problem" in found) && found.fingerprint !== fingerprintIn(reference))
      problem = "holds another certificate than its id says";
    if (problem !== "") this.#log.error({ certificate: reference, problem }, "a certificate of the store is unusable");
    return { value, secret, record: problem === "" ? (found as CertificateRecord) : undefined };
  }
}

/** Nothing that workers have would be another. */
export function isSame(one: Certificates, other: Certificates): boolean {
  const names = Object.keys(one);
  return names.length === Object.keys(other).length && names.every((name) => one[name] === other[name]);
}
